// SPDX-License-Identifier: MPL-2.0
//! The keys by which the event loop and the reaper name processes.

use std::sync::atomic::{AtomicU64, Ordering};

/// Names a process among all that are waited for; never used twice.
pub(crate) type ProcessKey = u64;

/// Not a process but the reaper's wakeup.
pub(crate) const WAKEUP: ProcessKey = 0;

/// Set in the number of a descriptor that tells something of a process.
const DESCRIPTOR: u64 = 1 << 63;

/// The number of the descriptor that tells something of a process.
pub(crate) fn descriptor_of(key: ProcessKey) -> u64 {
    key | DESCRIPTOR
}

/// The process that a descriptor tells something of, if that is the number of one.
pub(crate) fn process_of(number: u64) -> Option<ProcessKey> {
    (number & DESCRIPTOR != 0).then_some(number & !DESCRIPTOR)
}

/// A key that no process had before, in any supervisor of this program.
pub(crate) fn new_key() -> ProcessKey {
    static NEXT: AtomicU64 = AtomicU64::new(WAKEUP + 1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
