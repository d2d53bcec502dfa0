// SPDX-License-Identifier: GPL-2.0

//! Named containers: pid spaces carved out of a pid namespace.
//!
//! A container is a flat pid namespace, its *view*, at the same level as the namespace that it
//! was carved from, its *base*. See `Documentation/admin-guide/pidspace.rst`.
//!
//! What is here is what C calls; the prototypes and the rest of the seam are in the C header,
//! [`include/linux/pidspace.h`](srctree/include/linux/pidspace.h).

mod container;
mod directory;
mod enter;
mod lookup;
mod namespace;
mod proc;

// These are `pub` for the crate that tests them on the host.
#[expect(unreachable_pub)]
mod id_pool;
#[expect(unreachable_pub)]
mod layout;
#[expect(unreachable_pub)]
mod name;
#[expect(unreachable_pub)]
mod registry;

#[cfg(CONFIG_PIDSPACE_KUNIT_TEST)]
mod tests;

/// What the layout depends on.
mod config {
    use kernel::bindings;

    pub(crate) const VPID_BITS: u32 = bindings::CONFIG_PIDSPACE_VPID_BITS;
    pub(crate) const PID_MAX_LIMIT: u32 = bindings::PIDSPACE_PID_MAX_LIMIT as u32;

    // The limit that C uses for walks is the one of the layout.
    const _: () = assert!(bindings::PIDSPACE_NR_LIMIT == 1 << super::layout::HOST_PID_BITS);
}

use kernel::{
    bindings,
    pid_namespace::PidNamespace,
    prelude::*,
    seq_file::SeqFile,
    sync::rcu, //
};
use layout::{HostPid, Vpid};
use namespace::{Base, Pid, View};

module! {
    type: PidSpace,
    name: "pidspace",
    authors: ["pidspace"],
    description: "Named containers: pid spaces carved out of a pid namespace",
    license: "GPL v2",
}

struct PidSpace {
    _files: proc::Files,
}

impl kernel::Module for PidSpace {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _files: proc::Files::new()?,
        })
    }
}

/// Composes the number that the base of `view` has for `vnr`.
///
/// # Safety
///
/// `view` is the view of a container, and `vnr` comes from its idr, below its `pid_max`.
#[export]
pub unsafe extern "C" fn pidspace_view_nr(
    view: *const bindings::pid_namespace,
    vnr: c_int,
) -> c_int {
    // SAFETY: By the requirements `view` is valid during the call.
    let view = View::of(unsafe { PidNamespace::from_ptr(view) });
    match (view.and_then(View::container), Vpid::new(vnr)) {
        (Some(container), Some(vpid)) => HostPid::new(container.id(), vpid).as_raw(),
        // A view is published with its container, and `pid_max` is within the layout.
        _ => 0,
    }
}

/// Finds the pid that `base` knows as `nr`, a number of a container.
///
/// # Safety
///
/// `base` is valid and no view, and the caller holds the RCU read lock, or `tasklist_lock`, as
/// long as it uses the result.
#[export]
pub unsafe extern "C" fn pidspace_find_pid(
    nr: c_int,
    base: *mut bindings::pid_namespace,
) -> *mut bindings::pid {
    // SAFETY: By the requirements `base` is valid during the call.
    let base = Base::of(unsafe { PidNamespace::from_ptr(base) });
    let guard = rcu::read_lock();
    let pid = base.and_then(|base| lookup::find_pid(nr, base, &guard));
    pid.map_or(core::ptr::null_mut(), Pid::as_ptr)
}

/// Finds the first pid whose number in `ns` is at least `nr`.
///
/// # Safety
///
/// `ns` is valid, and the caller holds the RCU read lock as long as it uses the result.
#[export]
pub unsafe extern "C" fn pidspace_find_ge_pid(
    nr: c_int,
    ns: *mut bindings::pid_namespace,
) -> *mut bindings::pid {
    // SAFETY: By the requirements `ns` is valid during the call.
    let ns = unsafe { PidNamespace::from_ptr(ns) };
    lookup::find_ge_pid(nr, ns, &rcu::read_lock()).map_or(core::ptr::null_mut(), Pid::as_ptr)
}

/// Calls `f` with the view that `ns` is, its container, and the directory they are in.
fn with_container(
    ns: &PidNamespace,
    f: impl FnOnce(&directory::Directory, &View, &container::Container),
) {
    if let Some(view) = View::of(ns) {
        if let (Some(dir), Some(container)) = (view.base().directory(), view.container()) {
            f(dir, view, container);
        }
    }
}

/// The last member of the container of `view` has died: frees its name.
///
/// That was free already for whoever creates a container; what goes is the reference.
///
/// # Safety
///
/// `view` is valid, the view of a container, and has no members.
#[export]
pub unsafe extern "C" fn pidspace_end(view: *mut bindings::pid_namespace) {
    // SAFETY: By the requirements `view` is valid during the call.
    with_container(
        unsafe { PidNamespace::from_ptr(view) },
        |dir, view, container| dir.end(view, container),
    );
}

/// The last number of the container of `view`, which has ended, has gone: frees its id.
///
/// # Safety
///
/// `view` is valid, the view of a container, and has no members and no numbers.
#[export]
pub unsafe extern "C" fn pidspace_retire(view: *mut bindings::pid_namespace) {
    // SAFETY: By the requirements `view` is valid during the call.
    with_container(
        unsafe { PidNamespace::from_ptr(view) },
        |dir, view, container| dir.retire(view, container),
    );
}

/// Frees the container of a view.
///
/// # Safety
///
/// As [`View::free_container`].
#[export]
pub unsafe extern "C" fn pidspace_free_view(view: *mut bindings::pid_namespace) {
    // SAFETY: By the requirements of this function.
    unsafe { View::free_container(view) };
}

/// Frees the directory of a base.
///
/// # Safety
///
/// As [`Base::free_directory`].
#[export]
pub unsafe extern "C" fn pidspace_free_base(base: *mut bindings::pid_namespace) {
    // SAFETY: By the requirements of this function.
    unsafe { Base::free_directory(base) };
}

/// Prints the name of the container that `ns` is the view of, or an empty line.
///
/// # Safety
///
/// `m` is valid and used by nobody else, and `ns` is valid.
#[export]
pub unsafe extern "C" fn pidspace_show_name(
    m: *mut bindings::seq_file,
    ns: *mut bindings::pid_namespace,
) -> c_int {
    // SAFETY: By the requirements both are valid during the call.
    unsafe { proc::show_name(SeqFile::from_raw(m), PidNamespace::from_ptr(ns)) };
    0
}
