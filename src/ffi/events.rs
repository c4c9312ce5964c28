// SPDX-License-Identifier: MPL-2.0
//! Lifecycle events, by pull: waited for, or announced by a descriptor.

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::failure::{ErrorOut, Failure};
use super::handle::{Handle, call, enter, free, place};
use super::input::utf8;
use super::output::{OwnedText, TextOut, c_string};
use super::owned_text::give;
use super::sized::{In, Out, SizedStruct};
use super::status::{exit, exit_status};
use crate::supervisor::{Event, EventFields, EventKind, Events, unix_ns};

/// What happened. A later version of the library may report others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum proxyprocess_event_kind {
    /// Nothing yet: the time to wait is over.
    PROXYPROCESS_EVENT_NONE = 0,
    /// Nothing any more: the manager or daemon has ended, and all its events were read.
    PROXYPROCESS_EVENT_END = 1,
    /// The proxy runs: `pid`, 0 for kinds that have no process.
    PROXYPROCESS_EVENT_STARTED = 2,
    /// A process could not be started, and `text` says why; it is tried again.
    PROXYPROCESS_EVENT_START_FAILED = 3,
    /// A process of an earlier agent is supervised from now on: `pid`.
    PROXYPROCESS_EVENT_ADOPTED = 4,
    /// A recorded process, or one of which it is not known whether there is one, was not adopted, and `text` says why.
    PROXYPROCESS_EVENT_ADOPTION_REFUSED = 5,
    /// The process has ended: `pid`, `exit`, `exit_value`.
    PROXYPROCESS_EVENT_EXITED = 6,
    /// The next start is due in `wait_ms`.
    PROXYPROCESS_EVENT_WAITING = 7,
    /// The process was told to end: `pid`.
    PROXYPROCESS_EVENT_STOPPING = 8,
    /// The process is gone, as was wanted. The status may name a proxy that was removed an instant longer.
    PROXYPROCESS_EVENT_STOPPED = 9,
    /// The proxy cannot be started as it is declared, or may not be, and `text` says why.
    PROXYPROCESS_EVENT_FAILED = 10,
    /// The snapshot was written.
    PROXYPROCESS_EVENT_SNAPSHOT_WRITTEN = 11,
    /// The snapshot could not be written, or it or a process record could not be read, and `text` says why.
    PROXYPROCESS_EVENT_SNAPSHOT_FAILED = 12,
    /// The reader fell behind, and `missed` events are lost to it. The status tells where things stand.
    PROXYPROCESS_EVENT_GAP = 13,
    /// The process is gone, and others live that it may have left. They are not proven to be its own, and not signalled;
    /// `text` names them.
    PROXYPROCESS_EVENT_UNPROVEN = 14,
}

/// One event. The caller sets `struct_size` to `sizeof` of it before the call that fills it; the pointers are valid until
/// the next call with the same reader.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct proxyprocess_event {
    /// The size of this struct as the caller knows it.
    pub struct_size: u32,
    /// A value of proxyprocess_event_kind.
    pub kind: i32,
    /// Counts up by one with every event of the manager or daemon. A gap has the number of the last event it covers.
    pub number: u64,
    /// When it happened, in nanoseconds since 1970.
    pub at_unix_ns: u64,
    /// The id of the proxy, UTF-8; NULL where it is about none.
    pub id: TextOut,
    /// An error or a reason, UTF-8; NULL where there is none.
    pub text: TextOut,
    /// Milliseconds until the next start.
    pub wait_ms: u64,
    /// How many events are lost.
    pub missed: u64,
    /// The process, or 0.
    pub pid: u32,
    /// How it ended: a value of proxyprocess_exit.
    pub exit: i32,
    /// The exit code or the signal.
    pub exit_value: i32,
    /// 0.
    pub reserved: u32,
    /// How it ended as text, like "exit code 1" or "signal SIGKILL", UTF-8; NULL when it has not ended.
    pub exit_text: TextOut,
}

/// In C: `const proxyprocess_event *`.
pub type EventIn = In<proxyprocess_event>;

/// In C: `proxyprocess_event *`.
pub type EventOut = Out<proxyprocess_event>;

// SAFETY: it is repr(C), begins with its size, and consists of numbers and pointers, of which any bytes are valid.
unsafe impl SizedStruct for proxyprocess_event {
    const NAME: &'static str = "event";
    const FIRST_SIZE: usize = 72;

    fn defaults() -> Self {
        proxyprocess_event {
            struct_size: 0,
            kind: proxyprocess_event_kind::PROXYPROCESS_EVENT_NONE as i32,
            number: 0,
            at_unix_ns: 0,
            id: TextOut::NULL,
            text: TextOut::NULL,
            wait_ms: 0,
            missed: 0,
            pid: 0,
            exit: 0,
            exit_value: 0,
            reserved: 0,
            exit_text: TextOut::NULL,
        }
    }
}

/// A reader of lifecycle events. Reading slowly delays nothing: events that are lost to it are reported as a gap. It is for
/// one thread at a time.
pub struct proxyprocess_events(Handle<Mutex<Reader>>);

struct Reader {
    events: Events,
    /// What the last event pointed to.
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

/// The next event, waiting for it at most so long.
///
/// `timeout_ms`: 0 does not wait; UINT64_MAX waits until there is an event.
///
/// `event`: the struct to fill; its `struct_size` is set. Its `kind` is PROXYPROCESS_EVENT_NONE when the time is over
/// and PROXYPROCESS_EVENT_END when no event will come any more.
///
/// Returns 0; PROXYPROCESS_E_NULL_ARGUMENT, PROXYPROCESS_E_STRUCT_SIZE: no event is lost by that.
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

/// A descriptor that polls readable while there is an event to read or none will come any more, for hosts with an event
/// loop of their own. Wait for it with poll(2) or epoll(7), never read it; then call proxyprocess_events_next() with
/// timeout 0 until it says PROXYPROCESS_EVENT_NONE.
///
/// `descriptor`: where its number is put. It belongs to the reader, is closed with it, and must not be closed otherwise.
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

/// The name of a kind, like "started" or "snapshot_failed"; static. "none" and "end" for those two, "unknown" for a number of a
/// later version.
///
/// `kind`: a value of proxyprocess_event_kind.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_event_kind_str(kind: i32) -> TextOut {
    TextOut::of(kind_name(kind).unwrap_or(c"unknown"))
}

fn kind_name(kind: i32) -> Option<&'static CStr> {
    Some(match kind {
        0 => c"none",
        1 => c"end",
        2 => c"started",
        3 => c"start_failed",
        4 => c"adopted",
        5 => c"adoption_refused",
        6 => c"exited",
        7 => c"waiting",
        8 => c"stopping",
        9 => c"stopped",
        10 => c"failed",
        11 => c"snapshot_written",
        12 => c"snapshot_failed",
        13 => c"gap",
        14 => c"unproven",
        _ => return None,
    })
}

/// An event as one JSON object with the keys number, at_unix_ns, id, kind (its name), pid, exit (as text), wait_ms, text and
/// missed, in this order; null is what its kind does not have.
///
/// `event`: as proxyprocess_events_next() has filled it.
///
/// `json`: where the text is put; free it with proxyprocess_text_free().
///
/// `json_length`: where its length is put; may be NULL.
///
/// Returns 0; PROXYPROCESS_E_NULL_ARGUMENT, PROXYPROCESS_E_STRUCT_SIZE; PROXYPROCESS_E_INVALID_ARGUMENT: its kind or its exit is
/// no known number; PROXYPROCESS_E_INVALID_UTF8.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_event_json(
    event: EventIn,
    json: Option<&mut MaybeUninit<OwnedText>>,
    json_length: Option<&mut MaybeUninit<usize>>,
    err: ErrorOut<'_>,
) -> i32 {
    enter(err, || {
        let event = event.required("event")?;
        let encoded = serde_json::to_vec(&event.fields()?);
        let encoded = encoded.map_err(|error| Failure::internal(format!("encode event: {error}")))?;
        give("json", json, json_length, Some(encoded))
    })
}

impl proxyprocess_event {
    fn fields(&self) -> Result<EventFields<'_>, Failure> {
        use proxyprocess_event_kind as C;
        let unknown = || Failure::argument(format!("event.kind: expected a kind of event, got {}", self.kind));
        let of_kind = |kind: C, value: u64| (self.kind == kind as i32).then_some(value);
        Ok(EventFields {
            number: self.number,
            at_unix_ns: self.at_unix_ns,
            id: optional_text("event.id", &self.id)?,
            kind: kind_name(self.kind).and_then(|name| name.to_str().ok()).ok_or_else(unknown)?,
            pid: (self.pid != 0).then_some(self.pid),
            exit: exit_status("event.exit", self.exit, self.exit_value)?,
            wait_ms: of_kind(C::PROXYPROCESS_EVENT_WAITING, self.wait_ms),
            text: optional_text("event.text", &self.text)?,
            missed: of_kind(C::PROXYPROCESS_EVENT_GAP, self.missed),
        })
    }
}

fn optional_text<'a>(name: &str, text: &'a TextOut) -> Result<Option<&'a str>, Failure> {
    text.read().map(|text| utf8(name, text.to_bytes())).transpose()
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
                (shown.exit, shown.exit_value) = exit(Some(status));
                self.exit = c_string(&status.to_string());
                shown.exit_text = TextOut::of(&self.exit);
                C::PROXYPROCESS_EVENT_EXITED
            }
            EventKind::Waiting { wait } => {
                shown.wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                C::PROXYPROCESS_EVENT_WAITING
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
    use super::*;
    use crate::sys::wait::ExitStatus;
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
            EventKind::Waiting { wait: Duration::ZERO },
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
            let event = Event { number: 3, at: SystemTime::now(), id: Some("web".into()), kind };
            let shown = reader.show(Some(event.clone()));
            assert_eq!(proxyprocess_event_kind_str(shown.kind).text(), event.kind.as_str());
            let json = serde_json::to_string(&shown.fields().unwrap()).unwrap();
            assert_eq!(json, serde_json::to_string(&event).unwrap());
        }
        assert_eq!(proxyprocess_event_kind_str(99).text(), "unknown");
    }
}
