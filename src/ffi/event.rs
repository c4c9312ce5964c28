// SPDX-License-Identifier: MPL-2.0
//! One lifecycle event in the form of C.

use std::ffi::CStr;
use std::mem::MaybeUninit;

use super::exit::exit_status;
use super::failure::{ErrorOut, Failure};
use super::handle::enter;
use super::input::utf8;
use super::output::{OwnedText, TextOut};
use super::owned_text::give;
use super::sized::{In, Out, SizedStruct};
use crate::supervisor::EventFields;

/// What happened. Later versions of the library may report further kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum proxyprocess_event_kind {
    /// No event: the timeout elapsed.
    PROXYPROCESS_EVENT_NONE = 0,
    /// No further events: the manager or daemon has ended, and all its events were read.
    PROXYPROCESS_EVENT_END = 1,
    /// The proxy was started: `pid`, 0 for kinds without a process.
    PROXYPROCESS_EVENT_STARTED = 2,
    /// A process could not be started; `text` says why. The start is tried again.
    PROXYPROCESS_EVENT_START_FAILED = 3,
    /// A process of an earlier agent was adopted and is supervised from now on: `pid`.
    PROXYPROCESS_EVENT_ADOPTED = 4,
    /// A recorded process, or a process of unknown existence, was not adopted; `text` says why.
    PROXYPROCESS_EVENT_ADOPTION_REFUSED = 5,
    /// The process ended: `pid`, `exit`, `exit_value`.
    PROXYPROCESS_EVENT_EXITED = 6,
    /// The next start is due in `wait_ms`.
    PROXYPROCESS_EVENT_WAITING = 7,
    /// The process was asked to end: `pid`.
    PROXYPROCESS_EVENT_STOPPING = 8,
    /// The process was stopped on request and is gone. The status may list a removed proxy for an instant longer.
    PROXYPROCESS_EVENT_STOPPED = 9,
    /// The proxy cannot or may not be started as declared, or it failed and its declaration does not restart it; `text`
    /// says why.
    PROXYPROCESS_EVENT_FAILED = 10,
    /// The snapshot was written.
    PROXYPROCESS_EVENT_SNAPSHOT_WRITTEN = 11,
    /// The snapshot could not be written, or the snapshot or a process record could not be read; `text` says why.
    PROXYPROCESS_EVENT_SNAPSHOT_FAILED = 12,
    /// The reader fell behind and lost `missed` events. The status shows the current state.
    PROXYPROCESS_EVENT_GAP = 13,
    /// The process is gone, but other processes are alive that it may have left. They are not proven to belong to the
    /// proxy and were not signalled; `text` names them.
    PROXYPROCESS_EVENT_UNPROVEN = 14,
    /// The process is ready, by the check that its declaration names.
    PROXYPROCESS_EVENT_READY = 15,
    /// The process was not ready within its start timeout; `text` says why. It is stopped and started again as after a
    /// crash.
    PROXYPROCESS_EVENT_NOT_READY = 16,
    /// The process did not feed its watchdog in time, or sent WATCHDOG=trigger; `text` says which. It gets SIGABRT and
    /// is started again as after a crash.
    PROXYPROCESS_EVENT_WATCHDOG_EXPIRED = 17,
    /// The process ended as expected, and its declaration does not restart it: `exit`, `exit_value`. The next agent
    /// reports this event again.
    PROXYPROCESS_EVENT_COMPLETED = 18,
}

/// One event. Set `struct_size` to the `sizeof` of the struct before a call fills it. The pointers are valid until the
/// next call with the same reader.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct proxyprocess_event {
    /// The size of this struct as the caller was compiled with it.
    pub struct_size: u32,
    /// A value of proxyprocess_event_kind.
    pub kind: i32,
    /// Increases by one with each event of the manager or daemon. A gap has the number of the last event that it
    /// covers.
    pub number: u64,
    /// When it happened, in nanoseconds since 1970-01-01 00:00 UTC.
    pub at_unix_ns: u64,
    /// The id of the proxy, UTF-8; NULL if the event is about no proxy.
    pub id: TextOut,
    /// An error or a reason, UTF-8; NULL if there is none.
    pub text: TextOut,
    /// Milliseconds until the next start.
    pub wait_ms: u64,
    /// How many events were lost.
    pub missed: u64,
    /// The pid, or 0.
    pub pid: u32,
    /// How it ended: a value of proxyprocess_exit.
    pub exit: i32,
    /// The exit code or the signal.
    pub exit_value: i32,
    /// Reserved, 0.
    pub reserved: u32,
    /// How it ended as text, like "exit code 1" or "signal SIGKILL", UTF-8; NULL if it has not ended.
    pub exit_text: TextOut,
    /// The generation of the process that the event is about, or 0: see proxyprocess_proxy_status.
    pub generation: u64,
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
            generation: 0,
        }
    }
}

/// Returns the name of an event kind, like "started" or "snapshot_failed"; static. "none" for PROXYPROCESS_EVENT_NONE,
/// "end" for PROXYPROCESS_EVENT_END, and "unknown" for a number that this version does not know.
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
        15 => c"ready",
        16 => c"not_ready",
        17 => c"watchdog_expired",
        18 => c"completed",
        _ => return None,
    })
}

/// Returns an event as one JSON object with the keys number, at_unix_ns, id, kind (its name), pid, exit (as text),
/// wait_ms, text, missed and generation, in this order. A value that the kind does not have is null.
///
/// `event`: as filled by proxyprocess_events_next().
///
/// `json`: receives the text; free it with proxyprocess_text_free().
///
/// `json_length`: receives its length; may be NULL.
///
/// Returns 0; PROXYPROCESS_E_NULL_ARGUMENT, PROXYPROCESS_E_STRUCT_SIZE; PROXYPROCESS_E_INVALID_ARGUMENT: `kind` or
/// `exit` is not a known number; PROXYPROCESS_E_INVALID_UTF8.
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
    pub(super) fn fields(&self) -> Result<EventFields<'_>, Failure> {
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
            generation: (self.generation != 0).then_some(self.generation),
        })
    }
}

fn optional_text<'a>(name: &str, text: &'a TextOut) -> Result<Option<&'a str>, Failure> {
    text.read().map(|text| utf8(name, text.to_bytes())).transpose()
}
