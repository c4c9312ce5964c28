// SPDX-License-Identifier: MPL-2.0
//! The one place that publishes events: which event and which log line each occurrence becomes.
//!
//! A log line is written before its event is published, so that it is in the log when a reader of events looks there.
//! For an exit it is the other way round: the host's logger may be slow, and hosts act on the event of an exit.

use std::fmt;
use std::sync::Arc;

use super::counters::Counters;
use super::occurrence::{ProxyOccurrence, SnapshotOccurrence};
use super::{EventKind, EventRing};
use crate::error::Error;
use crate::lifecycle::generation::Generation;
use crate::logging::{Level, Log};
use crate::sys::pid::Pid;

/// Publishes the occurrences of a manager or daemon.
#[derive(Debug, Clone)]
pub(crate) struct Publisher {
    events: Arc<EventRing>,
    log: Log,
    counters: Arc<Counters>,
}

impl Publisher {
    pub(crate) fn new(events: Arc<EventRing>, log: Log) -> Publisher {
        Publisher { events, log, counters: Arc::default() }
    }

    /// How often each thing happened.
    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Publishes what happened to a proxy.
    pub(crate) fn of_proxy(&self, id: &Arc<str>, happened: ProxyOccurrence<'_>) {
        self.counters.count(&happened);
        let line = |level: Level, message: fmt::Arguments<'_>| self.log.about(level, id, message);
        let event = |kind: EventKind| self.events.publish(Some(id), Generation::UNKNOWN, kind);
        let of_process = |generation: Generation, kind: EventKind| self.events.publish(Some(id), generation, kind);
        match happened {
            ProxyOccurrence::Started { pid, generation, took: _ } => {
                line(Level::Info, format_args!("started, pid {pid}"));
                of_process(generation, EventKind::Started { pid: Some(pid.as_u32()) });
            }
            ProxyOccurrence::KindStarted { mode } => {
                line(Level::Info, format_args!("started, of the kind {mode}"));
                event(EventKind::Started { pid: None });
            }
            ProxyOccurrence::StartFailed { error } => {
                line(Level::Error, format_args!("{error}"));
                event(EventKind::StartFailed { error: error.to_string() });
            }
            ProxyOccurrence::StartHopeless { error } => line(Level::Error, format_args!("{error}")),
            ProxyOccurrence::Failed { error } => {
                event(EventKind::Failed { error: error.map(Error::to_string).unwrap_or_default() });
            }
            ProxyOccurrence::GaveUp { error } => {
                line(Level::Error, format_args!("{error}"));
                event(EventKind::Failed { error: error.to_string() });
            }
            ProxyOccurrence::Completed { status } => {
                line(Level::Info, format_args!("completed: {status}"));
                event(EventKind::Completed { status });
            }
            ProxyOccurrence::KindStartFailed { error } => {
                line(Level::Error, format_args!("start: {error}"));
                event(EventKind::Failed { error: error.to_string() });
            }
            ProxyOccurrence::Rejected { error } => {
                self.log.write(Level::Error, format_args!("{error}"));
                event(EventKind::Failed { error: error.to_string() });
            }
            ProxyOccurrence::Adopted { pid, generation } => {
                line(Level::Info, format_args!("adopted, pid {pid}"));
                of_process(generation, EventKind::Adopted { pid: pid.as_u32() });
            }
            ProxyOccurrence::NotAdopted { reason, ended } => {
                line(if ended { Level::Info } else { Level::Warn }, format_args!("not adopted: {reason}"));
                event(EventKind::AdoptionRefused { reason });
            }
            ProxyOccurrence::NotKnownToLive { reason } => event(EventKind::AdoptionRefused { reason }),
            ProxyOccurrence::Exited { pid, status, expected, generation } => {
                of_process(generation, EventKind::Exited { pid: pid.as_u32(), status });
                line(if expected { Level::Info } else { Level::Warn }, format_args!("pid {pid} ended: {status}"));
            }
            ProxyOccurrence::Waiting { wait } => {
                line(Level::Info, format_args!("next start in {wait:?}"));
                event(EventKind::Waiting { wait });
            }
            ProxyOccurrence::Ready { generation, after: _ } => {
                line(Level::Info, format_args!("ready"));
                of_process(generation, EventKind::Ready);
            }
            ProxyOccurrence::NotReady { error, reason, generation } => {
                line(Level::Error, format_args!("{error}"));
                of_process(generation, EventKind::NotReady { reason });
            }
            ProxyOccurrence::WatchdogExpired { error, reason, generation } => {
                line(Level::Error, format_args!("{error}"));
                of_process(generation, EventKind::WatchdogExpired { reason });
            }
            ProxyOccurrence::Stopping { pid, generation } => {
                // During a handover this tells which of the two is stopped.
                match pid {
                    Some(pid) => line(Level::Info, format_args!("stopping, pid {pid}")),
                    None => line(Level::Info, format_args!("stopping")),
                }
                of_process(generation, EventKind::Stopping { pid: pid.map(Pid::as_u32) });
            }
            ProxyOccurrence::Stopped => {
                line(Level::Info, format_args!("stopped"));
                event(EventKind::Stopped);
            }
            ProxyOccurrence::Unproven { processes } => {
                line(Level::Warn, format_args!("may have left {processes}: not signalled"));
                event(EventKind::Unproven { processes });
            }
        }
    }

    /// Publishes what happened to the snapshot of a manager.
    pub(crate) fn of_snapshot(&self, happened: SnapshotOccurrence<'_>) {
        self.counters.count_snapshot(&happened);
        let line = |message: fmt::Arguments<'_>| self.log.write(Level::Error, message);
        let event = |kind: EventKind| self.events.publish(None, Generation::UNKNOWN, kind);
        match happened {
            SnapshotOccurrence::Written => event(EventKind::SnapshotWritten),
            SnapshotOccurrence::NotWritten { error } => {
                line(format_args!("{error}"));
                event(EventKind::SnapshotFailed { error: error.to_string() });
            }
            SnapshotOccurrence::NotRead { error } => event(EventKind::SnapshotFailed { error: error.to_string() }),
            SnapshotOccurrence::PartNotUsed { message } => {
                line(format_args!("{message}"));
                event(EventKind::SnapshotFailed { error: message });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use log::LevelFilter;

    use std::time::Duration;

    use super::*;
    use crate::declaration::ExecMode;
    use crate::error::{Error, ErrorCode};
    use crate::sys::wait::ExitStatus;

    /// The log line and the event, each with the proxy, that `publish` produces.
    fn published(publish: impl FnOnce(&Publisher)) -> [Option<String>; 2] {
        let (events, log) = (EventRing::new(4), Log::new(None));
        let (mut event, mut line) = (events.subscribe(), log.subscribe(LevelFilter::Trace));
        publish(&Publisher::new(events, log));
        let said = [
            line.try_next().map(|line| format!("{} {}", line.level, line.message)),
            event.try_next().map(|event| event.to_string()),
        ];
        assert!(line.try_next().is_none() && event.try_next().is_none(), "more than one of {said:?}");
        said
    }

    #[test]
    fn each_occurrence_has_its_log_line_and_its_event() {
        use ProxyOccurrence as P;
        let (pid, error, status) =
            (Pid::from_raw(7).unwrap(), &Error::new(ErrorCode::Io, "why"), ExitStatus::Exited(1));
        let (why, wait, generation) = (|| "why".to_owned(), Duration::from_millis(1500), Generation::of(3));
        let of_proxies = [
            (P::Started { pid, generation, took: Duration::ZERO }, "INFO proxy web: started, pid 7", "started, pid 7"),
            (P::KindStarted { mode: &ExecMode::NOOP }, "INFO proxy web: started, of the kind noop", "started"),
            (P::StartFailed { error }, "ERROR proxy web: why", "start failed: why"),
            (P::StartHopeless { error }, "ERROR proxy web: why", ""),
            (P::Failed { error: Some(error) }, "", "failed: why"),
            (P::Failed { error: None }, "", "failed: "),
            (P::GaveUp { error }, "ERROR proxy web: why", "failed: why"),
            (P::Completed { status }, "INFO proxy web: completed: exit code 1", "completed: exit code 1"),
            (P::KindStartFailed { error }, "ERROR proxy web: start: why", "failed: why"),
            (P::Rejected { error }, "ERROR why", "failed: why"),
            (P::Adopted { pid, generation }, "INFO proxy web: adopted, pid 7", "adopted, pid 7"),
            (P::NotAdopted { reason: why(), ended: true }, "INFO proxy web: not adopted: why", "adoption refused: why"),
            (
                P::NotAdopted { reason: why(), ended: false },
                "WARN proxy web: not adopted: why",
                "adoption refused: why",
            ),
            (P::NotKnownToLive { reason: why() }, "", "adoption refused: why"),
            (
                P::Exited { pid, status, expected: true, generation },
                "INFO proxy web: pid 7 ended: exit code 1",
                "exited, pid 7: exit code 1",
            ),
            (
                P::Exited { pid, status, expected: false, generation },
                "WARN proxy web: pid 7 ended: exit code 1",
                "exited, pid 7: exit code 1",
            ),
            (P::Waiting { wait }, "INFO proxy web: next start in 1.5s", "waiting, next start in 1500 ms"),
            (P::Ready { generation, after: None }, "INFO proxy web: ready", "ready"),
            (
                P::NotReady { error, reason: "no answer".to_owned(), generation },
                "ERROR proxy web: why",
                "not ready: no answer",
            ),
            (
                P::WatchdogExpired { error, reason: "no message".to_owned(), generation },
                "ERROR proxy web: why",
                "watchdog expired: no message",
            ),
            (P::Stopping { pid: Some(pid), generation }, "INFO proxy web: stopping, pid 7", "stopping, pid 7"),
            (P::Stopping { pid: None, generation }, "INFO proxy web: stopping", "stopping"),
            (P::Stopped, "INFO proxy web: stopped", "stopped"),
            (
                P::Unproven { processes: "pid 8".to_owned() },
                "WARN proxy web: may have left pid 8: not signalled",
                "unproven: pid 8",
            ),
        ];
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        for (happened, line, event) in of_proxies {
            let event = some(event).map(|event| format!("proxy web: {event}"));
            assert_eq!(published(|publisher| publisher.of_proxy(&"web".into(), happened)), [some(line), event]);
        }
        let of_snapshots = [
            (SnapshotOccurrence::Written, "", "snapshot written"),
            (SnapshotOccurrence::NotWritten { error }, "ERROR why", "snapshot failed: why"),
            (SnapshotOccurrence::NotRead { error }, "", "snapshot failed: why"),
            (SnapshotOccurrence::PartNotUsed { message: why() }, "ERROR why", "snapshot failed: why"),
        ];
        for (happened, line, event) in of_snapshots {
            assert_eq!(published(|publisher| publisher.of_snapshot(happened)), [some(line), some(event)]);
        }
    }
}
