// SPDX-License-Identifier: MPL-2.0
//! Lifecycle events, by pull: waited for, or announced by a descriptor.

use std::ffi::CString;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::event::{EventOut, proxyprocess_event, proxyprocess_event_kind};
use super::exit::exit;
use super::failure::ErrorOut;
use super::handle::{Handle, call, free, place};
use super::output::{TextOut, c_string};
use super::sized::SizedStruct;
use crate::supervisor::{Event, EventKind, Events, unix_ns};
use crate::sys::wait::ExitStatus;

/// A reader of lifecycle events. A slow reader delays nothing; events that it loses are reported as a gap. One thread
/// at a time may use it.
pub struct proxyprocess_events(Handle<Mutex<Reader>>);

struct Reader {
    events: Events,
    /// What the pointers of the last event point to.
    id: CString,
    text: CString,
    exit: CString,
}

impl proxyprocess_events {
    pub(super) fn new(events: Events) -> proxyprocess_events {
        proxyprocess_events(Handle::new(Mutex::new(Reader {
            events,
            id: CString::default(),
            text: CString::default(),
            exit: CString::default(),
        })))
    }
}

/// Waits for the next event and returns it.
///
/// `timeout_ms`: the longest wait; 0 does not wait, UINT64_MAX waits without a limit.
///
/// `event`: the struct to fill; its `struct_size` is set. `kind` is PROXYPROCESS_EVENT_NONE if the timeout elapsed, and
/// PROXYPROCESS_EVENT_END if no event will come any more.
///
/// Returns 0; PROXYPROCESS_E_NULL_ARGUMENT, PROXYPROCESS_E_STRUCT_SIZE: these lose no event.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_events_next(
    events: Option<&proxyprocess_events>,
    timeout_ms: u64,
    mut event: EventOut,
    err: ErrorOut<'_>,
) -> i32 {
    call("events", events.map(|events| &events.0), err, |reader| {
        event.size("event")?;
        let lock = || reader.lock().unwrap_or_else(PoisonError::into_inner);
        // Not under the lock: it would stay locked if the wait was left by a non-local exit.
        let next = lock().events.next_place();
        next.wait(Duration::from_millis(timeout_ms));
        let mut reader = lock();
        let found = reader.events.try_next();
        let filled = reader.show(found);
        event.fill("event", filled)
    })
}

/// Returns a descriptor that is readable while there is an event to read, and permanently once no event will come any
/// more, for hosts with their own event loop. Wait for it with poll(2) or epoll(7) and never read from it. Then call
/// proxyprocess_events_next() with timeout 0 until it returns PROXYPROCESS_EVENT_NONE: poll again; or
/// PROXYPROCESS_EVENT_END: remove the descriptor from the loop, because it stays readable.
///
/// `descriptor`: receives its number. It belongs to the reader, is closed with it, and must not be closed by the
/// caller.
///
/// Returns 0; PROXYPROCESS_E_EXHAUSTED: no descriptor is left; PROXYPROCESS_E_NULL_ARGUMENT.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_events_descriptor(
    events: Option<&proxyprocess_events>,
    descriptor: Option<&mut MaybeUninit<i32>>,
    err: ErrorOut<'_>,
) -> i32 {
    call("events", events.map(|events| &events.0), err, |reader| {
        let descriptor = place("descriptor", descriptor)?;
        let reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
        descriptor.write(reader.events.descriptor()?.as_raw_fd());
        Ok(())
    })
}

/// Frees a reader, before or after the manager or daemon.
///
/// `events`: may be NULL, which does nothing.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_events_free(events: Option<Box<proxyprocess_events>>) {
    free(events, |events| &events.0);
}

impl Reader {
    fn show_exit(&mut self, shown: &mut proxyprocess_event, status: ExitStatus) {
        (shown.exit, shown.exit_value) = exit(Some(status));
        self.exit = c_string(&status.to_string());
        shown.exit_text = TextOut::of(&self.exit);
    }

    /// An event in C's form; the strings stay here.
    fn show(&mut self, event: Option<Event>) -> proxyprocess_event {
        use proxyprocess_event_kind as C;
        let mut shown = proxyprocess_event::defaults();
        let Some(event) = event else {
            let ended = self.events.is_ended();
            shown.kind = if ended { C::PROXYPROCESS_EVENT_END } else { C::PROXYPROCESS_EVENT_NONE } as i32;
            return shown;
        };
        shown.number = event.number;
        shown.at_unix_ns = unix_ns(event.at);
        shown.generation = event.generation.unwrap_or(0);
        if let Some(id) = &event.id {
            self.id = c_string(id);
            shown.id = TextOut::of(&self.id);
        }
        let mut text = None;
        let kind = match event.kind {
            EventKind::Started { pid } => {
                shown.pid = pid.unwrap_or(0);
                C::PROXYPROCESS_EVENT_STARTED
            }
            EventKind::StartFailed { error } => {
                text = Some(error);
                C::PROXYPROCESS_EVENT_START_FAILED
            }
            EventKind::Adopted { pid } => {
                shown.pid = pid;
                C::PROXYPROCESS_EVENT_ADOPTED
            }
            EventKind::AdoptionRefused { reason } => {
                text = Some(reason);
                C::PROXYPROCESS_EVENT_ADOPTION_REFUSED
            }
            EventKind::Exited { pid, status } => {
                shown.pid = pid;
                self.show_exit(&mut shown, status);
                C::PROXYPROCESS_EVENT_EXITED
            }
            EventKind::Completed { status } => {
                self.show_exit(&mut shown, status);
                C::PROXYPROCESS_EVENT_COMPLETED
            }
            EventKind::Waiting { wait } => {
                shown.wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                C::PROXYPROCESS_EVENT_WAITING
            }
            EventKind::Ready => C::PROXYPROCESS_EVENT_READY,
            EventKind::NotReady { reason } => {
                text = Some(reason);
                C::PROXYPROCESS_EVENT_NOT_READY
            }
            EventKind::WatchdogExpired { reason } => {
                text = Some(reason);
                C::PROXYPROCESS_EVENT_WATCHDOG_EXPIRED
            }
            EventKind::Stopping { pid } => {
                shown.pid = pid.unwrap_or(0);
                C::PROXYPROCESS_EVENT_STOPPING
            }
            EventKind::Stopped => C::PROXYPROCESS_EVENT_STOPPED,
            EventKind::Failed { error } => {
                text = Some(error);
                C::PROXYPROCESS_EVENT_FAILED
            }
            EventKind::Unproven { processes } => {
                text = Some(processes);
                C::PROXYPROCESS_EVENT_UNPROVEN
            }
            EventKind::SnapshotWritten => C::PROXYPROCESS_EVENT_SNAPSHOT_WRITTEN,
            EventKind::SnapshotFailed { error } => {
                text = Some(error);
                C::PROXYPROCESS_EVENT_SNAPSHOT_FAILED
            }
            EventKind::Gap { missed } => {
                shown.missed = missed;
                C::PROXYPROCESS_EVENT_GAP
            }
        };
        if let Some(text) = text {
            self.text = c_string(&text);
            shown.text = TextOut::of(&self.text);
        }
        shown.kind = kind as i32;
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::proxyprocess_event_kind_str;
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn event_in_form_of_c_has_the_name_and_the_json_of_the_event() {
        let text = || "why".to_owned();
        let kinds = [
            EventKind::Started { pid: Some(7) },
            EventKind::Started { pid: None },
            EventKind::StartFailed { error: text() },
            EventKind::Adopted { pid: 7 },
            EventKind::AdoptionRefused { reason: text() },
            EventKind::Exited { pid: 7, status: ExitStatus::Exited(0) },
            EventKind::Exited { pid: 7, status: ExitStatus::Signaled { signal: 9, core_dumped: false } },
            EventKind::Exited { pid: 7, status: ExitStatus::Signaled { signal: 6, core_dumped: true } },
            EventKind::Exited { pid: 7, status: ExitStatus::Unknown },
            EventKind::Completed { status: ExitStatus::Exited(64) },
            EventKind::Waiting { wait: Duration::ZERO },
            EventKind::Ready,
            EventKind::NotReady { reason: text() },
            EventKind::WatchdogExpired { reason: text() },
            EventKind::Stopping { pid: None },
            EventKind::Stopped,
            EventKind::Failed { error: text() },
            EventKind::Unproven { processes: text() },
            EventKind::SnapshotWritten,
            EventKind::SnapshotFailed { error: text() },
            EventKind::Gap { missed: 3 },
        ];
        let ring = crate::supervisor::EventRing::new(1);
        let empty = CString::default();
        let mut reader = Reader { events: ring.subscribe(), id: empty.clone(), text: empty.clone(), exit: empty };
        for kind in kinds {
            let event = Event { number: 3, at: SystemTime::now(), id: Some("web".into()), kind, generation: Some(4) };
            let shown = reader.show(Some(event.clone()));
            assert_eq!(proxyprocess_event_kind_str(shown.kind).text(), event.kind.as_str());
            let json = serde_json::to_string(&shown.fields().unwrap()).unwrap();
            assert_eq!(json, serde_json::to_string(&event).unwrap());
        }
        assert_eq!(proxyprocess_event_kind_str(99).text(), "unknown");
    }
}
