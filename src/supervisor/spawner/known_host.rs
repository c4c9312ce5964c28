// SPDX-License-Identifier: MPL-2.0
//! What a spawner thread knows of the host process, which it reads once for many jobs.
//!
//! What the host has changed before it asked for something counts for that: so what was read serves the jobs that follow from what
//! the supervisor had heard of the host by then, and no later one. And it serves them for a moment only, as many may wait for long.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::sys::spawn::host_process::HostProcess;

/// How old what was read may be: some tens of starts.
const MAX_AGE: Duration = Duration::from_millis(10);

/// How often the supervisor has heard of the host. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard(Arc<AtomicU64>);

impl Heard {
    /// The host has asked for something.
    pub(super) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    /// How often until now.
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// What is known, and for which jobs.
#[derive(Debug)]
pub(super) struct KnownHost {
    heard: Heard,
    /// What had been heard when the job was submitted that the thread is at.
    wanted: u64,
    known: Option<Known>,
}

#[derive(Debug)]
struct Known {
    host: HostProcess,
    /// What had been heard before it was read.
    heard: u64,
    /// Just before it was read.
    at: Instant,
}

impl KnownHost {
    pub(super) fn new(heard: Heard) -> KnownHost {
        KnownHost { heard, wanted: 0, known: None }
    }

    /// The thread begins a job that was submitted when so much had been heard.
    pub(super) fn begin(&mut self, heard: u64) {
        self.wanted = heard;
    }

    /// What the host is like, for the job that was begun.
    pub(super) fn get(&mut self) -> HostProcess {
        self.get_by(Instant::now(), HostProcess::read)
    }

    fn get_by(&mut self, now: Instant, read: impl FnOnce() -> HostProcess) -> HostProcess {
        let is_good = |known: &&Known| known.heard >= self.wanted && now.duration_since(known.at) < MAX_AGE;
        if let Some(known) = self.known.as_ref().filter(is_good) {
            return known.host;
        }
        // ORDER: before it is read, for the host may change it and ask for something meanwhile.
        let heard = self.heard.count();
        let host = read();
        self.known = Some(Known { host, heard, at: now });
        host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_is_read_once_for_all_that_it_asked_for_before_and_anew_for_what_it_asks_later_and_after_a_moment() {
        let heard = Heard::default();
        let mut known = KnownHost::new(heard.clone());
        let host = HostProcess::read();
        let start = Instant::now();
        let mut is_read_for = |job, after: Duration, while_reading: &dyn Fn()| {
            let mut is_read = false;
            known.begin(job);
            known.get_by(start + after, || {
                is_read = true;
                while_reading();
                host
            });
            is_read
        };
        let asks = || {
            heard.add_one();
            heard.count()
        };
        let waiting = [asks(), asks()];
        assert!(is_read_for(waiting[0], Duration::ZERO, &|| {}));
        assert!(!is_read_for(waiting[1], MAX_AGE / 2, &|| {}));
        assert!(!is_read_for(heard.count(), MAX_AGE / 2, &|| {}), "nothing was asked for since");
        assert!(is_read_for(waiting[1], MAX_AGE, &|| {}));
        let later = asks();
        assert!(is_read_for(later, MAX_AGE, &|| assert_eq!(asks(), later + 1)));
        assert!(is_read_for(later + 1, MAX_AGE, &|| {}), "it was asked for while the host was read");
    }
}
