// SPDX-License-Identifier: GPL-2.0

//! What this code reads and writes of `struct pid_namespace`.
//!
//! The only place that does. A pid namespace is either the view of a container or a base, that is
//! any other; [`View`] and [`Base`] keep the two apart, since `pidspace` means one thing in the
//! one and another in the other.

use super::{container::Container, directory::Directory, layout::Vpid};
use core::{marker::PhantomData, ptr::NonNull};
use kernel::{
    bindings,
    error::{from_err_ptr, to_result},
    ffi::c_void,
    pid_namespace::PidNamespace,
    prelude::*,
    procfs::OpenFile,
    sync::{
        aref::ARef,
        atomic::{Acquire, Atomic, Full, Relaxed, Release},
        rcu,
    },
    types::ForeignOwnable,
};

/// The view of a container.
#[repr(transparent)]
pub(crate) struct View(PidNamespace);

/// A pid namespace that is no view.
#[repr(transparent)]
pub(crate) struct Base(PidNamespace);

/// Returns `pidspace`, which is a [`Container`] or a [`Directory`].
fn slot(ns: &PidNamespace) -> &Atomic<*mut c_void> {
    // SAFETY: `ns` is valid as long as the reference that is returned, and `pidspace` of a
    // namespace that others can see is accessed through `Atomic` only.
    unsafe { Atomic::from_ptr(&raw mut (*ns.as_ptr()).pidspace) }
}

/// Says whether `ns` is a view.
fn is_view(ns: &PidNamespace) -> bool {
    // SAFETY: `ns` is valid, and `base` is set before anybody else can see it, and never again.
    !unsafe { (*ns.as_ptr()).base }.is_null()
}

/// A pid that was found under RCU.
///
/// # Invariants
///
/// `ptr` points to a `struct pid` that is not freed during `'a`.
#[derive(Clone, Copy)]
pub(crate) struct Pid<'a> {
    ptr: NonNull<bindings::pid>,
    _rcu: PhantomData<&'a rcu::Guard>,
}

impl<'a> Pid<'a> {
    /// Looks up `nr` in the idr of a namespace.
    fn find(ns: &PidNamespace, nr: i32, _rcu: &'a rcu::Guard) -> Option<Self> {
        // SAFETY: `ns` is valid; an idr may be read while it is modified.
        let ptr = unsafe { bindings::idr_find(&raw const (*ns.as_ptr()).idr, nr as usize) };
        // INVARIANT: What is in the idr of a pid namespace is a `struct pid`, which is freed a
        // grace period after it was removed, see `free_pid()`.
        Some(Self {
            ptr: NonNull::new(ptr.cast())?,
            _rcu: PhantomData,
        })
    }

    /// Returns the first entry of the idr of a namespace at or after `nr`, and where it is.
    fn find_ge(ns: &PidNamespace, mut nr: i32, _rcu: &'a rcu::Guard) -> Option<(i32, Self)> {
        // SAFETY: `ns` is valid; an idr may be read while it is modified.
        let ptr = unsafe { bindings::idr_get_next(&raw mut (*ns.as_ptr()).idr, &mut nr) };
        // INVARIANT: As in `find()`.
        let pid = Self {
            ptr: NonNull::new(ptr.cast())?,
            _rcu: PhantomData,
        };
        Some((nr, pid))
    }

    /// Returns a raw pointer to the underlying C struct.
    pub(crate) fn as_ptr(self) -> *mut bindings::pid {
        self.ptr.as_ptr()
    }

    /// Returns the number that it has in `view`, 0 if there is none.
    pub(crate) fn nr_in(self, view: &View) -> i32 {
        // SAFETY: By the invariant; the view is valid.
        unsafe { bindings::pid_nr_ns(self.as_ptr(), view.0.as_ptr()) }
    }

    /// Returns the number that it has at the level of `base`, outside of any container.
    pub(crate) fn outer_nr(self, base: &Base) -> Option<i32> {
        // SAFETY: By the invariant. There are `level + 1` numbers; they and `level` are written
        // before the pid can be found, and `nr` of each never again.
        unsafe {
            let (pid, level) = (self.as_ptr(), (*base.0.as_ptr()).level);
            ((*pid).level >= level).then(|| (*(*pid).numbers.as_ptr().add(level as usize)).nr)
        }
    }
}

impl View {
    /// Creates the view of a container that is to be carved from `base`.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if the user namespace may not have more pid namespaces, `ENOMEM`.
    pub(crate) fn create(base: &Base) -> Result<ARef<PidNamespace>> {
        // SAFETY: `base` is valid and no view.
        let view = from_err_ptr(unsafe { bindings::create_pid_view(base.0.as_ptr()) })?;
        // SAFETY: `view` is not null and comes with a reference, which is now that of the `ARef`.
        Ok(unsafe { ARef::from_raw(NonNull::new_unchecked(view.cast())) })
    }

    /// Returns `ns` as the view that it is.
    pub(crate) fn of(ns: &PidNamespace) -> Option<&View> {
        // SAFETY: `View` is a transparent wrapper.
        is_view(ns).then(|| unsafe { &*core::ptr::from_ref(ns).cast() })
    }

    /// Says whether `ns` is the pid namespace of this view.
    pub(crate) fn is(&self, ns: &PidNamespace) -> bool {
        core::ptr::eq(&self.0, ns)
    }

    /// Returns the view that `ptr` points to, which was found under `_rcu`.
    ///
    /// It is valid as long as that, but there may be no reference on it any more. So nothing here
    /// makes an [`ARef`] of a [`View`].
    ///
    /// # Safety
    ///
    /// `ptr` points to a pid namespace on which there was a reference after `_rcu` began.
    pub(crate) unsafe fn from_rcu(ptr: NonNull<c_void>, _rcu: &rcu::Guard) -> Option<&View> {
        // SAFETY: By the requirements. `put_pid_ns()` frees a pid namespace from `call_rcu()`, see
        // `destroy_pid_namespace()`.
        View::of(unsafe { PidNamespace::from_ptr(ptr.as_ptr().cast()) })
    }

    /// Returns what it was carved from.
    pub(crate) fn base(&self) -> &Base {
        // SAFETY: `base` is set before anybody else can see the view, and never again. A view
        // holds a reference on its base, which is no view.
        unsafe { &*(*self.0.as_ptr()).base.cast() }
    }

    /// Says which container it is the view of, once.
    pub(crate) fn set_container(&self, container: KBox<Container>) {
        slot(&self.0).store(container.into_foreign(), Release);
    }

    /// Returns the container.
    ///
    /// There is none before [`Self::set_container`]; a view that was found in a directory has one.
    pub(crate) fn container(&self) -> Option<&Container> {
        let ptr = slot(&self.0).load(Acquire);
        if ptr.is_null() {
            return None;
        }
        // SAFETY: What is in the slot of a view was put there by `set_container()` and is freed
        // when the view is, in `free_container()`.
        Some(unsafe { KBox::<Container>::borrow(ptr) })
    }

    /// Frees the container of `view`.
    ///
    /// # Safety
    ///
    /// `view` is the view of a container. Nobody has a reference on it, and no RCU reader that
    /// found it earlier is left.
    pub(crate) unsafe fn free_container(view: *mut bindings::pid_namespace) {
        // SAFETY: By the requirements `view` can be used here. Its base can not: that may be gone.
        let slot = slot(unsafe { PidNamespace::from_ptr(view) });
        let ptr = slot.load(Acquire);
        if !ptr.is_null() {
            // SAFETY: The slot is filled by `set_container()` only, and this is the last use.
            drop(unsafe { KBox::<Container>::from_foreign(ptr) });
        }
    }

    /// Returns how many processes it has, those in pid namespaces nested in it included.
    pub(crate) fn members(&self) -> u32 {
        // SAFETY: The view is valid. Writers hold `tasklist_lock` and use `WRITE_ONCE()`.
        unsafe { Atomic::from_ptr(&raw mut (*self.0.as_ptr()).members) }.load(Relaxed)
    }

    /// Says whether its last member has died. The counterpart of `pid_view_ended()`.
    pub(crate) fn has_ended(&self) -> bool {
        // SAFETY: The view is valid. Writers hold `tasklist_lock` and use `WRITE_ONCE()`.
        let state = unsafe { Atomic::from_ptr(&raw mut (*self.0.as_ptr()).pid_allocated) };
        state.load(Relaxed) & bindings::PIDNS_ADDING == 0
    }

    /// Returns the root, null if there is none.
    ///
    /// A root resets `child_reaper` in `exit_notify()`, before it can be reaped, and a task that
    /// is reaped is freed after a grace period: the result is valid under `_rcu`.
    fn root(&self, _rcu: &rcu::Guard) -> *mut bindings::task_struct {
        // SAFETY: The view is valid; `child_reaper` is written with `WRITE_ONCE()`.
        unsafe { Atomic::from_ptr(&raw mut (*self.0.as_ptr()).child_reaper) }.load(Acquire)
    }

    /// Returns the number that the root has in `viewer`, 0 if there is no root, or `viewer` does
    /// not see it.
    pub(crate) fn root_nr(&self, viewer: &PidNamespace, rcu: &rcu::Guard) -> i32 {
        let root = self.root(rcu);
        if root.is_null() {
            return 0;
        }
        // SAFETY: `root` is valid under `rcu`.
        unsafe {
            bindings::__task_pid_nr_ns(root, bindings::pid_type_PIDTYPE_TGID, viewer.as_ptr())
        }
    }

    /// Says whether `file`, a table of containers, shows this one to current.
    pub(crate) fn is_shown_in(&self, file: &OpenFile, rcu: &rcu::Guard) -> bool {
        // SAFETY: `file` is an open file in procfs, the view is valid, and so is the root, under
        // `rcu`, unless it is null.
        unsafe { bindings::pidspace_shows(file.as_ptr(), self.0.as_ptr(), self.root(rcu)) }
    }

    /// Returns the pid that has the vpid `nr`, or that has it as its former number.
    pub(crate) fn find<'a>(&self, nr: i32, rcu: &'a rcu::Guard) -> Option<Pid<'a>> {
        Pid::find(&self.0, nr, rcu)
    }

    /// Returns the first entry at or after `nr`, and where it is.
    pub(crate) fn find_ge<'a>(&self, nr: i32, rcu: &'a rcu::Guard) -> Option<(i32, Pid<'a>)> {
        Pid::find_ge(&self.0, nr, rcu)
    }

    /// Takes current into the container.
    ///
    /// `vpid` and, if `alias`, the former number of current are reserved for it.
    ///
    /// # Errors
    ///
    /// `EBUSY` if current has threads, children or tracees; `ESRCH` if the container has ended,
    /// or its base is being torn down; `ENOMEM`. Nothing has changed then.
    pub(crate) fn enter(&self, vpid: &ReservedVpid<'_>, alias: bool, root: bool) -> Result {
        let view = self.0.as_ptr();
        // SAFETY: `view` is valid and current is in its base, in which it has its namespaces.
        let nsproxy = from_err_ptr(unsafe { bindings::copy_nsproxy_pid_ns(view) })?;
        // SAFETY: `view` is a view of the namespace that current is in, and what is passed is
        // reserved in it.
        let ret = to_result(unsafe { bindings::pid_view_enter(view, vpid.vnr, alias, root) });
        // SAFETY: `nsproxy` is ours; either current gets it, or it is freed without ever having
        // been used.
        unsafe {
            match ret {
                Ok(()) => bindings::switch_task_namespaces(bindings::get_current(), nsproxy),
                Err(_) => bindings::nsproxy_free(nsproxy),
            }
        }
        ret
    }
}

/// A vpid that is taken but leads to nobody, and is given back when this is dropped.
pub(crate) struct ReservedVpid<'a> {
    view: &'a View,
    vnr: i32,
}

impl<'a> ReservedVpid<'a> {
    fn reserve(view: &'a View, vnr: i32) -> Result<Self> {
        // SAFETY: `view` is the view of a container.
        let vnr = unsafe { bindings::pid_view_reserve(view.0.as_ptr(), vnr) };
        to_result(vnr)?;
        Ok(Self { view, vnr })
    }

    /// Reserves `nr`, which is a vpid, or a number that is too large for one.
    ///
    /// # Errors
    ///
    /// `EEXIST` if somebody has it, `ESRCH` if the container has ended, `ENOMEM`.
    pub(crate) fn exactly(view: &'a View, nr: i32) -> Result<Self> {
        if nr < Vpid::ROOT.as_raw() {
            return Err(EINVAL);
        }
        Self::reserve(view, nr)
    }

    /// Reserves the next vpid.
    ///
    /// # Errors
    ///
    /// `EAGAIN` if there is none left, `ESRCH` if the container has ended, `ENOMEM`.
    pub(crate) fn next(view: &'a View) -> Result<Self> {
        Self::reserve(view, 0)
    }

    /// Leaves it to whom it was given: it goes with its pid.
    pub(crate) fn keep(self) {
        core::mem::forget(self);
    }
}

impl Drop for ReservedVpid<'_> {
    fn drop(&mut self) {
        // SAFETY: It was reserved in `view` and nobody entered with it.
        unsafe { bindings::pid_view_unreserve(self.view.0.as_ptr(), self.vnr) };
    }
}

impl Base {
    /// Returns `ns` as the base that it is.
    pub(crate) fn of(ns: &PidNamespace) -> Option<&Base> {
        // SAFETY: `Base` is a transparent wrapper.
        (!is_view(ns)).then(|| unsafe { &*core::ptr::from_ref(ns).cast() })
    }

    /// Returns the directory, if it has had a container.
    pub(crate) fn directory(&self) -> Option<&Directory> {
        let ptr = slot(&self.0).load(Acquire);
        if ptr.is_null() {
            return None;
        }
        // SAFETY: What is in the slot of a base was put there by `directory_or_new()` and is
        // freed when the base is, in `free_directory()`.
        Some(unsafe { Pin::<KBox<Directory>>::borrow(ptr) }.get_ref())
    }

    /// Returns the directory, making it first where there is none.
    pub(crate) fn directory_or_new(&self) -> Result<&Directory> {
        if let Some(dir) = self.directory() {
            return Ok(dir);
        }

        let ptr = Directory::new()?.into_foreign();
        // Two may be at it; one of them has the directory that both use. The order `Full` makes
        // what `new()` wrote visible before the pointer to it.
        if slot(&self.0)
            .cmpxchg(core::ptr::null_mut(), ptr, Full)
            .is_err()
        {
            // SAFETY: `ptr` comes from `into_foreign()` above and nobody else has it.
            drop(unsafe { Pin::<KBox<Directory>>::from_foreign(ptr) });
        }
        self.directory().ok_or(ENOMEM)
    }

    /// Frees the directory of `base`.
    ///
    /// # Safety
    ///
    /// `base` is a pid namespace that is no view. Nobody has a reference on it, and no RCU reader
    /// that found it earlier is left.
    pub(crate) unsafe fn free_directory(base: *mut bindings::pid_namespace) {
        // SAFETY: By the requirements `base` can be used here.
        let slot = slot(unsafe { PidNamespace::from_ptr(base) });
        let ptr = slot.load(Acquire);
        if !ptr.is_null() {
            // SAFETY: The slot is filled by `directory_or_new()` only, and this is the last use.
            drop(unsafe { Pin::<KBox<Directory>>::from_foreign(ptr) });
        }
    }

    /// Returns the first entry of its own at or after `nr`, and where it is.
    pub(crate) fn find_ge<'a>(&self, nr: i32, rcu: &'a rcu::Guard) -> Option<(i32, Pid<'a>)> {
        Pid::find_ge(&self.0, nr, rcu)
    }
}
