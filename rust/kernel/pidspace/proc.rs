// SPDX-License-Identifier: GPL-2.0

//! `/proc/container`, `/proc/containers` and `/proc/PID/container`.

use super::{
    directory::Directory,
    enter::{create, join},
    layout::Id,
    name::{Name, NameError},
    namespace::{Base, View},
};
use kernel::{
    iov::IovIterSource,
    pid_namespace::PidNamespace,
    prelude::*,
    procfs::{Entry, OpenFile, Place, Registration},
    seq_file::SeqFile,
    seq_print,
    sync::{atomic::Relaxed, rcu},
};

/// Prints the name of the container that `ns` is the view of, or an empty line.
pub(crate) fn show_name(m: &SeqFile, ns: &PidNamespace) {
    match View::of(ns).and_then(View::container) {
        Some(container) => seq_print!(m, "{}\n", container.name().as_str()),
        None => seq_print!(m, "\n"),
    }
}

/// `/proc/container`: reads as the name of the reader's container; a name that is written makes
/// the writer its root or, in append mode, a member.
struct ContainerFile;

#[vtable]
impl Entry for ContainerFile {
    fn seek(_file: &OpenFile, pos: u64) -> Option<u64> {
        (pos == 0).then_some(0)
    }

    fn show(_file: &OpenFile, m: &SeqFile, _row: u64) -> Result {
        if let Some(ns) = current!().active_pid_ns() {
            show_name(m, ns);
        }
        Ok(())
    }

    fn write(file: &OpenFile, data: &mut IovIterSource<'_>, place: Place) -> Result<usize> {
        // A name, a newline, and one byte to see that there is more.
        let mut line = [0u8; Name::MAX + 2];
        let count = data.len();
        let line = &mut line[..count.min(Name::MAX + 2)];

        if data.copy_from_iter(line) != line.len() {
            return Err(EFAULT);
        }

        // Formatted printing often writes a line and its newline one by one. The first of them
        // has had its effect: the second continues it, if that was right before. The word has
        // where that would be.
        let end = file.word().xchg(0, Relaxed);
        if end != 0 && place.pos == end as i64 && line == b"\n" {
            return Ok(count);
        }

        if place.pos != 0 {
            return Err(EINVAL);
        }
        let name = Name::parse(line).map_err(|e| match e {
            NameError::Invalid => EINVAL,
            NameError::TooLong => ENAMETOOLONG,
        })?;
        if count > line.len() {
            return Err(EINVAL);
        }

        if place.append {
            join(name, file.file())?;
        } else {
            create(name, file.file())?;
        }
        if line.last() != Some(&b'\n') {
            file.word().store(count, Relaxed);
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
    Own(&'a View, Id),
    Nothing,
}

impl<'a> Scope<'a> {
    fn of(viewer: &'a PidNamespace) -> Self {
        if let Some(view) = View::of(viewer) {
            match view.container() {
                Some(container) => Scope::Own(view, container.id()),
                None => Scope::Nothing,
            }
        } else {
            match Base::of(viewer).and_then(Base::directory) {
                Some(dir) => Scope::All(dir),
                None => Scope::Nothing,
            }
        }
    }

    /// Returns the first container with members whose id is at least `id`.
    fn find_ge(&self, mut id: Id, rcu: &'a rcu::Guard) -> Option<(Id, &'a View)> {
        match *self {
            Scope::All(dir) => loop {
                let (found, view) = dir.find_ge(id, rcu)?;
                if view.members() != 0 {
                    return Some((found, view));
                }
                id = Id::new(found.as_raw() + 1)?;
            },
            // A mount may show the view of a container that has ended.
            Scope::Own(view, own) => (id <= own && view.members() != 0).then_some((own, view)),
            Scope::Nothing => None,
        }
    }
}

#[vtable]
impl Entry for ContainersFile {
    fn seek(file: &OpenFile, pos: u64) -> Option<u64> {
        if pos == 0 {
            return Some(0);
        }
        let id = Id::new(u32::try_from(pos).ok()?.max(Id::FIRST.as_raw()))?;
        let rcu = rcu::read_lock();
        let (id, _) = Scope::of(file.viewer()).find_ge(id, &rcu)?;
        Some(id.as_raw().into())
    }

    fn show(file: &OpenFile, m: &SeqFile, row: u64) -> Result {
        if row == 0 {
            seq_print!(m, "#name\tid\troot\tmembers\n");
            return Ok(());
        }

        let rcu = rcu::read_lock();
        let viewer = file.viewer();
        let id = Id::new(row as u32).ok_or(EINVAL)?;
        let Some((found, view)) = Scope::of(viewer).find_ge(id, &rcu) else {
            return Ok(());
        };
        // It has ended since `seek()`: the next one has a row of its own.
        if found != id {
            return Ok(());
        }
        let Some(container) = view.container() else {
            return Ok(());
        };
        if !view.is_shown_in(file, &rcu) {
            return Ok(());
        }
        seq_print!(
            m,
            "{}\t{}\t{}\t{}\n",
            container.name().as_str(),
            id.as_raw(),
            view.root_nr(viewer, &rcu),
            view.members(),
        );
        Ok(())
    }
}

/// The two files, as long as they are there.
pub(crate) struct Files {
    _container: Registration<ContainerFile>,
    _containers: Registration<ContainersFile>,
}

impl Files {
    /// Makes the files.
    pub(crate) fn new() -> Result<Self> {
        // Writers are checked against the user namespace that owns their pid namespace, which the
        // mode of a file cannot express.
        Ok(Self {
            _container: Registration::new(c"container", 0o666)?,
            _containers: Registration::new(c"containers", 0o444)?,
        })
    }
}
