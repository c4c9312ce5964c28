//! Lifecycle events, by pull: waited for, or announced by a descriptor.

use std::ffi::CString;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use super::failure::ErrorOut;
use super::handle::{Handle, call, free, place};
use super::output::{TextOut, c_string};
use super::sized::{EventOut, SizedStruct};
use super::status::exit;
use crate::supervisor::{Event, EventKind, Events};

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
}

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
        }
    }
}

/// A reader of lifecycle events. Reading slowly costs nobody anything: what does not fit is reported as a gap. It is for
/// one thread at a time.
pub struct proxyprocess_events(Handle<Mutex<Reader>>);

struct Reader {
    events: Events,
    /// What the last event pointed to.
    id: CString,
    text: CString,
}

impl proxyprocess_events {
    pub(super) fn new(events: Events) -> proxyprocess_events {
        proxyprocess_events(Handle::new(Mutex::new(Reader {
            events,
            id: CString::default(),
            text: CString::default(),
        })))
    }
}

/// The next event, waiting for it at most so long.
///
/// `timeout_ms`: 0 only looks; UINT64_MAX waits until something happens.
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
        let since = event.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        shown.at_unix_ns = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
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
