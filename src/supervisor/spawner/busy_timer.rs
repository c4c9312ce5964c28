// SPDX-License-Identifier: MPL-2.0
//! How long a spawner thread has been at one job: by this a stuck one is recognized.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a thread has been at the same piece of work.
#[derive(Debug)]
pub(super) struct BusyTimer {
    epoch: Instant,
    /// The beginning, in milliseconds after the epoch and at least 1; 0 while it waits for work.
    since: AtomicU64,
}

impl BusyTimer {
    pub(super) fn new() -> BusyTimer {
        BusyTimer { epoch: Instant::now(), since: AtomicU64::new(0) }
    }

    pub(super) fn begin(&self) {
        let since = self.epoch.elapsed().as_millis() as u64;
        self.since.store(since.max(1), Ordering::Release);
    }

    pub(super) fn end(&self) {
        self.since.store(0, Ordering::Release);
    }

    pub(super) fn length(&self) -> Duration {
        match self.since.load(Ordering::Acquire) {
            0 => Duration::ZERO,
            since => self.epoch.elapsed().saturating_sub(Duration::from_millis(since)),
        }
    }
}
