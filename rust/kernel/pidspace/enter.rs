// SPDX-License-Identifier: GPL-2.0

//! The ways into a container: how a process creates one, or joins one.

use super::{
    directory::Reservation,
    layout::Vpid,
    name::Name,
    namespace::{Base, ReservedVpid, View},
};
use kernel::{bindings, fs::File, pid_namespace::PidNamespace, prelude::*, sync::aref::ARef};

/// What is needed of current before it can become a member.
struct Candidate {
    base: ARef<PidNamespace>,
    /// Its number in `base`.
    former: i32,
}

impl Candidate {
    /// Checks what does not change behind the back of current, which writes to `file`.
    fn new(file: &File) -> Result<Self> {
        let current = current!();
        // SAFETY: `flags` of current is written by current only.
        let flags = unsafe { (*current.as_ptr()).flags };
        // A worker of the kernel that writes for others, like a file server's, has their file and
        // its own capabilities.
        if flags & (bindings::PF_KTHREAD | bindings::PF_USER_WORKER) != 0 {
            return Err(EPERM);
        }
        let base: ARef<PidNamespace> = current.active_pid_ns().ok_or(ESRCH)?.into();

        if View::of(&base).is_some() {
            return Err(EPERM);
        }
        // Whoever opened the file has to have the capability as well: it could be the standard
        // output of a privileged program, which would write a name without knowing.
        // SAFETY: A pid namespace holds a reference on its user namespace, and `file` is valid.
        let capable = unsafe {
            let user_ns = (*base.as_ptr()).user_ns;
            let cap = bindings::CAP_SYS_ADMIN as c_int;
            bindings::ns_capable(user_ns, cap)
                && bindings::file_ns_capable(file.as_ptr(), user_ns, cap)
        };
        if !capable {
            return Err(EPERM);
        }
        // SAFETY: A task that makes a system call has namespaces.
        let for_children = unsafe { (*(*current.as_ptr()).nsproxy).pid_ns_for_children };
        if for_children != base.as_ptr() {
            return Err(EBUSY);
        }
        let former = current.tgid_nr_ns(Some(&base));
        // The init of a pid namespace has to be there for all of it.
        if former == 1 {
            return Err(EBUSY);
        }
        Ok(Self { base, former })
    }

    fn base(&self) -> Result<&Base> {
        // Checked in `new()`; a base stays one.
        Base::of(&self.base).ok_or(EPERM)
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
    let base = candidate.base()?;
    let dir = base.directory_or_new()?;

    // `insert()` decides, but this spares most losers a namespace.
    if dir
        .find_name(&name)
        .is_some_and(|ns| View::of(&ns).is_some_and(|view| !view.has_ended()))
    {
        return Err(EEXIST);
    }

    let ns = View::create(base)?;
    let view = View::of(&ns).ok_or(EINVAL)?;
    let entry = dir.insert(name, &ns, Reservation::new()?)?;

    let root = ReservedVpid::exactly(view, Vpid::ROOT.as_raw())?;
    let former = ReservedVpid::exactly(view, candidate.former)?;
    view.enter(&root, true, true)?;

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
/// ended, `EEXIST` if somebody inside has the number of current, `EAGAIN` if it has no vpid left.
pub(crate) fn join(name: Name, file: &File) -> Result {
    let candidate = Candidate::new(file)?;
    let ns = candidate
        .base()?
        .directory()
        .and_then(|dir| dir.find_name(&name))
        .ok_or(ENOENT)?;
    let view = View::of(&ns).ok_or(ENOENT)?;
    if view.members() == 0 {
        // If it is being created, which may fail still, it is not there yet.
        return Err(if view.has_ended() { ESRCH } else { ENOENT });
    }

    // Its own number still leads to it: a shell that has expanded `$$` does not hit somebody else
    // with it. It is the vpid where it can be one. Where it is too large it is an alias.
    let former = ReservedVpid::exactly(view, candidate.former)?;
    if Vpid::new(candidate.former).is_some() {
        view.enter(&former, false, false)?;
    } else {
        let vpid = ReservedVpid::next(view)?;
        view.enter(&vpid, true, false)?;
        vpid.keep();
    }
    former.keep();
    Ok(())
}
