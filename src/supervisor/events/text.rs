// SPDX-License-Identifier: MPL-2.0
//! Events as text and as JSON. Both are contracts: hosts log the text and parse the JSON.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};

use super::{Event, EventKind};
use crate::sys::wait::ExitStatus;

impl EventKind {
    /// The name of the kind: its identifier in lower case, with `_` between the words.
    pub fn as_str(&self) -> &'static str {
        match self {
            EventKind::Started { .. } => "started",
            EventKind::StartFailed { .. } => "start_failed",
            EventKind::Adopted { .. } => "adopted",
            EventKind::AdoptionRefused { .. } => "adoption_refused",
            EventKind::Exited { .. } => "exited",
            EventKind::Waiting { .. } => "waiting",
            EventKind::Ready => "ready",
            EventKind::NotReady { .. } => "not_ready",
            EventKind::WatchdogExpired { .. } => "watchdog_expired",
            EventKind::Stopping { .. } => "stopping",
            EventKind::Stopped => "stopped",
            EventKind::Completed { .. } => "completed",
            EventKind::Failed { .. } => "failed",
            EventKind::Unproven { .. } => "unproven",
            EventKind::SnapshotWritten => "snapshot_written",
            EventKind::SnapshotFailed { .. } => "snapshot_failed",
            EventKind::Gap { .. } => "gap",
        }
    }
}

impl fmt::Display for EventKind {
    /// What happened, in words: `started, pid 7`, `exited, pid 7: exit code 1`, `waiting, next start in 2000 ms`,
    /// `start failed: <error>`, `gap of 3 events`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EventKind::Started { pid: Some(pid) } => write!(f, "started, pid {pid}"),
            EventKind::Started { pid: None } => f.write_str("started"),
            EventKind::StartFailed { error } => write!(f, "start failed: {error}"),
            EventKind::Adopted { pid } => write!(f, "adopted, pid {pid}"),
            EventKind::AdoptionRefused { reason } => write!(f, "adoption refused: {reason}"),
            EventKind::Exited { pid, status } => write!(f, "exited, pid {pid}: {status}"),
            EventKind::Waiting { wait } => write!(f, "waiting, next start in {} ms", milliseconds(*wait)),
            EventKind::Ready => f.write_str("ready"),
            EventKind::NotReady { reason } => write!(f, "not ready: {reason}"),
            EventKind::WatchdogExpired { reason } => write!(f, "watchdog expired: {reason}"),
            EventKind::Stopping { pid: Some(pid) } => write!(f, "stopping, pid {pid}"),
            EventKind::Stopping { pid: None } => f.write_str("stopping"),
            EventKind::Stopped => f.write_str("stopped"),
            EventKind::Completed { status } => write!(f, "completed: {status}"),
            EventKind::Failed { error } => write!(f, "failed: {error}"),
            EventKind::Unproven { processes } => write!(f, "unproven: {processes}"),
            EventKind::SnapshotWritten => f.write_str("snapshot written"),
            EventKind::SnapshotFailed { error } => write!(f, "snapshot failed: {error}"),
            EventKind::Gap { missed } => write!(f, "gap of {missed} events"),
        }
    }
}

impl fmt::Display for Event {
    /// The proxy, if the event is about one, and what happened: `proxy web-proxy: started, pid 7`. Always one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.id {
            Some(id) => write!(f, "proxy {}: {}", id.escape_debug(), self.kind),
            None => self.kind.fmt(f),
        }
    }
}

impl Serialize for Event {
    /// One object with the keys of `EventFields`, which are those of the struct `proxyprocess_event` in C.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        EventFields::of(self).serialize(serializer)
    }
}

/// The JSON form of an event. All keys are always present; a value that the kind does not have is null.
#[derive(Debug, Serialize)]
pub(crate) struct EventFields<'a> {
    /// Of the event.
    pub(crate) number: u64,
    /// Nanoseconds since 1970.
    pub(crate) at_unix_ns: u64,
    /// The proxy.
    pub(crate) id: Option<&'a str>,
    /// The name of the kind.
    pub(crate) kind: &'a str,
    pub(crate) pid: Option<u32>,
    /// How the process ended, as text.
    pub(crate) exit: Option<ExitStatus>,
    /// Milliseconds until the next start.
    pub(crate) wait_ms: Option<u64>,
    /// The error, the reason or the unproven processes.
    pub(crate) text: Option<&'a str>,
    /// How many events a gap stands for.
    pub(crate) missed: Option<u64>,
    /// The generation of the process.
    pub(crate) generation: Option<u64>,
}

impl EventFields<'_> {
    pub(crate) fn of(event: &Event) -> EventFields<'_> {
        let mut fields = EventFields {
            number: event.number,
            at_unix_ns: unix_ns(event.at),
            id: event.id.as_deref(),
            kind: event.kind.as_str(),
            pid: None,
            exit: None,
            wait_ms: None,
            text: None,
            missed: None,
            generation: event.generation,
        };
        match &event.kind {
            EventKind::Started { pid } | EventKind::Stopping { pid } => fields.pid = *pid,
            EventKind::Adopted { pid } => fields.pid = Some(*pid),
            EventKind::Exited { pid, status } => (fields.pid, fields.exit) = (Some(*pid), Some(*status)),
            EventKind::Completed { status } => fields.exit = Some(*status),
            EventKind::Waiting { wait } => fields.wait_ms = Some(milliseconds(*wait)),
            EventKind::StartFailed { error: text }
            | EventKind::AdoptionRefused { reason: text }
            | EventKind::NotReady { reason: text }
            | EventKind::WatchdogExpired { reason: text }
            | EventKind::Failed { error: text }
            | EventKind::SnapshotFailed { error: text }
            | EventKind::Unproven { processes: text } => fields.text = Some(text),
            EventKind::Gap { missed } => fields.missed = Some(*missed),
            EventKind::Ready | EventKind::Stopped | EventKind::SnapshotWritten => {}
        }
        fields
    }
}

/// Nanoseconds since 1970; a time outside the range becomes the nearest one in it.
pub(crate) fn unix_ns(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn milliseconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kind with its text and its JSON form from `kind` on, as the documentation promises them.
    fn samples() -> Vec<(EventKind, &'static str, &'static str)> {
        let text = || "why".to_owned();
        let exited = |status| EventKind::Exited { pid: 7, status };
        vec![
            (
                EventKind::Started { pid: Some(7) },
                "started, pid 7",
                r#""started","pid":7,"exit":null,"wait_ms":null,"text":null,"missed":null"#,
            ),
            (
                EventKind::Started { pid: None },
                "started",
                r#""started","pid":null,"exit":null,"wait_ms":null,"text":null,"missed":null"#,
            ),
            (
                EventKind::StartFailed { error: text() },
                "start failed: why",
                r#""start_failed","pid":null,"exit":null,"wait_ms":null,"text":"why","missed":null"#,
            ),
            (
                EventKind::Adopted { pid: 7 },
                "adopted, pid 7",
                r#""adopted","pid":7,"exit":null,"wait_ms":null,"text":null,"missed":null"#,
            ),
            (
                EventKind::AdoptionRefused { reason: text() },
                "adoption refused: why",
                r#""adoption_refused","pid":null,"exit":null,"wait_ms":null,"text":"why","missed":null"#,
            ),
            (
                exited(ExitStatus::Exited(3)),
                "exited, pid 7: exit code 3",
                r#""exited","pid":7,"exit":"exit code 3","wait_ms":null,"text":null,"missed":null"#,
            ),
            (
                exited(ExitStatus::Signaled { signal: 11, core_dumped: true }),
                "exited, pid 7: signal SIGSEGV (core dumped)",
                r#""exited","pid":7,"exit":"signal SIGSEGV (core dumped)","wait_ms":null,"text":null,"missed":null"#,
            ),
            (
                exited(ExitStatus::Unknown),
                "exited, pid 7: unknown status",
                r#""exited","pid":7,"exit":"unknown status","wait_ms":null,"text":null,"missed":null"#,
            ),
            (
                EventKind::Waiting { wait: Duration::from_millis(2500) },
                "waiting, next start in 2500 ms",
                r#""waiting","pid":null,"exit":null,"wait_ms":2500,"text":null,"missed":null"#,
            ),
            (EventKind::Ready, "ready", r#""ready","pid":null,"exit":null,"wait_ms":null,"text":null,"missed":null"#),
            (
                EventKind::NotReady { reason: text() },
                "not ready: why",
                r#""not_ready","pid":null,"exit":null,"wait_ms":null,"text":"why","missed":null"#,
            ),
            (
                EventKind::WatchdogExpired { reason: text() },
                "watchdog expired: why",
                r#""watchdog_expired","pid":null,"exit":null,"wait_ms":null,"text":"why","missed":null"#,
            ),
            (
                EventKind::Stopping { pid: Some(7) },
                "stopping, pid 7",
                r#""stopping","pid":7,"exit":null,"wait_ms":null,"text":null,"missed":null"#,
            ),
            (
                EventKind::Stopping { pid: None },
                "stopping",
                r#""stopping","pid":null,"exit":null,"wait_ms":null,"text":null,"missed":null"#,
            ),
            (
                EventKind::Stopped,
                "stopped",
                r#""stopped","pid":null,"exit":null,"wait_ms":null,"text":null,"missed":null"#,
            ),
            (
                EventKind::Failed { error: text() },
                "failed: why",
                r#""failed","pid":null,"exit":null,"wait_ms":null,"text":"why","missed":null"#,
            ),
            (
                EventKind::Unproven { processes: text() },
                "unproven: why",
                r#""unproven","pid":null,"exit":null,"wait_ms":null,"text":"why","missed":null"#,
            ),
            (
                EventKind::SnapshotWritten,
                "snapshot written",
                r#""snapshot_written","pid":null,"exit":null,"wait_ms":null,"text":null,"missed":null"#,
            ),
            (
                EventKind::SnapshotFailed { error: text() },
                "snapshot failed: why",
                r#""snapshot_failed","pid":null,"exit":null,"wait_ms":null,"text":"why","missed":null"#,
            ),
            (
                EventKind::Gap { missed: 3 },
                "gap of 3 events",
                r#""gap","pid":null,"exit":null,"wait_ms":null,"text":null,"missed":3"#,
            ),
        ]
    }

    #[test]
    fn every_kind_has_its_text_and_its_json_form() {
        for (kind, text, json) in samples() {
            assert_eq!(kind.to_string(), text);
            assert!(json.starts_with(&format!("\"{}\"", kind.as_str())));
            let at = UNIX_EPOCH + Duration::from_nanos(1_500_000_000_000_000_001);
            let mut event = Event { number: 9, at, id: Some("a\nb".into()), kind, generation: Some(3) };
            assert_eq!(event.to_string(), format!("proxy a\\nb: {text}"));
            let begin = r#"{"number":9,"at_unix_ns":1500000000000000001,"id":"#;
            let encoded = serde_json::to_string(&event).unwrap();
            assert_eq!(encoded, format!("{begin}\"a\\nb\",\"kind\":{json},\"generation\":3}}"));
            (event.id, event.generation) = (None, None);
            assert_eq!(event.to_string(), text);
            let encoded = serde_json::to_string(&event).unwrap();
            assert_eq!(encoded, format!("{begin}null,\"kind\":{json},\"generation\":null}}"));
        }
    }
}
