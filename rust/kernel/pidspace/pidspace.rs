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
mod proc;

// These are `pub` for the crate that tests them on the host.
#[expect(unreachable_pub)]
mod id_pool;
#[expect(unreachable_pub)]
mod layout;
#[expect(unreachable_pub)]
mod name;

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

use container::Container;
use directory::Directory;
use kernel::{
    bindings,
    pid_namespace::PidNamespace,
    prelude::*,
    seq_file::SeqFile,
    sync::rcu, //
};
use layout::{HostPid, Vpid};

module! {
    type: PidSpace,
    name: "pidspace",
    authors: ["pidspace"],
    description: "Named containers: pid spaces carved out of a pid namespace",
    license: "GPL v2",
}

struct PidSpace;

impl kernel::Module for PidSpace {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        proc::init()?;
        Ok(Self)
    }
}

/// Composes the number that the base of `view` has for `vnr`.
///
/// # Safety
///
/// `view` is the view of a container, and `vnr` comes from its idr, below its `pid_max`.
#[export]
pub unsafe extern "C" fn pidspace_nr(view: *const bindings::pid_namespace, vnr: c_int) -> c_int {
    // SAFETY: By the requirements `view` is valid during the call.
    let view = unsafe { PidNamespace::from_ptr(view) };
    match (Container::of(view), Vpid::new(vnr)) {
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
    directory::find_pid(
        nr,
        unsafe { PidNamespace::from_ptr(base) },
        &rcu::read_lock(),
    )
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
    directory::find_ge_pid(nr, unsafe { PidNamespace::from_ptr(ns) }, &rcu::read_lock())
}

/// The last member of the container of `view` has been reaped: frees its name and id.
///
/// # Safety
///
/// `view` is valid, the view of a container, and has no members.
#[export]
pub unsafe extern "C" fn pidspace_end(view: *mut bindings::pid_namespace) {
    // SAFETY: By the requirements `view` is valid during the call.
    let view = unsafe { PidNamespace::from_ptr(view) };
    if let (Some(container), Some(dir)) = (
        Container::of(view),
        container::base_of(view).and_then(Directory::get),
    ) {
        dir.end(container);
    }
}

/// Frees what a pid namespace has in `pidspace`.
///
/// # Safety
///
/// `ns` is valid, and nobody else uses it any more, RCU readers included.
#[export]
pub unsafe extern "C" fn pidspace_free(ns: *mut bindings::pid_namespace) {
    // SAFETY: By the requirements `ns` is valid during the call.
    let ns = unsafe { PidNamespace::from_ptr(ns) };
    // SAFETY: By the requirements of this function.
    unsafe {
        match container::base_of(ns) {
            Some(_) => Container::free(ns),
            None => Directory::free(ns),
        }
    }
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
