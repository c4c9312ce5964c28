// SPDX-License-Identifier: MPL-2.0
//! A reader of lifecycle events that remembers what it has read.

use std::time::{Duration, Instant};

use proxyprocess::{Event, EventKind, Events, ExitStatus};

use crate::support::WATCHDOG;

/// Reads the events of a manager or a daemon in their order; none may be missing.
#[derive(Debug)]
pub(crate) struct Observer {
    events: Events,
    seen: Vec<Event>,
}

impl Observer {
    pub(crate) fn of(events: Events) -> Observer {
        Observer { events, seen: Vec::new() }
    }

    /// Reads on until an event is as wanted.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        let deadline = Instant::now() + WATCHDOG;
        loop {
            match self.next(deadline.saturating_duration_since(Instant::now())) {
                Some(event) if wanted(&event) => return event,
                Some(_) => {}
                None => panic!("waited in vain for {what}; the events are {:#?}", self.seen),
            }
        }
    }

    /// The next event, if one comes in this time.
    #[track_caller]
    pub(crate) fn next(&mut self, at_most: Duration) -> Option<Event> {
        let event = self.events.next_timeout(at_most)?;
        if let Some(last) = self.seen.last() {
            assert_eq!(event.number, last.number + 1, "after {last:?} came {event:?}");
        }
        self.seen.push(event.clone());
        Some(event)
    }

    /// Reads on until this proxy was started, and returns the pid.
    #[track_caller]
    pub(crate) fn started(&mut self, id: &str) -> u32 {
        match self.kind(&format!("a start of {id}"), id, |kind| matches!(kind, EventKind::Started { .. })) {
            EventKind::Started { pid } => pid.expect("the pid of a daemon"),
            other => unreachable!("{other:?}"),
        }
    }

    /// Reads on until a process of this proxy was adopted, and returns the pid.
    #[track_caller]
    pub(crate) fn adopted(&mut self, id: &str) -> u32 {
        match self.kind(&format!("an adoption of {id}"), id, |kind| matches!(kind, EventKind::Adopted { .. })) {
            EventKind::Adopted { pid } => pid,
            other => unreachable!("{other:?}"),
        }
    }

    /// Reads on until an adoption for this proxy was refused, and returns why.
    #[track_caller]
    pub(crate) fn refused(&mut self, id: &str) -> String {
        match self.kind(&format!("a refusal for {id}"), id, |kind| matches!(kind, EventKind::AdoptionRefused { .. })) {
            EventKind::AdoptionRefused { reason } => reason,
            other => unreachable!("{other:?}"),
        }
    }

    /// Reads on until a process of this proxy has ended, and returns how.
    #[track_caller]
    pub(crate) fn exited(&mut self, id: &str) -> ExitStatus {
        match self.kind(&format!("an exit of {id}"), id, |kind| matches!(kind, EventKind::Exited { .. })) {
            EventKind::Exited { status, .. } => status,
            other => unreachable!("{other:?}"),
        }
    }

    /// Reads on until this proxy is ready.
    #[track_caller]
    pub(crate) fn ready(&mut self, id: &str) {
        self.kind(&format!("{id} to be ready"), id, |kind| *kind == EventKind::Ready);
    }

    /// Reads on until the watchdog of this proxy has expired, and returns why.
    #[track_caller]
    pub(crate) fn watchdog_expired(&mut self, id: &str) -> String {
        let is_it = |kind: &EventKind| matches!(kind, EventKind::WatchdogExpired { .. });
        match self.kind(&format!("the watchdog of {id} to expire"), id, is_it) {
            EventKind::WatchdogExpired { reason } => reason,
            other => unreachable!("{other:?}"),
        }
    }

    /// Reads on until this proxy was not ready in time, and returns why.
    #[track_caller]
    pub(crate) fn not_ready(&mut self, id: &str) -> String {
        match self.kind(&format!("{id} to be late"), id, |kind| matches!(kind, EventKind::NotReady { .. })) {
            EventKind::NotReady { reason } => reason,
            other => unreachable!("{other:?}"),
        }
    }

    /// Reads on until this proxy waits for its next start, and returns how long.
    #[track_caller]
    pub(crate) fn waiting(&mut self, id: &str) -> Duration {
        match self.kind(&format!("a wait of {id}"), id, |kind| matches!(kind, EventKind::Waiting { .. })) {
            EventKind::Waiting { wait } => wait,
            other => unreachable!("{other:?}"),
        }
    }

    /// Reads on until this proxy is stopped.
    #[track_caller]
    pub(crate) fn stopped(&mut self, id: &str) {
        self.kind(&format!("the stop of {id}"), id, |kind| *kind == EventKind::Stopped);
    }

    /// Reads on until this proxy has failed, and returns why.
    #[track_caller]
    pub(crate) fn failed(&mut self, id: &str) -> String {
        match self.kind(&format!("the failure of {id}"), id, |kind| matches!(kind, EventKind::Failed { .. })) {
            EventKind::Failed { error } => error,
            other => unreachable!("{other:?}"),
        }
    }

    /// Reads on until a start of this proxy has failed, and returns why.
    #[track_caller]
    pub(crate) fn start_failed(&mut self, id: &str) -> String {
        match self
            .kind(&format!("a start of {id} that fails"), id, |kind| matches!(kind, EventKind::StartFailed { .. }))
        {
            EventKind::StartFailed { error } => error,
            other => unreachable!("{other:?}"),
        }
    }

    /// Reads on until the snapshot was written.
    #[track_caller]
    pub(crate) fn snapshot_written(&mut self) {
        self.until("a snapshot", |event| event.kind == EventKind::SnapshotWritten);
    }

    #[track_caller]
    fn kind(&mut self, what: &str, id: &str, wanted: impl Fn(&EventKind) -> bool) -> EventKind {
        self.until(what, |event| event.id.as_deref() == Some(id) && wanted(&event.kind)).kind
    }

    /// All that has happened so far.
    #[track_caller]
    pub(crate) fn seen(&mut self) -> &[Event] {
        while self.next(Duration::ZERO).is_some() {}
        &self.seen
    }

    /// All that has happened to this proxy so far.
    #[track_caller]
    pub(crate) fn of_proxy(&mut self, id: &str) -> Vec<EventKind> {
        let of_it = self.seen().iter().filter(|event| event.id.as_deref() == Some(id));
        of_it.map(|event| event.kind.clone()).collect()
    }

    /// Forgets what has happened so far.
    #[track_caller]
    pub(crate) fn forget(&mut self) {
        self.seen();
        self.seen.drain(..self.seen.len().saturating_sub(1));
        // The last one is kept for its number.
        self.seen.iter_mut().for_each(|event| event.id = None);
    }
}
