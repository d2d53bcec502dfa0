// SPDX-License-Identifier: GPL-2.0

//! The containers of one pid namespace, by id and by name.

use super::{
    container::Container,
    id_pool::IdPool,
    layout::Id,
    name::Name,
    namespace::View,
    registry::{Handle, InsertError, Names, Registry},
};
use kernel::{
    pid_namespace::PidNamespace,
    prelude::*,
    rbtree::{RBTree, RBTreeNode, RBTreeNodeReservation},
    sync::{aref::ARef, new_spinlock, rcu, SpinLock},
    xarray::{AllocKind, XArray},
};

/// Names that lead to views, each with a reference.
struct Tree(RBTree<Name, ARef<PidNamespace>>);

impl Handle for ARef<PidNamespace> {
    fn has_ended(&self) -> bool {
        View::of(self).is_some_and(View::has_ended)
    }
}

impl Names for Tree {
    type Handle = ARef<PidNamespace>;
    type Node = RBTreeNode<Name, ARef<PidNamespace>>;
    type Removed = Self::Node;

    fn get(&self, name: &Name) -> Option<&Self::Handle> {
        self.0.get(name)
    }

    fn insert(&mut self, node: Self::Node) {
        self.0.insert(node);
    }

    fn remove(&mut self, name: &Name) -> Option<Self::Removed> {
        self.0.remove_node(name)
    }
}

/// The directory of the views of a base.
///
/// Readers find a view by its id under RCU. A view has a reference by its name, until its
/// container has ended, and one by its id, until nobody can have a number of it.
///
/// `registry` is the outer lock, that of `views` the inner one.
#[pin_data]
pub(crate) struct Directory {
    #[pin]
    views: XArray<ARef<PidNamespace>>,
    #[pin]
    registry: SpinLock<Registry<Tree, KVVec<u16>>>,
}

/// The memory for an entry, to be had before the lock is.
pub(crate) struct Reservation {
    node: RBTreeNodeReservation<Name, ARef<PidNamespace>>,
    container: Pin<KBox<core::mem::MaybeUninit<Container>>>,
}

impl Reservation {
    /// Allocates the memory for an entry.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            node: RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?,
            container: KBox::new_uninit(GFP_KERNEL_ACCOUNT)?.into(),
        })
    }
}

/// An id and a name that are taken, and given back when this is dropped.
pub(crate) struct Entry<'a> {
    dir: &'a Directory,
    view: &'a View,
    name: Name,
    id: Id,
    /// It can be found by its id.
    published: bool,
}

impl Directory {
    /// Makes a directory without containers.
    pub(crate) fn new() -> Result<Pin<KBox<Self>>> {
        let mut ring = KVVec::with_capacity(Id::COUNT, GFP_KERNEL_ACCOUNT)?;
        ring.resize(Id::COUNT, 0, GFP_KERNEL_ACCOUNT)?;
        let ids = IdPool::new(ring).ok_or(EINVAL)?;

        KBox::pin_init(
            pin_init!(Self {
                views <- XArray::new_accounted(AllocKind::Alloc),
                registry <- new_spinlock!(Registry::new(Tree(RBTree::new()), ids)),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Takes the next id and `name`, for `view`.
    ///
    /// # Errors
    ///
    /// `EEXIST` if there is a container of that name, `ENOSPC` if there is no id left, `ENOMEM`.
    pub(crate) fn insert<'a>(
        &'a self,
        name: Name,
        view: &'a ARef<PidNamespace>,
        memory: Reservation,
    ) -> Result<Entry<'a>> {
        let reference = view.clone();
        let node = memory.node.into_node(name, view.clone());
        let view = View::of(view).ok_or(EINVAL)?;

        // Whatever is dropped with a reference in it is dropped without the lock.
        let inserted = self.registry.lock().insert(&name, node);
        let (id, _old) = inserted.map_err(|(e, _node)| match e {
            InsertError::Exists => EEXIST,
            InsertError::NoId => ENOSPC,
        })?;
        let mut entry = Entry {
            dir: self,
            view,
            name,
            id,
            published: false,
        };

        // The view has to be complete before an RCU reader can find it.
        view.set_container(KBox::write(
            Pin::into_inner(memory.container),
            Container::new(name, id),
        ));
        let old = self
            .views
            .lock()
            .store(id.as_raw() as usize, reference, GFP_KERNEL_ACCOUNT)?;
        entry.published = true;
        drop(old);
        Ok(entry)
    }

    /// The last member of the container of `view` has died: its name goes.
    pub(crate) fn end(&self, view: &View, container: &Container) {
        let mut registry = self.registry.lock();
        let by_name = registry.end(container.name(), |found| view.is(found));
        drop(registry);
        drop(by_name);
    }

    /// Nobody has a number of the container of `view` any more: its id goes, and its name if that
    /// is still there.
    pub(crate) fn retire(&self, view: &View, container: &Container) {
        self.remove(view, container.name(), container.id(), false);
    }

    fn remove(&self, view: &View, name: &Name, id: Id, unseen: bool) {
        let mut registry = self.registry.lock();
        let by_name = registry.end(name, |found| view.is(found));
        let by_id = registry.retire(id, unseen, || {
            let mut views = self.views.lock();
            let index = id.as_raw() as usize;
            views.get(index).filter(|found| view.is(found))?;
            views.remove(index)
        });
        drop(registry);

        // What is freed with the last reference is freed without the lock.
        drop((by_name, by_id));
    }

    /// Returns the view of container `name`.
    pub(crate) fn find_name(&self, name: &Name) -> Option<ARef<PidNamespace>> {
        self.registry.lock().find(name).cloned()
    }

    /// Returns the view of container `id`.
    pub(crate) fn find_id<'a>(&self, id: Id, rcu: &'a rcu::Guard) -> Option<&'a View> {
        let ptr = self.views.load(id.as_raw() as usize)?;
        // SAFETY: What is in `views` has a reference, which had not been dropped when `rcu` began.
        unsafe { View::from_rcu(ptr, rcu) }
    }

    /// Returns the first container whose id is at least `id`, and its view.
    pub(crate) fn find_ge<'a>(&self, id: Id, rcu: &'a rcu::Guard) -> Option<(Id, &'a View)> {
        let (index, ptr) = self.views.find_ge(id.as_raw() as usize)?;
        // SAFETY: As in `find_id()`.
        let view = unsafe { View::from_rcu(ptr, rcu) }?;
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
        if self.published {
            self.dir.remove(self.view, &self.name, self.id, true);
            return;
        }
        let mut registry = self.dir.registry.lock();
        let by_name = registry.end(&self.name, |found| self.view.is(found));
        registry.give(self.id, true);
        drop(registry);
        drop(by_name);
    }
}
