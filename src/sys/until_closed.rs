// SPDX-License-Identifier: MPL-2.0
//! Waits in unit tests for what happens after a descriptor is closed.

use std::time::{Duration, Instant};

/// Repeats an attempt until it has a result, which it has once a descriptor is closed in every process.
///
/// A process that another test of this program is just starting has a copy of each descriptor until it executes its
/// program, and a forked worker of a test until that ends it.
///
/// # Panics
/// If there is none within 30 seconds.
pub(crate) fn until_closed<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for a descriptor to be closed");
        std::thread::yield_now();
    }
}
