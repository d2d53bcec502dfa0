// SPDX-License-Identifier: GPL-2.0

//! The container object: how one is created, joined, and ends.

use super::{
    directory::{Directory, Reservation},
    layout::{Id, Vpid},
    name::Name,
};
use kernel::{
    bindings,
    error::{from_err_ptr, to_result},
    fs::File,
    pid_namespace::PidNamespace,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{Acquire, Atomic, Relaxed, Release},
    },
    types::ForeignOwnable,
};

/// What a view knows of its container.
///
/// It lives as long as the view, which may be far longer than the container: an open pidfd is
/// enough. So it holds no reference on anything.
pub(crate) struct Container {
    name: Name,
    id: Id,
}

impl Container {
    /// Returns the container that `ns` is the view of.
    pub(crate) fn of(ns: &PidNamespace) -> Option<&Container> {
        base_of(ns)?;
        let ptr = slot(ns).load(Acquire);
        if ptr.is_null() {
            return None;
        }
        // SAFETY: What is in the slot of a view was put there by `create()` and is freed when
        // the view is, in `free()`.
        Some(unsafe { KBox::<Container>::borrow(ptr) })
    }

    /// Frees the container that `view` is the view of.
    ///
    /// # Safety
    ///
    /// Nobody has a reference on `view`, and no RCU reader that found it earlier is left.
    pub(crate) unsafe fn free(view: &PidNamespace) {
        let ptr = slot(view).load(Acquire);
        if !ptr.is_null() {
            // SAFETY: The slot is filled by `create()` only, and this is the last use.
            drop(unsafe { KBox::<Container>::from_foreign(ptr) });
        }
    }

    /// Returns the name.
    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    /// Returns the id.
    pub(crate) fn id(&self) -> Id {
        self.id
    }
}

/// What a namespace has for this code: a view its [`Container`], any other its [`Directory`].
pub(crate) fn slot(ns: &PidNamespace) -> &Atomic<*mut c_void> {
    // SAFETY: `ns` is valid as long as the reference that is returned, and `pidspace` of a
    // namespace that others can see is accessed through `Atomic` only.
    unsafe { Atomic::from_ptr(&raw mut (*ns.as_ptr()).pidspace) }
}

/// Returns the namespace that `ns` was carved from, if it is a view.
pub(crate) fn base_of(ns: &PidNamespace) -> Option<&PidNamespace> {
    // SAFETY: `base` is set before anybody else can see `ns`, and never again.
    let base = unsafe { (*ns.as_ptr()).base };
    // SAFETY: A view holds a reference on its base.
    (!base.is_null()).then(|| unsafe { PidNamespace::from_ptr(base) })
}

/// Returns how many processes a view has, those in pid namespaces nested in it included.
pub(crate) fn members(view: &PidNamespace) -> u32 {
    // SAFETY: `view` is valid. The writers hold `tasklist_lock` and use `WRITE_ONCE()`.
    unsafe { Atomic::from_ptr(&raw mut (*view.as_ptr()).members) }.load(Relaxed)
}

/// What is needed of current before it can become a member.
struct Candidate {
    base: ARef<PidNamespace>,
    /// Its number in `base`.
    former: i32,
}

impl Candidate {
    /// Checks what does not change behind the back of current, which writes to `file`.
    fn new(file: &File) -> Result<Self> {
        // SAFETY: A system call runs in task context, in a task that has a pid and namespaces.
        let (pid, active, for_children) = unsafe {
            let task = bindings::get_current();
            (
                (*task).thread_pid,
                bindings::task_active_pid_ns(task),
                (*(*task).nsproxy).pid_ns_for_children,
            )
        };
        // SAFETY: Only current itself leaves its pid namespace, so that it is valid here.
        let base: ARef<PidNamespace> = unsafe { PidNamespace::from_ptr(active) }.into();

        if base_of(&base).is_some() {
            return Err(EPERM);
        }
        // Whoever opened the file has to have the capability as well: it could be the standard
        // output of a privileged program, which would write a name without knowing.
        // SAFETY: A pid namespace holds a reference on its user namespace, and `file` is valid.
        let capable = unsafe {
            let (user_ns, cap) = ((*active).user_ns, bindings::CAP_SYS_ADMIN as c_int);
            bindings::ns_capable(user_ns, cap)
                && bindings::file_ns_capable(file.as_ptr(), user_ns, cap)
        };
        if !capable {
            return Err(EPERM);
        }
        if for_children != active {
            return Err(EBUSY);
        }
        // SAFETY: `active` is the namespace of `pid`.
        let former = unsafe { bindings::pid_nr_ns(pid, active) };
        // The init of a pid namespace has to be there for all of it.
        if former == 1 {
            return Err(EBUSY);
        }
        Ok(Self { base, former })
    }

    /// Takes current into `view`, whose `vnr` is reserved for it, and `former` if `alias`.
    fn attach(&self, view: &PidNamespace, vnr: i32, alias: bool, root: bool) -> Result {
        // SAFETY: `view` is valid and current is in its base, in which it has its namespaces.
        let nsproxy = from_err_ptr(unsafe { bindings::copy_nsproxy_pid_ns(view.as_ptr()) })?;
        // SAFETY: `view` is a view of the namespace that current is in, and what is passed is
        // reserved in it.
        let ret = to_result(unsafe { bindings::pid_view_attach(view.as_ptr(), vnr, alias, root) });
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
struct ReservedVpid<'a> {
    view: &'a PidNamespace,
    vnr: i32,
}

impl<'a> ReservedVpid<'a> {
    /// Reserves `vnr`, or the next vpid if that is 0.
    fn new(view: &'a PidNamespace, vnr: i32) -> Result<Self> {
        // SAFETY: `view` is the view of a container.
        let vnr = unsafe { bindings::pid_view_reserve(view.as_ptr(), vnr) };
        to_result(vnr)?;
        Ok(Self { view, vnr })
    }

    fn keep(self) {
        core::mem::forget(self);
    }
}

impl Drop for ReservedVpid<'_> {
    fn drop(&mut self) {
        // SAFETY: It was reserved in `view` and nobody was attached to it.
        unsafe { bindings::pid_view_unreserve(self.view.as_ptr(), self.vnr) };
    }
}

/// Creates container `name` with current, which writes to `file`, as its root.
///
/// # Errors
///
/// `EPERM` if current is a member of a container, or if it or the opener of `file` has no
/// `CAP_SYS_ADMIN` in the user namespace that owns its pid namespace; `EBUSY` if it has threads,
/// children or tracees, or another pid namespace for its children; `EEXIST` if the name is in
/// use; `ENOSPC` if there is no id left, or no pid namespace; `ENOMEM`; `ESRCH` if the pid
/// namespace is being torn down. In all of these cases nothing has changed.
pub(crate) fn create(name: Name, file: &File) -> Result {
    let candidate = Candidate::new(file)?;
    let dir = Directory::get_or_create(&candidate.base)?;

    // `insert()` decides, but this spares most losers a namespace.
    if dir.find_name(&name).is_some() {
        return Err(EEXIST);
    }

    // SAFETY: The base is a pid namespace that is no view.
    let view = from_err_ptr(unsafe { bindings::create_pid_view(candidate.base.as_ptr()) })?;
    // SAFETY: `view` comes with a reference, which is now that of the `ARef`.
    let view: ARef<PidNamespace> =
        unsafe { ARef::from_raw(core::ptr::NonNull::new_unchecked(view.cast())) };

    let container = KBox::<Container>::new_uninit(GFP_KERNEL)?;
    let entry = dir.insert(name, &view, Reservation::new()?, |id| {
        let container = KBox::write(container, Container { name, id });
        slot(&view).store(container.into_foreign(), Release);
    })?;

    let root = ReservedVpid::new(&view, Vpid::ROOT.as_raw())?;
    let former = ReservedVpid::new(&view, candidate.former)?;
    candidate.attach(&view, root.vnr, true, true)?;

    former.keep();
    root.keep();
    entry.keep();
    Ok(())
}

/// Takes current into container `name`.
///
/// # Errors
///
/// As [`create()`], but `ENOENT` if there is no container of that name, `ESRCH` if it has just
/// ended, `EAGAIN` if it has no vpid left.
pub(crate) fn join(name: Name, file: &File) -> Result {
    let candidate = Candidate::new(file)?;
    let view = Directory::get(&candidate.base)
        .and_then(|dir| dir.find_name(&name))
        .ok_or(ENOENT)?;
    // It is being created, which may fail still: not there yet. Or it has ended.
    if members(&view) == 0 {
        return Err(ESRCH);
    }

    // The former number becomes the vpid, where it can be one and is free. Where it is too large
    // for a vpid nobody else has it in here, so that it can be an alias.
    let mut former = match ReservedVpid::new(&view, candidate.former) {
        Ok(former) => Some(former),
        Err(e) if e == EEXIST => None,
        Err(e) => return Err(e),
    };
    let own = match Vpid::new(candidate.former) {
        Some(_) => former.take(),
        None => None,
    };
    let vpid = match own {
        Some(vpid) => vpid,
        None => ReservedVpid::new(&view, 0)?,
    };

    candidate.attach(&view, vpid.vnr, former.is_some(), false)?;
    vpid.keep();
    if let Some(former) = former {
        former.keep();
    }
    Ok(())
}
