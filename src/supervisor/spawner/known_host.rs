// SPDX-License-Identifier: MPL-2.0
//! What a spawner thread knows of the host process, which it reads once for all jobs that wait already.
//!
//! What the host has changed before it asked for a start counts for that start: so what was read serves the jobs that had been
//! submitted when it was read, and no later one. And it serves them for a moment only, as many may wait for long.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::sys::spawn::host_process::HostProcess;

/// How old what was read may be: some tens of starts.
const MAX_AGE: Duration = Duration::from_millis(10);

/// How many jobs were submitted. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct Submitted(Arc<AtomicU64>);

impl Submitted {
    /// The number of a job that is submitted now.
    pub(super) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::AcqRel) + 1
    }

    fn last(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// What is known, and for which jobs.
#[derive(Debug)]
pub(super) struct KnownHost {
    submitted: Submitted,
    /// The job that the thread is at.
    job: u64,
    known: Option<Known>,
}

#[derive(Debug)]
struct Known {
    host: HostProcess,
    /// The last job that had been submitted before it was read.
    last_job: u64,
    /// Just before it was read.
    at: Instant,
}

impl KnownHost {
    pub(super) fn new(submitted: Submitted) -> KnownHost {
        KnownHost { submitted, job: 0, known: None }
    }

    /// The thread begins a job.
    pub(super) fn begin(&mut self, job: u64) {
        self.job = job;
    }

    /// What the host is like, for the job that was begun.
    pub(super) fn get(&mut self) -> HostProcess {
        self.get_by(Instant::now(), HostProcess::read)
    }

    fn get_by(&mut self, now: Instant, read: impl FnOnce() -> HostProcess) -> HostProcess {
        let is_good = |known: &&Known| known.last_job >= self.job && now.duration_since(known.at) < MAX_AGE;
        if let Some(known) = self.known.as_ref().filter(is_good) {
            return known.host;
        }
        // ORDER: before it is read, for the host may change it and submit a job meanwhile.
        let last_job = self.submitted.last();
        let host = read();
        self.known = Some(Known { host, last_job, at: now });
        host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_is_read_once_for_all_jobs_that_wait_and_anew_for_a_later_one_and_after_a_moment() {
        let submitted = Submitted::default();
        let mut known = KnownHost::new(submitted.clone());
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
        let waiting = [submitted.next(), submitted.next()];
        assert!(is_read_for(waiting[0], Duration::ZERO, &|| {}));
        assert!(!is_read_for(waiting[1], MAX_AGE / 2, &|| {}));
        assert!(is_read_for(waiting[1], MAX_AGE, &|| {}));
        let later = submitted.next();
        assert!(is_read_for(later, MAX_AGE, &|| assert_eq!(submitted.next(), later + 1)));
        assert!(is_read_for(later + 1, MAX_AGE, &|| {}), "it was submitted while the host was read");
    }
}
