// SPDX-License-Identifier: MPL-2.0
//! The writer's side of a feed.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::readiness::Readiness;

/// An entry of a feed, or a gap.
pub(crate) trait Entry: Clone {
    /// Stands for `missed` entries that a reader lost; the last of them had this number.
    fn gap(number: u64, at: SystemTime, missed: u64) -> Self;
}

/// Where entries are published.
#[derive(Debug)]
pub(crate) struct Feed<T> {
    ring: Mutex<Ring<T>>,
    pub(super) published: Condvar,
}

#[derive(Debug)]
pub(super) struct Ring<T> {
    capacity: usize,
    /// The number of the next entry.
    pub(super) next: u64,
    /// The latest entries; the last one has the number `next - 1`.
    pub(super) kept: VecDeque<T>,
    /// Nothing is kept without readers.
    pub(super) readers: usize,
    /// No more entries will come.
    pub(super) ended: bool,
    /// The descriptors that are not readable because their readers have nothing to read: the next entry makes them
    /// readable. All others already are, and need no system call.
    pub(super) unready: Vec<Arc<Readiness>>,
}

impl<T> Ring<T> {
    pub(super) fn oldest(&self) -> u64 {
        self.next - self.kept.len() as u64
    }

    /// Whether there is something to read from this position on; the end counts.
    pub(super) fn is_ready(&self, position: u64) -> bool {
        self.ended || position < self.next
    }

    fn make_all_ready(&mut self) {
        for readiness in self.unready.drain(..) {
            readiness.set();
        }
    }
}

impl<T> Feed<T> {
    pub(crate) fn new(capacity: usize) -> Arc<Feed<T>> {
        let (kept, unready) = (VecDeque::new(), Vec::new());
        let ring = Ring { capacity: capacity.max(1), next: 1, kept, readers: 0, ended: false, unready };
        Arc::new(Feed { ring: Mutex::new(ring), published: Condvar::new() })
    }

    /// Publishes an entry, made with its number and the time; never waits for a reader.
    pub(crate) fn add(&self, entry: impl FnOnce(u64, SystemTime) -> T) {
        let mut ring = self.lock();
        let number = ring.next;
        ring.next += 1;
        if ring.readers == 0 {
            ring.kept.clear();
            return;
        }
        if ring.kept.len() == ring.capacity {
            ring.kept.pop_front();
        }
        ring.kept.push_back(entry(number, SystemTime::now()));
        // ORDER: under the lock, so that the descriptor always agrees with what there is to read.
        ring.make_all_ready();
        drop(ring);
        self.published.notify_all();
    }

    /// Wakes every reader: there will be no more entries.
    pub(crate) fn end(&self) {
        let mut ring = self.lock();
        ring.ended = true;
        ring.make_all_ready();
        drop(ring);
        self.published.notify_all();
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Ring<T>> {
        // Nothing panics while it is held; and a ring is consistent after every step anyway.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
