// SPDX-License-Identifier: GPL-2.0

//! The layout of pid numbers.
//!
//! A container has an id and gives its members vpids. In the namespace that the container was
//! carved from, a native member is known by its [`HostPid`], id and vpid side by side:
//!
//! ```text
//!  31   28 27              16 15                0     with CONFIG_PIDSPACE_VPID_BITS=16
//! +-------+------------------+------------------+
//! |   0   |   id, >= 64      |   vpid, >= 1     |
//! +-------+------------------+------------------+
//! ```
//!
//! Ids start where ordinary pids end, so that a number tells by itself which of the two it is.
//!
//! This file is pure `core`: the same source is tested on the host.

use super::config::{PID_MAX_LIMIT, VPID_BITS};

/// Bits of a host pid.
///
/// The id of a CPU clock is `~pid << 3` in a signed int, see `include/linux/posix-timers_types.h`.
/// That is the tightest of the limits; `FUTEX_TID_MASK` has 30 bits, a process group that is
/// negated 31.
pub const HOST_PID_BITS: u32 = 28;

const FUTEX_TID_BITS: u32 = 30;

const _: () = assert!(VPID_BITS >= 12 && VPID_BITS <= 20);
const _: () = assert!(HOST_PID_BITS + 3 < i32::BITS);
const _: () = assert!(HOST_PID_BITS <= FUTEX_TID_BITS);
// No container takes a number from the default container, and none is lost in between.
const _: () = assert!(PID_MAX_LIMIT > 0 && PID_MAX_LIMIT % (1 << VPID_BITS) == 0);
const _: () = assert!(PID_MAX_LIMIT < 1 << HOST_PID_BITS);

/// A number inside of a container, from 1 to [`Vpid::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Vpid(u32);

impl Vpid {
    /// The root of a container.
    pub const ROOT: Vpid = Vpid(1);
    /// The largest vpid.
    pub const MAX: Vpid = Vpid((1 << VPID_BITS) - 1);

    /// Makes a vpid of `nr`, if it is in range.
    pub const fn new(nr: i32) -> Option<Vpid> {
        if nr >= Self::ROOT.as_raw() && nr <= Self::MAX.as_raw() {
            Some(Vpid(nr as u32))
        } else {
            None
        }
    }

    /// Returns the number as C has it.
    pub const fn as_raw(self) -> i32 {
        self.0 as i32
    }
}

/// The id of a container, from [`Id::FIRST`] to [`Id::LAST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id(u32);

impl Id {
    /// The lowest id: its host pids start where ordinary pids end.
    pub const FIRST: Id = Id(PID_MAX_LIMIT >> VPID_BITS);
    /// The highest id.
    pub const LAST: Id = Id((1 << (HOST_PID_BITS - VPID_BITS)) - 1);
    /// How many there are.
    pub const COUNT: usize = (Self::LAST.0 - Self::FIRST.0 + 1) as usize;

    /// Makes an id of `id`, if it is in range.
    pub const fn new(id: u32) -> Option<Id> {
        if id >= Self::FIRST.0 && id <= Self::LAST.0 {
            Some(Id(id))
        } else {
            None
        }
    }

    /// Returns the id as a number.
    pub const fn as_raw(self) -> u32 {
        self.0
    }
}

/// The number of a native member outside of its container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPid(u32);

impl HostPid {
    /// The lowest host pid.
    pub const FIRST: HostPid = HostPid::new(Id::FIRST, Vpid::ROOT);

    /// Composes the number of `vpid` in container `id`.
    pub const fn new(id: Id, vpid: Vpid) -> HostPid {
        HostPid(id.0 << VPID_BITS | vpid.0)
    }

    /// Makes a host pid of a number from outside, if it is one.
    pub const fn from_raw(nr: i32) -> Option<HostPid> {
        if nr < 0 {
            return None;
        }
        let nr = nr as u32;
        match (
            Id::new(nr >> VPID_BITS),
            Vpid::new((nr & Vpid::MAX.0) as i32),
        ) {
            (Some(id), Some(vpid)) => Some(Self::new(id, vpid)),
            _ => None,
        }
    }

    /// Returns the container.
    pub const fn id(self) -> Id {
        // By construction in range, see `new()`.
        Id(self.0 >> VPID_BITS)
    }

    /// Returns the number inside of the container.
    pub const fn vpid(self) -> Vpid {
        Vpid(self.0 & Vpid::MAX.0)
    }

    /// Returns the number as C has it.
    pub const fn as_raw(self) -> i32 {
        self.0 as i32
    }
}
