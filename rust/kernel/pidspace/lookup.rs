// SPDX-License-Identifier: GPL-2.0

//! From a number to a pid.

use super::{
    layout::{HostPid, Id, Vpid},
    namespace::{Base, Pid, View},
};
use kernel::{pid_namespace::PidNamespace, sync::rcu};

/// Finds the pid that `base` knows as `nr`, a number of a container.
pub(crate) fn find_pid<'a>(nr: i32, base: &Base, rcu: &'a rcu::Guard) -> Option<Pid<'a>> {
    let host_pid = HostPid::from_raw(nr)?;
    let view = base.directory()?.find_id(host_pid.id(), rcu)?;
    let pid = view.find(host_pid.vpid().as_raw(), rcu)?;
    // A root or a joiner that came from `base` is in this idr but known by its number there.
    (pid.outer_nr(base) == Some(nr)).then_some(pid)
}

/// Finds the first pid whose number in `ns` is at least `nr`.
pub(crate) fn find_ge_pid<'a>(nr: i32, ns: &PidNamespace, rcu: &'a rcu::Guard) -> Option<Pid<'a>> {
    match View::of(ns) {
        Some(view) => find_ge_in_view(nr, view, rcu),
        None => find_ge_in_base(nr, Base::of(ns)?, rcu),
    }
}

fn find_ge_in_view<'a>(mut nr: i32, view: &View, rcu: &'a rcu::Guard) -> Option<Pid<'a>> {
    loop {
        let (found, pid) = view.find_ge(nr, rcu)?;
        // A former number leads to a pid, but is not its number: whoever walks by numbers would
        // go backwards from it.
        if pid.nr_in(view) == found {
            return Some(pid);
        }
        nr = found + 1;
    }
}

fn find_ge_in_base<'a>(nr: i32, base: &Base, rcu: &'a rcu::Guard) -> Option<Pid<'a>> {
    if let Some((_, pid)) = base.find_ge(nr, rcu) {
        return Some(pid);
    }

    // All containers, from the one that `nr` is in.
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
        while let Some((at, pid)) = view.find_ge(vnr, rcu) {
            let here = Vpid::new(at).map(|vpid| HostPid::new(found, vpid).as_raw());
            // Not those that came from `base`: they are in its own idr.
            if here.is_some() && here == pid.outer_nr(base) {
                return Some(pid);
            }
            vnr = at + 1;
        }
        id = Id::new(found.as_raw() + 1)?;
        vnr = Vpid::ROOT.as_raw();
    }
}
