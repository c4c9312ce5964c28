// SPDX-License-Identifier: MPL-2.0
//! How many clients are answered at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many places.
pub(crate) struct Places {
    most: usize,
    taken: Arc<AtomicUsize>,
}

impl Places {
    pub(crate) fn new(most: usize) -> Places {
        Places { most, taken: Arc::new(AtomicUsize::new(0)) }
    }

    /// One of them, if there is one.
    pub(crate) fn take(&self) -> Option<Place> {
        let place = Place { taken: Arc::clone(&self.taken) };
        let before = self.taken.fetch_add(1, Ordering::Relaxed);
        (before < self.most).then_some(place)
    }
}

/// The place of one client, until it is dropped.
pub(crate) struct Place {
    taken: Arc<AtomicUsize>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}
