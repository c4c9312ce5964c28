// SPDX-License-Identifier: MPL-2.0
//! How often things have happened to the proxies of a manager, for its metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::occurrence::{ProxyOccurrence, SnapshotOccurrence};
use crate::sys::wait::ExitStatus;

/// Upper bounds of the time histograms, in milliseconds; longer times are in the last bucket.
pub(crate) const BOUNDS_MS: [u64; 12] = [1, 5, 10, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 60_000];

/// A counter.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A histogram of times.
#[derive(Debug, Default)]
pub(crate) struct TimeHistogram {
    /// Per bucket, not cumulative; the last one has what exceeds all bounds.
    pub(crate) counts: [Counter; BOUNDS_MS.len() + 1],
    sum_us: Counter,
}

impl TimeHistogram {
    fn add(&self, took: Duration) {
        let within = |bound: &u64| took <= Duration::from_millis(*bound);
        let bound = BOUNDS_MS.iter().position(within).unwrap_or(BOUNDS_MS.len());
        self.counts[bound].add(1);
        self.sum_us.add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    pub(crate) fn sum(&self) -> Duration {
        Duration::from_micros(self.sum_us.get())
    }
}

/// Exits that were expected, or exits that were not.
#[derive(Debug, Default)]
pub(crate) struct ExitCounters {
    /// With code 0.
    pub(crate) success: Counter,
    /// With another code.
    pub(crate) code: Counter,
    pub(crate) signal: Counter,
    pub(crate) unknown: Counter,
}

/// All counters.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) starts: Counter,
    pub(crate) start_failures: Counter,
    pub(crate) adoptions: Counter,
    pub(crate) exits_expected: ExitCounters,
    pub(crate) exits_unexpected: ExitCounters,
    pub(crate) waits: Counter,
    pub(crate) given_up: Counter,
    pub(crate) not_ready: Counter,
    pub(crate) watchdog_expirations: Counter,
    pub(crate) handovers: Counter,
    pub(crate) snapshots_written: Counter,
    pub(crate) snapshot_failures: Counter,
    /// From logs with a limit, including what was moved to their older files.
    pub(crate) log_bytes_cut: Counter,
    /// Until the program was executed.
    pub(crate) start_times: TimeHistogram,
    /// From a start until the process was ready.
    pub(crate) ready_times: TimeHistogram,
}

impl Counters {
    pub(super) fn count(&self, happened: &ProxyOccurrence<'_>) {
        let counter = match happened {
            ProxyOccurrence::Started { took, .. } => {
                self.start_times.add(*took);
                &self.starts
            }
            ProxyOccurrence::KindStarted { .. } => &self.starts,
            ProxyOccurrence::StartFailed { .. }
            | ProxyOccurrence::StartHopeless { .. }
            | ProxyOccurrence::KindStartFailed { .. } => &self.start_failures,
            ProxyOccurrence::Adopted { .. } => &self.adoptions,
            ProxyOccurrence::Exited { status, expected, .. } => {
                let exits = if *expected { &self.exits_expected } else { &self.exits_unexpected };
                match status {
                    ExitStatus::Exited(0) => &exits.success,
                    ExitStatus::Exited(_) => &exits.code,
                    ExitStatus::Signaled { .. } => &exits.signal,
                    ExitStatus::Unknown => &exits.unknown,
                }
            }
            ProxyOccurrence::Waiting { .. } => &self.waits,
            ProxyOccurrence::Ready { after: Some(after), .. } => return self.ready_times.add(*after),
            ProxyOccurrence::GaveUp { .. } => &self.given_up,
            ProxyOccurrence::NotReady { .. } => &self.not_ready,
            ProxyOccurrence::WatchdogExpired { .. } => &self.watchdog_expirations,
            ProxyOccurrence::Ready { after: None, .. }
            | ProxyOccurrence::Failed { .. }
            | ProxyOccurrence::Rejected { .. }
            | ProxyOccurrence::NotAdopted { .. }
            | ProxyOccurrence::NotKnownToLive { .. }
            | ProxyOccurrence::Stopping { .. }
            | ProxyOccurrence::Stopped
            | ProxyOccurrence::Completed { .. }
            | ProxyOccurrence::Unproven { .. } => return,
        };
        counter.add(1);
    }

    pub(super) fn count_snapshot(&self, happened: &SnapshotOccurrence<'_>) {
        match happened {
            SnapshotOccurrence::Written => self.snapshots_written.add(1),
            SnapshotOccurrence::NotWritten { .. } => self.snapshot_failures.add(1),
            SnapshotOccurrence::NotRead { .. } | SnapshotOccurrence::PartNotUsed { .. } => {}
        }
    }

    /// The next process of a proxy took the place of the previous one.
    pub(crate) fn count_handover(&self) {
        self.handovers.add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::generation::Generation;
    use crate::sys::pid::Pid;

    #[test]
    fn times_are_in_the_bound_that_holds_them() {
        let counters = Counters::default();
        for after in [0, 10, 11, 60_000, 60_001] {
            let after = Some(Duration::from_millis(after));
            counters.count(&ProxyOccurrence::Ready { generation: Generation::UNKNOWN, after });
        }
        counters.count(&ProxyOccurrence::Ready { generation: Generation::UNKNOWN, after: None });
        let counts = |it: &TimeHistogram| it.counts.iter().map(Counter::get).collect::<Vec<u64>>();
        assert_eq!(counts(&counters.ready_times), [1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(counters.ready_times.sum(), Duration::from_millis(120_022));
        let (pid, generation, took) = (Pid::from_raw(7).unwrap(), Generation::UNKNOWN, Duration::from_micros(1001));
        counters.count(&ProxyOccurrence::Started { pid, generation, took });
        assert_eq!(counts(&counters.start_times), [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!((counters.start_times.sum(), counters.starts.get()), (took, 1));
    }

    #[test]
    fn exits_are_counted_by_whether_they_were_expected_and_how_they_were() {
        let counters = Counters::default();
        let exited = |status, expected| {
            let (pid, generation) = (Pid::from_raw(7).unwrap(), Generation::UNKNOWN);
            counters.count(&ProxyOccurrence::Exited { pid, status, expected, generation });
        };
        exited(ExitStatus::Exited(0), true);
        exited(ExitStatus::Exited(1), false);
        exited(ExitStatus::Signaled { signal: 9, core_dumped: false }, false);
        exited(ExitStatus::Unknown, false);
        let of = |exits: &ExitCounters| [&exits.success, &exits.code, &exits.signal, &exits.unknown].map(Counter::get);
        assert_eq!((of(&counters.exits_expected), of(&counters.exits_unexpected)), ([1, 0, 0, 0], [0, 1, 1, 1]));
    }
}
