// SPDX-License-Identifier: GPL-2.0

//! The pool of container ids.
//!
//! Ids are part of pids, and pids that come back quickly are a classic source of bugs: somebody
//! still has the old number and hits the new owner. So an id that is given back is handed out
//! again only after all others that are free: a queue. That is why this is neither an `ida` nor
//! [`kernel::id_pool`], which hand out the lowest free id.
//!
//! This file is pure `core`: the same source is tested on the host.

use super::layout::Id;
use core::ops::DerefMut;

/// A queue of free ids over storage for [`Id::COUNT`] of them.
///
/// # Invariants
///
/// `head < COUNT` and `free <= COUNT`. The `free` entries of `ring` from `head` on, modulo
/// [`Id::COUNT`], are offsets from [`Id::FIRST`] of the ids that are free, each once.
pub struct IdPool<S> {
    ring: S,
    head: usize,
    free: usize,
}

// An offset fits an entry of the ring.
const _: () = assert!(Id::COUNT <= 1 << u16::BITS);

impl<S: DerefMut<Target = [u16]>> IdPool<S> {
    /// Makes a pool in which all ids are free.
    ///
    /// Returns [`None`] if `ring` does not have [`Id::COUNT`] entries.
    pub fn new(mut ring: S) -> Option<Self> {
        if ring.len() != Id::COUNT {
            return None;
        }
        for (offset, entry) in ring.iter_mut().enumerate() {
            *entry = offset as u16;
        }
        // INVARIANT: All ids are in the ring, each once.
        Some(IdPool {
            ring,
            head: 0,
            free: Id::COUNT,
        })
    }

    /// Takes the id that has been free for longest.
    pub fn take(&mut self) -> Option<Id> {
        if self.free == 0 {
            return None;
        }
        let offset = self.ring[self.head];
        // INVARIANT: The id leaves at the head, the others stay.
        self.head = (self.head + 1) % Id::COUNT;
        self.free -= 1;
        Id::new(Id::FIRST.as_raw() + u32::from(offset))
    }

    /// Gives back an id that was in use: all others come first.
    pub fn give(&mut self, id: Id) {
        if self.free == Id::COUNT {
            return;
        }
        let tail = (self.head + self.free) % Id::COUNT;
        // INVARIANT: `id` was taken, so it is not in the ring yet.
        self.ring[tail] = Self::offset(id);
        self.free += 1;
    }

    /// Takes back the latest [`Self::take`]: nobody has seen `id`.
    ///
    /// Ids that were taken in the meantime stay taken.
    pub fn undo(&mut self, id: Id) {
        if self.free == Id::COUNT {
            return;
        }
        // INVARIANT: `id` was taken, so it is not in the ring yet.
        self.head = (self.head + Id::COUNT - 1) % Id::COUNT;
        self.ring[self.head] = Self::offset(id);
        self.free += 1;
    }

    fn offset(id: Id) -> u16 {
        (id.as_raw() - Id::FIRST.as_raw()) as u16
    }
}
