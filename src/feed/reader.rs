// SPDX-License-Identifier: MPL-2.0
//! The readers' side of a feed.

use std::os::fd::BorrowedFd;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::readiness::Readiness;
use super::ring::{Entry, Feed, Ring};
use crate::error::{Error, ErrorCode, Result};
use crate::sys::fork::HomeProcess;

/// A reader of the entries that are published after its creation.
#[derive(Debug)]
pub(crate) struct Reader<T> {
    feed: Arc<Feed<T>>,
    /// The number of the next entry to read.
    position: u64,
    /// Created by the first call of [`Reader::descriptor`].
    pub(super) readiness: OnceLock<Arc<Readiness>>,
    pub(super) home: HomeProcess,
}

impl<T> Reader<T> {
    pub(crate) fn of(feed: &Arc<Feed<T>>) -> Reader<T> {
        let mut ring = feed.lock();
        ring.readers += 1;
        let position = ring.next;
        drop(ring);
        Reader { feed: feed.clone(), position, readiness: OnceLock::new(), home: HomeProcess::here() }
    }

    /// The position of the next entry, for a caller that must not hold a lock while it waits.
    pub(crate) fn next_place(&self) -> NextPlace<T> {
        NextPlace { feed: self.feed.clone(), position: self.position }
    }

    /// Whether no entry will come any more and all were read.
    pub(crate) fn is_ended(&self) -> bool {
        let ring = self.feed.lock();
        ring.ended && self.position == ring.next
    }

    /// A descriptor that is readable exactly while there is an entry or a gap to read, and permanently after the end.
    ///
    /// # Errors
    /// - [`ErrorCode::Exhausted`]: no descriptor is left; the call can be repeated.
    /// - [`ErrorCode::Forked`]: the descriptor belongs to the process that forked this one.
    pub(crate) fn descriptor(&self) -> Result<BorrowedFd<'_>> {
        // Under the lock, so that two callers do not create two.
        let mut ring = self.feed.lock();
        if let Some(readiness) = self.readiness.get() {
            return readiness.fd();
        }
        let failed = |error| Error::os(ErrorCode::Exhausted, "create descriptor of a reader", &error);
        let readiness = Arc::new(Readiness::new().map_err(failed)?);
        if ring.is_ready(self.position) {
            readiness.set();
        } else {
            ring.unready.push(readiness.clone());
        }
        self.readiness.get_or_init(|| readiness).fd()
    }
}

impl<T: Entry> Reader<T> {
    /// Waits for the next entry for at most the given time; `None` when the time is over, or at once after the end.
    pub(crate) fn next_timeout(&mut self, timeout: Duration) -> Option<T> {
        if let Some(entry) = self.try_next() {
            return Some(entry);
        }
        self.next_place().wait(timeout);
        self.try_next()
    }

    /// The next entry if there is one.
    pub(crate) fn try_next(&mut self) -> Option<T> {
        let shared = self.feed.clone();
        let mut ring = shared.lock();
        self.take(&mut ring)
    }

    /// Reads the next entry, and makes the descriptor unreadable if it was the last one.
    fn take(&mut self, ring: &mut Ring<T>) -> Option<T> {
        let entry = self.read(ring)?;
        if let (Some(readiness), false) = (self.readiness.get(), ring.is_ready(self.position)) {
            readiness.clear();
            ring.unready.push(readiness.clone());
        }
        Some(entry)
    }

    fn read(&mut self, ring: &Ring<T>) -> Option<T> {
        let oldest = ring.oldest();
        if self.position < oldest {
            let missed = oldest - self.position;
            self.position = oldest;
            return Some(T::gap(oldest - 1, SystemTime::now(), missed));
        }
        let entry = ring.kept.get(usize::try_from(self.position - oldest).ok()?)?.clone();
        self.position += 1;
        Some(entry)
    }
}

/// The position where a reader will find its next entry.
#[derive(Debug)]
pub(crate) struct NextPlace<T> {
    feed: Arc<Feed<T>>,
    position: u64,
}

impl<T> NextPlace<T> {
    /// Waits until there is an entry, until none will come any more, or until the time is over.
    ///
    /// A signal handler of the host may leave the wait by siglongjmp. Nothing is held then: the lock is free while a
    /// thread is in wait_timeout(), and a condition variable of std is a futex on Linux, which has no list of waiting
    /// threads.
    pub(crate) fn wait(&self, timeout: Duration) {
        let deadline = Instant::now().checked_add(timeout);
        let mut ring = self.feed.lock();
        while !ring.is_ready(self.position) {
            let left = deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return;
            }
            let waited = self.feed.published.wait_timeout(ring, left);
            ring = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl<T> Drop for Reader<T> {
    fn drop(&mut self) {
        if !self.home.is_here() {
            // In a forked worker a thread that does not exist there may hold the lock, and the number of the descriptor
            // may meanwhile belong to another file.
            std::mem::forget(self.readiness.take());
            return;
        }
        let mut ring = self.feed.lock();
        ring.readers -= 1;
        if let Some(own) = self.readiness.get() {
            ring.unready.retain(|readiness| !Arc::ptr_eq(readiness, own));
        }
    }
}
