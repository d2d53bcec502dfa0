// SPDX-License-Identifier: GPL-2.0

//! From a number to a pid.

use super::{
    layout::{HostPid, Id, Vpid},
    namespace::{Base, View},
};
use kernel::{bindings, pid_namespace::PidNamespace, sync::rcu};

/// Finds the pid that `base` knows as `nr`, a number of a container.
///
/// Called under `rcu`, by which the result is valid.
pub(crate) fn find_pid(nr: i32, base: &Base, rcu: &rcu::Guard) -> *mut bindings::pid {
    let find = || {
        let host_pid = HostPid::from_raw(nr)?;
        let view = base.directory()?.find_id(host_pid.id(), rcu)?;
        let pid = view.find(host_pid.vpid().as_raw(), rcu);
        // A root or a joiner that came from `base` is in this idr but known by its number there.
        // SAFETY: What is in the idr of a view is a pid of its level or deeper, valid under RCU.
        (!pid.is_null() && unsafe { base.outer_nr(pid) } == nr).then_some(pid)
    };
    find().unwrap_or(core::ptr::null_mut())
}

/// Finds the first pid whose number in `ns` is at least `nr`.
///
/// Called under `rcu`, by which the result is valid.
pub(crate) fn find_ge_pid(nr: i32, ns: &PidNamespace, rcu: &rcu::Guard) -> *mut bindings::pid {
    match (View::of(ns), Base::of(ns)) {
        (Some(view), _) => find_ge_in_view(nr, view, rcu),
        (_, Some(base)) => find_ge_in_base(nr, base, rcu),
        (None, None) => core::ptr::null_mut(),
    }
}

fn find_ge_in_view(mut nr: i32, view: &View, rcu: &rcu::Guard) -> *mut bindings::pid {
    loop {
        let pid = view.find_ge(&mut nr, rcu);
        // A former number leads to a pid, but is not its number: whoever walks by numbers would
        // go backwards from it.
        // SAFETY: `pid` is valid under RCU and so is the view.
        if pid.is_null() || unsafe { bindings::pid_nr_ns(pid, view.as_ns().as_ptr()) } == nr {
            return pid;
        }
        nr += 1;
    }
}

fn find_ge_in_base(mut nr: i32, base: &Base, rcu: &rcu::Guard) -> *mut bindings::pid {
    let pid = base.find_ge(&mut nr, rcu);
    if !pid.is_null() {
        return pid;
    }

    // All containers, from the one that `nr` is in.
    let find = || {
        let dir = base.directory()?;
        let (mut id, mut vnr) = match HostPid::from_raw(nr.max(HostPid::FIRST.as_raw())) {
            Some(host_pid) => (host_pid.id(), host_pid.vpid().as_raw()),
            // The number 0 in a container, or beyond the last of them.
            None => (Id::new((nr as u32) >> super::config::VPID_BITS)?, 1),
        };
        loop {
            let (found, view) = dir.find_ge(id, rcu)?;
            if found != id {
                vnr = Vpid::ROOT.as_raw();
            }
            loop {
                let pid = view.find_ge(&mut vnr, rcu);
                if pid.is_null() {
                    break;
                }
                let here = Vpid::new(vnr).map(|vpid| HostPid::new(found, vpid).as_raw());
                // Not those that came from `base`: they are in its own idr.
                // SAFETY: What is in the idr of a view is a pid of its level or deeper, valid
                // under RCU.
                if here == Some(unsafe { base.outer_nr(pid) }) {
                    return Some(pid);
                }
                vnr += 1;
            }
            id = Id::new(found.as_raw() + 1)?;
            vnr = Vpid::ROOT.as_raw();
        }
    };
    find().unwrap_or(core::ptr::null_mut())
}
