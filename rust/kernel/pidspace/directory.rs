// SPDX-License-Identifier: GPL-2.0

//! The containers of one pid namespace, by id and by name.

use super::{
    container::{slot, Container},
    id_pool::IdPool,
    layout::{HostPid, Id, Vpid},
    name::Name,
};
use kernel::{
    bindings,
    pid_namespace::PidNamespace,
    prelude::*,
    rbtree::{RBTree, RBTreeNode, RBTreeNodeReservation},
    sync::{
        aref::ARef,
        atomic::{Acquire, Full},
        new_spinlock, rcu, SpinLock,
    },
    types::ForeignOwnable,
    xarray::{AllocKind, XArray},
};

/// What the writers of a [`Directory`] share.
struct Registry {
    names: RBTree<Name, ARef<PidNamespace>>,
    ids: IdPool<KVVec<u16>>,
}

/// The directory of the views of a base.
///
/// Readers find a view by its id under RCU. A view is in here, by id and by name and with a
/// reference, from before it has its root until its last member has been reaped, however long
/// somebody holds the namespace itself.
///
/// `registry` is the outer lock, that of `views` the inner one.
#[pin_data]
pub(crate) struct Directory {
    #[pin]
    views: XArray<ARef<PidNamespace>>,
    #[pin]
    registry: SpinLock<Registry>,
}

/// The memory for an entry, to be had before the lock is.
pub(crate) struct Reservation(RBTreeNodeReservation<Name, ARef<PidNamespace>>);

impl Reservation {
    /// Allocates the memory for an entry.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(RBTreeNodeReservation::new(GFP_KERNEL)?))
    }
}

/// An id and a name that are taken, and given back when this is dropped.
pub(crate) struct Entry<'a> {
    dir: &'a Directory,
    name: Name,
    id: Id,
}

impl Directory {
    fn new() -> Result<Pin<KBox<Self>>> {
        let mut ring = KVVec::with_capacity(Id::COUNT, GFP_KERNEL)?;
        ring.resize(Id::COUNT, 0, GFP_KERNEL)?;
        let ids = IdPool::new(ring).ok_or(EINVAL)?;

        KBox::pin_init(
            pin_init!(Self {
                views <- XArray::new(AllocKind::Alloc),
                registry <- new_spinlock!(Registry { names: RBTree::new(), ids }),
            }),
            GFP_KERNEL,
        )
    }

    /// Returns the directory of `base`, if it has had a container.
    pub(crate) fn get(base: &PidNamespace) -> Option<&Directory> {
        let ptr = slot(base).load(Acquire);
        if ptr.is_null() {
            return None;
        }
        // SAFETY: What is in the slot of a base was put there by `get_or_create()` and is freed
        // when `base` is, in `free()`.
        Some(unsafe { Pin::<KBox<Directory>>::borrow(ptr) }.get_ref())
    }

    /// Returns the directory of `base`, making it first where there is none.
    pub(crate) fn get_or_create(base: &PidNamespace) -> Result<&Directory> {
        if let Some(dir) = Self::get(base) {
            return Ok(dir);
        }

        let ptr = Self::new()?.into_foreign();
        // Two may be at it; one of them has the directory that both use. The order `Full` makes
        // what `new()` wrote visible before the pointer to it.
        if slot(base)
            .cmpxchg(core::ptr::null_mut(), ptr, Full)
            .is_err()
        {
            // SAFETY: `ptr` comes from `into_foreign()` above and nobody else has it.
            drop(unsafe { Pin::<KBox<Directory>>::from_foreign(ptr) });
        }
        Self::get(base).ok_or(ENOMEM)
    }

    /// Frees the directory of `base`.
    ///
    /// # Safety
    ///
    /// `base` must not be a view, nobody has a reference on it, and no RCU reader that found it
    /// earlier is left.
    pub(crate) unsafe fn free(base: &PidNamespace) {
        let ptr = slot(base).load(Acquire);
        if !ptr.is_null() {
            // SAFETY: The slot is filled by `get_or_create()` only, and this is the last use.
            drop(unsafe { Pin::<KBox<Directory>>::from_foreign(ptr) });
        }
    }

    /// Takes the next id and `name`, for `view` that `container` describes.
    ///
    /// # Errors
    ///
    /// `EEXIST` if there is a container of that name, `ENOSPC` if there is no id left, `ENOMEM`.
    pub(crate) fn insert<'a>(
        &'a self,
        name: Name,
        view: &ARef<PidNamespace>,
        node: Reservation,
        publish: impl FnOnce(Id),
    ) -> Result<Entry<'a>> {
        let node: RBTreeNode<_, _> = node.0.into_node(name, view.clone());
        let entry = {
            let mut registry = self.registry.lock();
            if registry.names.get(&name).is_some() {
                drop(registry);
                return Err(EEXIST);
            }
            let Some(id) = registry.ids.take() else {
                drop(registry);
                return Err(ENOSPC);
            };
            registry.names.insert(node);
            Entry {
                dir: self,
                name,
                id,
            }
        };

        // The view has to be complete before an RCU reader can find it.
        publish(entry.id);
        self.views
            .lock()
            .store(entry.id.as_raw() as usize, view.clone(), GFP_KERNEL)?;
        Ok(entry)
    }

    /// Removes an entry and frees its name and id.
    ///
    /// When this returns both are free, also where somebody else was just about to remove the
    /// entry. Does nothing if the name belongs to another container by now.
    fn remove(&self, name: &Name, id: Id, seen: bool) {
        let mut registry = self.registry.lock();
        let ours = registry
            .names
            .get(name)
            .is_some_and(|view| Container::of(view).is_some_and(|c| c.id() == id));
        if !ours {
            return;
        }

        let by_name = registry.names.remove_node(name);
        // The id may be handed out as soon as it is in the pool: out of the array first.
        let by_id = self.views.lock().remove(id.as_raw() as usize);
        if seen {
            registry.ids.give(id);
        } else {
            registry.ids.undo(id);
        }
        drop(registry);

        // What is freed with the last reference is freed without the lock.
        drop((by_name, by_id));
    }

    /// Removes `container`, whose last member has gone.
    pub(crate) fn end(&self, container: &Container) {
        self.remove(container.name(), container.id(), true);
    }

    /// Returns the view of container `name`.
    pub(crate) fn find_name(&self, name: &Name) -> Option<ARef<PidNamespace>> {
        self.registry.lock().names.get(name).cloned()
    }

    /// Returns the view of container `id`.
    pub(crate) fn find_id<'a>(&self, id: Id, rcu: &'a rcu::Guard) -> Option<&'a PidNamespace> {
        self.views.load(id.as_raw() as usize, rcu)
    }

    /// Returns the first container whose id is at least `id`, and its view.
    pub(crate) fn find_ge<'a>(
        &self,
        id: Id,
        rcu: &'a rcu::Guard,
    ) -> Option<(Id, &'a PidNamespace)> {
        let (index, view) = self.views.find_ge(id.as_raw() as usize, rcu)?;
        Some((Id::new(index as u32)?, view))
    }
}

impl Entry<'_> {
    /// Keeps the entry: from now on it goes when the container ends.
    pub(crate) fn keep(self) {
        core::mem::forget(self);
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.dir.remove(&self.name, self.id, false);
    }
}

/// Returns the number of `pid` at the level of `ns`, outside of any container.
///
/// # Safety
///
/// `pid` is valid and at least at the level of `ns`.
unsafe fn outer_nr(pid: *mut bindings::pid, ns: &PidNamespace) -> i32 {
    // SAFETY: By the requirements there are `level + 1` numbers. `nr` is written before the pid
    // can be found and never again.
    unsafe {
        let level = (*ns.as_ptr()).level as usize;
        (*(*pid).numbers.as_ptr().add(level)).nr
    }
}

/// Looks up a number in the idr of a namespace.
fn idr_find(ns: &PidNamespace, nr: i32) -> *mut bindings::pid {
    // SAFETY: `ns` is valid; an idr may be read while it is modified.
    unsafe { bindings::idr_find(&raw const (*ns.as_ptr()).idr, nr as usize).cast() }
}

/// Returns the entry of the idr of a namespace at `nr` or the next one, and sets `nr` to it.
fn idr_get_next(ns: &PidNamespace, nr: &mut i32) -> *mut bindings::pid {
    // SAFETY: `ns` is valid; an idr may be read while it is modified.
    unsafe { bindings::idr_get_next(&raw mut (*ns.as_ptr()).idr, nr).cast() }
}

/// Finds the pid that `base` knows as `nr`, a number of a container.
///
/// Called under `rcu`, by which the result is valid.
pub(crate) fn find_pid(nr: i32, base: &PidNamespace, rcu: &rcu::Guard) -> *mut bindings::pid {
    let find = || {
        let host_pid = HostPid::from_raw(nr)?;
        let view = Directory::get(base)?.find_id(host_pid.id(), rcu)?;
        let pid = idr_find(view, host_pid.vpid().as_raw());
        // A root or a joiner that came from `base` is in this idr but known by its number there.
        // SAFETY: What is in the idr of a view is a pid of its level or deeper, valid under RCU.
        (!pid.is_null() && unsafe { outer_nr(pid, base) } == nr).then_some(pid)
    };
    find().unwrap_or(core::ptr::null_mut())
}

/// Finds the first pid whose number in `ns` is at least `nr`.
///
/// Called under `rcu`, by which the result is valid.
pub(crate) fn find_ge_pid(mut nr: i32, ns: &PidNamespace, rcu: &rcu::Guard) -> *mut bindings::pid {
    if Container::of(ns).is_some() {
        loop {
            let pid = idr_get_next(ns, &mut nr);
            // A former number leads to a pid, but is not its number: whoever walks by numbers
            // would go backwards from it.
            // SAFETY: `pid` is valid under RCU and `ns` is too.
            if pid.is_null() || unsafe { bindings::pid_nr_ns(pid, ns.as_ptr()) } == nr {
                return pid;
            }
            nr += 1;
        }
    }

    let pid = idr_get_next(ns, &mut nr);
    if !pid.is_null() {
        return pid;
    }

    // All containers, from the one that `nr` is in.
    let find = || {
        let dir = Directory::get(ns)?;
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
                let pid = idr_get_next(view, &mut vnr);
                if pid.is_null() {
                    break;
                }
                let here = Vpid::new(vnr).map(|vpid| HostPid::new(found, vpid).as_raw());
                // Not those that came from `ns`: they are in its own idr.
                // SAFETY: What is in the idr of a view is a pid of its level or deeper, valid
                // under RCU.
                if here == Some(unsafe { outer_nr(pid, ns) }) {
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
