// SPDX-License-Identifier: MPL-2.0
//! Flags that end threads.

use std::sync::atomic::{AtomicBool, Ordering};

/// Raises a flag when it is dropped: threads that go on until then end also when the test fails, which would hang otherwise.
pub(crate) struct RaiseAtEnd<'a>(pub(crate) &'a AtomicBool);

impl Drop for RaiseAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
