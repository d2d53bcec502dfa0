// SPDX-License-Identifier: GPL-2.0

//! The parts of `kernel/pidspace/` that need nothing but `core`, as the kernel builds them.

#![no_std]
#![deny(missing_docs)]

#[path = "../kernel/pidspace/id_pool.rs"]
pub mod id_pool;
#[path = "../kernel/pidspace/layout.rs"]
pub mod layout;
#[path = "../kernel/pidspace/name.rs"]
pub mod name;
#[path = "../kernel/pidspace/registry.rs"]
pub mod registry;

/// The default configuration of a 64-bit kernel.
pub mod config {
    /// `CONFIG_PIDSPACE_VPID_BITS`
    pub const VPID_BITS: u32 = 16;
    /// `PID_MAX_LIMIT`, include/linux/threads.h
    pub const PID_MAX_LIMIT: u32 = 4 << 20;
}
