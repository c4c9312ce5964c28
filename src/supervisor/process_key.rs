// SPDX-License-Identifier: MPL-2.0
//! The keys by which the event loop and the reaper name processes.

use std::sync::atomic::{AtomicU64, Ordering};

/// Names a process among all that are waited for; never used twice.
pub(crate) type ProcessKey = u64;

/// Not a process but the reaper's wakeup.
pub(crate) const WAKEUP: ProcessKey = 0;

/// A key that no process had before, in any supervisor of this program.
pub(crate) fn new_key() -> ProcessKey {
    static NEXT: AtomicU64 = AtomicU64::new(WAKEUP + 1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
