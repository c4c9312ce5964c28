// SPDX-License-Identifier: MPL-2.0
//! Lifecycle events, as they are reported to the user.

mod counters;
mod occurrence;
mod publisher;
mod text;

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::error::Result;
pub(crate) use counters::{BOUNDS_MS, Counters, TimeHistogram};
pub(crate) use occurrence::{ProxyOccurrence, SnapshotOccurrence};
pub(crate) use publisher::Publisher;
#[cfg(feature = "capi")]
pub(crate) use text::{EventFields, unix_ns};

#[cfg(feature = "capi")]
use crate::feed::NextPlace;
use crate::feed::{Entry, Feed, Reader};
use crate::lifecycle::generation::Generation;
use crate::sys::wait::ExitStatus;

/// An event: something that happened to a proxy or to the snapshot.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// Increases by one with each event of this manager or daemon. A gap has the number of the last event that it
    /// covers.
    pub number: u64,
    /// When it happened.
    pub at: SystemTime,
    /// The proxy; absent for gaps and snapshots.
    pub id: Option<Arc<str>>,
    /// What happened.
    pub kind: EventKind,
    /// The generation of the process that the event is about: see
    /// [`ProxyStatus::generation`](crate::ProxyStatus::generation). Present only for the kinds `Started`, `Adopted`,
    /// `Ready`, `NotReady`, `WatchdogExpired`, `Stopping` and `Exited`, and only if it is known.
    pub generation: Option<u64>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum EventKind {
    /// The proxy was started.
    Started {
        /// The pid of its process; absent for kinds without a process.
        pid: Option<u32>,
    },
    /// A process could not be started; the start is tried again.
    StartFailed {
        /// Why.
        error: String,
    },
    /// A process of an earlier agent was adopted and is supervised from now on.
    Adopted {
        /// Its pid.
        pid: u32,
    },
    /// A recorded process, or a process of unknown existence, was not adopted.
    AdoptionRefused {
        /// Why: it ended while no agent was running, its pid was recycled, or this cannot be determined now.
        reason: String,
    },
    /// The process ended.
    Exited {
        /// Its pid.
        pid: u32,
        /// How.
        status: ExitStatus,
    },
    /// The next start is due later.
    Waiting {
        /// The time until the next start.
        wait: Duration,
    },
    /// The process is ready by the check that its declaration names, or ready again after a reload that it announced
    /// (sd_notify(3)). Not published for a process that is ready once it is started, nor after an adoption of one that
    /// reports its readiness itself.
    Ready,
    /// The process was not ready within its start timeout: it is stopped and started again as after a crash.
    NotReady {
        /// What was awaited, and why it failed.
        reason: String,
    },
    /// The process did not feed its watchdog in time, or sent `WATCHDOG=trigger`: it gets SIGABRT and is started again
    /// as after a crash.
    WatchdogExpired {
        /// How long it was silent, or the reason that it gave.
        reason: String,
    },
    /// The process was asked to end.
    Stopping {
        /// Its pid.
        pid: Option<u32>,
    },
    /// The process was stopped on request and is gone.
    Stopped,
    /// The process ended as expected, and its [`RestartWhen`](crate::RestartWhen) does not restart it. The next agent
    /// publishes this event again.
    Completed {
        /// How it ended.
        status: ExitStatus,
    },
    /// The proxy cannot or may not be started as declared; or it failed, and its
    /// [`RestartSettings`](crate::RestartSettings) do not start it again.
    Failed {
        /// Why.
        error: String,
    },
    /// The process is gone, but processes are alive that it may have left. They are not proven to belong to the proxy
    /// and were not signalled.
    Unproven {
        /// Their pids and programs, and why each may belong to the proxy:
        /// [`ProxyStatus::unproven`](crate::ProxyStatus::unproven).
        processes: String,
    },
    /// The snapshot was written.
    SnapshotWritten,
    /// The snapshot could not be written; or the snapshot, a process record or a pid file could not be read.
    SnapshotFailed {
        /// Why.
        error: String,
    },
    /// The reader fell behind and lost this many events.
    Gap {
        /// How many.
        missed: u64,
    },
}

/// Where the events of a manager or daemon are published.
pub(crate) type EventRing = Feed<Event>;

impl Entry for Event {
    fn gap(number: u64, at: SystemTime, missed: u64) -> Event {
        Event { number, at, id: None, kind: EventKind::Gap { missed }, generation: None }
    }
}

impl EventRing {
    /// Publishes an event; never waits for a reader. Only the publisher calls it.
    fn publish(&self, id: Option<&Arc<str>>, generation: Generation, kind: EventKind) {
        let generation = generation.known();
        self.add(|number, at| Event { number, at, id: id.cloned(), kind, generation });
    }

    pub(crate) fn subscribe(self: &Arc<Self>) -> Events {
        Events { reader: Reader::of(self) }
    }
}

/// A reader of the lifecycle events that are published after its creation.
///
/// A slow reader delays nothing: events that it loses are reported as [`EventKind::Gap`]. Dropping the reader is cheap.
///
/// ```no_run
/// # fn example(manager: &proxyprocess::Manager) {
/// for event in manager.events() {
///     println!("{event:?}"); // until the manager was closed or killed
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Events {
    reader: Reader<Event>,
}

impl Events {
    /// Waits for the next event for at most `timeout`. Returns `None` when the time is over, or at once when the
    /// manager or daemon was closed or stopped for good and all its events were read.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<Event> {
        self.reader.next_timeout(timeout)
    }

    /// The next event if there is one; does not wait.
    pub fn try_next(&mut self) -> Option<Event> {
        self.reader.try_next()
    }

    /// Whether the manager or daemon has ended and all its events were read: no event will come any more.
    pub fn is_ended(&self) -> bool {
        self.reader.is_ended()
    }

    /// The position of the next event, for a caller that must not hold a lock while it waits.
    #[cfg(feature = "capi")]
    pub(crate) fn next_place(&self) -> NextPlace<Event> {
        self.reader.next_place()
    }

    /// A descriptor for a host with its own event loop. It is readable exactly while there is an event or a gap to
    /// read, and permanently once no event will come any more: then [`Events::is_ended`] is true.
    ///
    /// Only poll it (select, poll, epoll, level- or edge-triggered); do not read, write or close it. It belongs to this
    /// reader, is the same at every call, and lives as long as the reader; remove it from an epoll set before dropping
    /// the reader. It is close-on-exec and above 2. A reader has no descriptor until this is called.
    ///
    /// ```no_run
    /// use rustix::event::{PollFd, PollFlags, poll};
    ///
    /// # fn example(manager: &proxyprocess::Manager) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut events = manager.events();
    /// while !events.is_ended() {
    ///     poll(&mut [PollFd::new(&events.descriptor()?, PollFlags::IN)], None)?; // and whatever else the host polls
    ///     while let Some(event) = events.try_next() {
    ///         println!("{event:?}");
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - [`ErrorCode::Exhausted`](crate::ErrorCode::Exhausted): no descriptor is left; the call can be repeated.
    /// - [`ErrorCode::Forked`](crate::ErrorCode::Forked): the descriptor belongs to the process that forked this one.
    pub fn descriptor(&self) -> Result<BorrowedFd<'_>> {
        self.reader.descriptor()
    }
}

impl Iterator for Events {
    type Item = Event;

    /// Waits for the next event without a limit; `None` when the manager or daemon was closed or stopped for good and
    /// all its events were read.
    fn next(&mut self) -> Option<Event> {
        self.next_timeout(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iteration_over_events_ends_with_the_last_one_after_the_end() {
        let ring = EventRing::new(4);
        let events = ring.subscribe();
        let reader = std::thread::spawn(move || events.map(|event| event.number).collect::<Vec<u64>>());
        ring.publish(None, Generation::UNKNOWN, EventKind::Stopped);
        ring.publish(None, Generation::UNKNOWN, EventKind::Stopped);
        ring.end();
        assert_eq!(reader.join().unwrap(), [1, 2]);
    }
}
