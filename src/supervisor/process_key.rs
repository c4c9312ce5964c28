// SPDX-License-Identifier: MPL-2.0
//! The keys by which the event loop and the reaper name processes.

use std::sync::atomic::{AtomicU64, Ordering};

/// Identifies a process among all that are waited for; never reused.
pub(crate) type ProcessKey = u64;

/// Not a process but the reaper's wakeup.
pub(crate) const WAKEUP: ProcessKey = 0;

/// What there is to learn of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reported {
    /// It may have ended.
    End(ProcessKey),
    /// It may be ready.
    Readiness(ProcessKey),
    /// It has sent something.
    Notifications(ProcessKey),
}

/// Set in the number of a descriptor that tells whether a process is ready, and in that of its notifications.
const READINESS: u64 = 1 << 63;
const NOTIFICATIONS: u64 = 1 << 62;

/// The number of the descriptor that tells whether a process is ready.
pub(crate) fn readiness_of(key: ProcessKey) -> u64 {
    key | READINESS
}

/// The number of the descriptor to which a process sends notifications.
pub(crate) fn notifications_of(key: ProcessKey) -> u64 {
    key | NOTIFICATIONS
}

/// What a number stands for.
pub(crate) fn reported(number: u64) -> Reported {
    let key = number & !(READINESS | NOTIFICATIONS);
    match number & (READINESS | NOTIFICATIONS) {
        0 => Reported::End(key),
        READINESS => Reported::Readiness(key),
        _ => Reported::Notifications(key),
    }
}

/// A key that no process had before, in any supervisor of this program.
pub(crate) fn new_key() -> ProcessKey {
    static NEXT: AtomicU64 = AtomicU64::new(WAKEUP + 1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
