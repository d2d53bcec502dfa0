// SPDX-License-Identifier: GPL-2.0

//! `/proc/container`, `/proc/containers` and `/proc/PID/container`.

use super::{
    container::{create, join, members, Container},
    directory::Directory,
    layout::Id,
    name::{Name, NameError},
};
use kernel::{
    bindings,
    fs::{file::flags::O_APPEND, File},
    pid_namespace::PidNamespace,
    prelude::*,
    procfs::{self, Entry},
    seq_file::SeqFile,
    seq_print,
    sync::rcu,
    uaccess::UserSliceReader,
};

/// Prints the name of the container that `ns` is the view of, or an empty line.
pub(crate) fn show_name(m: &SeqFile, ns: &PidNamespace) {
    match Container::of(ns) {
        Some(container) => seq_print!(m, "{}\n", container.name().as_str()),
        None => seq_print!(m, "\n"),
    }
}

/// `/proc/container`: reads as the name of the reader's container; a name that is written makes
/// the writer its root or, in append mode, a member.
struct ContainerFile;

#[vtable]
impl Entry for ContainerFile {
    fn seek(_m: &SeqFile, pos: u64) -> Option<u64> {
        (pos == 0).then_some(0)
    }

    fn show(m: &SeqFile, _row: u64) -> Result {
        // SAFETY: A read runs in task context, in a task that has a pid, and current stays in its
        // pid namespace meanwhile.
        show_name(m, unsafe {
            PidNamespace::from_ptr(bindings::task_active_pid_ns(bindings::get_current()))
        });
        Ok(())
    }

    fn write(file: &File, mut data: UserSliceReader, pos: i64) -> Result<usize> {
        // A name, a newline, and one byte to see that there is more.
        let mut line = [0u8; Name::MAX + 2];
        let count = data.len();
        let line = &mut line[..count.min(Name::MAX + 2)];

        if pos != 0 {
            return Err(EINVAL);
        }
        data.read_slice(line)?;
        let name = Name::parse(line).map_err(|e| match e {
            NameError::Invalid => EINVAL,
            NameError::TooLong => ENAMETOOLONG,
        })?;
        if count > line.len() {
            return Err(EINVAL);
        }

        if file.flags() & O_APPEND != 0 {
            join(name, file)?;
        } else {
            create(name, file)?;
        }
        Ok(count)
    }
}

/// `/proc/containers`: a table of all containers, or of the reader's own.
///
/// Row 0 is the head, the others are numbered by the ids.
struct ContainersFile;

/// The containers that a reader sees.
enum Scope<'a> {
    All(&'a Directory),
    Own(&'a PidNamespace, Id),
    Nothing,
}

impl<'a> Scope<'a> {
    fn of(viewer: &'a PidNamespace) -> Self {
        if let Some(container) = Container::of(viewer) {
            Scope::Own(viewer, container.id())
        } else if let Some(dir) = Directory::get(viewer) {
            Scope::All(dir)
        } else {
            Scope::Nothing
        }
    }

    /// Returns the first container with members whose id is at least `id`.
    fn find_ge(&self, mut id: Id, rcu: &'a rcu::Guard) -> Option<(Id, &'a PidNamespace)> {
        match *self {
            Scope::All(dir) => loop {
                let (found, view) = dir.find_ge(id, rcu)?;
                if members(view) != 0 {
                    return Some((found, view));
                }
                id = Id::new(found.as_raw() + 1)?;
            },
            Scope::Own(view, own) => (id <= own).then_some((own, view)),
            Scope::Nothing => None,
        }
    }
}

#[vtable]
impl Entry for ContainersFile {
    fn seek(m: &SeqFile, pos: u64) -> Option<u64> {
        if pos == 0 {
            return Some(0);
        }
        let id = Id::new(u32::try_from(pos).ok()?.max(Id::FIRST.as_raw()))?;
        let rcu = rcu::read_lock();
        let (id, _) = Scope::of(procfs::viewer(m)).find_ge(id, &rcu)?;
        Some(id.as_raw().into())
    }

    fn show(m: &SeqFile, row: u64) -> Result {
        if row == 0 {
            seq_print!(m, "#name\tid\troot\tmembers\n");
            return Ok(());
        }

        let rcu = rcu::read_lock();
        let viewer = procfs::viewer(m);
        let id = Id::new(row as u32).ok_or(EINVAL)?;
        let Some((found, view)) = Scope::of(viewer).find_ge(id, &rcu) else {
            return Ok(());
        };
        // It has ended since `seek()`: the next one has a row of its own.
        if found != id {
            return Ok(());
        }
        let Some(container) = Container::of(view) else {
            return Ok(());
        };
        seq_print!(
            m,
            "{}\t{}\t{}\t{}\n",
            container.name().as_str(),
            id.as_raw(),
            root_nr(view, viewer, &rcu),
            members(view),
        );
        Ok(())
    }
}

/// Returns the number that the root of a container has for a viewer, 0 if the root has gone.
fn root_nr(view: &PidNamespace, viewer: &PidNamespace, _rcu: &rcu::Guard) -> i32 {
    use kernel::sync::atomic::{Acquire, Atomic};

    // SAFETY: `view` is valid; `child_reaper` is written with `WRITE_ONCE()`.
    let root = unsafe { Atomic::from_ptr(&raw mut (*view.as_ptr()).child_reaper) }.load(Acquire);
    if root.is_null() {
        return 0;
    }
    // SAFETY: A root resets `child_reaper` in `exit_notify()`, before it can be reaped, and a
    // task that is reaped is freed after a grace period: under RCU `root` is valid.
    unsafe { bindings::__task_pid_nr_ns(root, bindings::pid_type_PIDTYPE_TGID, viewer.as_ptr()) }
}

/// Makes the files.
pub(crate) fn init() -> Result {
    // Writers are checked against the user namespace that owns their pid namespace, which the
    // mode of a file cannot express.
    procfs::create::<ContainerFile>(c"container", 0o666)?;
    procfs::create::<ContainersFile>(c"containers", 0o444)
}
