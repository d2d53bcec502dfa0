// SPDX-License-Identifier: GPL-2.0

//! Who has which name and which id.
//!
//! What its callers rely on:
//!
//! - A name is free from the instant at which its container ends, without anybody having come to
//!   remove it: who inserts the name next takes it over.
//! - Whoever comes late, to remove what has ended, may find somebody else with that name, or that
//!   id. An entry is recognised by the container it leads to, never by its name or number.
//! - An id is free when its container has been retired, which is later: a process outside may be
//!   in a group that has a number of it.
//!
//! This file is pure `core`: the same source is tested on the host, and by a model that tries all
//! interleavings.

use super::{id_pool::IdPool, layout::Id, name::Name};
use core::ops::DerefMut;

/// A reference to a container in the registry.
pub trait Handle {
    /// Says whether it has ended. Once true this stays true.
    fn has_ended(&self) -> bool;
}

/// A map from names to containers that can be changed without allocating.
pub trait Names {
    /// What it has for a name.
    type Handle: Handle;
    /// Memory for an entry, with what it will be.
    type Node;
    /// An entry that was taken out, to be dropped without the lock.
    type Removed;

    /// Returns what `name` leads to.
    fn get(&self, name: &Name) -> Option<&Self::Handle>;
    /// Adds `node`, whose name is not in the map.
    fn insert(&mut self, node: Self::Node);
    /// Takes out `name`.
    fn remove(&mut self, name: &Name) -> Option<Self::Removed>;
}

/// Why there is no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertError {
    /// There is a container of that name.
    Exists,
    /// There is no id left.
    NoId,
}

/// The names and ids of the containers of one base. Its owner has a lock around it.
pub struct Registry<N, S> {
    names: N,
    ids: IdPool<S>,
}

impl<N: Names, S: DerefMut<Target = [u16]>> Registry<N, S> {
    /// Makes a registry of the pool `ids`, without names.
    pub fn new(names: N, ids: IdPool<S>) -> Self {
        Self { names, ids }
    }

    /// Takes the next id, and `name` for `node`.
    ///
    /// Returns what had the name before and has ended, too.
    pub fn insert(
        &mut self,
        name: &Name,
        node: N::Node,
    ) -> Result<(Id, Option<N::Removed>), (InsertError, N::Node)> {
        if self.names.get(name).is_some_and(|old| !old.has_ended()) {
            return Err((InsertError::Exists, node));
        }
        let Some(id) = self.ids.take() else {
            return Err((InsertError::NoId, node));
        };
        let old = self.names.remove(name);
        self.names.insert(node);
        Ok((id, old))
    }

    /// Returns what has `name`.
    pub fn find(&self, name: &Name) -> Option<&N::Handle> {
        self.names.get(name)
    }

    /// Takes `name` away from the container that `is_it` recognises, if it has that still.
    pub fn end(
        &mut self,
        name: &Name,
        is_it: impl FnOnce(&N::Handle) -> bool,
    ) -> Option<N::Removed> {
        if is_it(self.names.get(name)?) {
            self.names.remove(name)
        } else {
            None
        }
    }

    /// Gives `id` back, unless that has been done.
    ///
    /// `take_out` takes the owner of `id` out of where it can be found by that, and returns it; a
    /// second caller gets nothing from it. The id may be handed out as soon as it is in the pool,
    /// so that comes first. If `unseen` nobody has seen `id`, and it is the next one again.
    pub fn retire<T>(
        &mut self,
        id: Id,
        unseen: bool,
        take_out: impl FnOnce() -> Option<T>,
    ) -> Option<T> {
        let taken = take_out()?;
        self.give(id, unseen);
        Some(taken)
    }

    /// Gives `id` back, which was never where it can be found by that.
    pub fn give(&mut self, id: Id, unseen: bool) {
        if unseen {
            self.ids.undo(id);
        } else {
            self.ids.give(id);
        }
    }
}
