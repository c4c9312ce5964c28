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

/// Something that happened to a proxy or to the snapshot.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// Counts up by one with every event of this manager or daemon. A gap has the number of the last event it covers.
    pub number: u64,
    /// When it happened.
    pub at: SystemTime,
    /// The proxy; absent for gaps and snapshots.
    pub id: Option<Arc<str>>,
    /// What happened.
    pub kind: EventKind,
    /// Which start of the proxy the process comes from that it happened to: see
    /// [`ProxyStatus::generation`](crate::ProxyStatus::generation). Only of the kinds `Started`, `Adopted`, `Ready`,
    /// `NotReady`, `WatchdogExpired`, `Stopping` and `Exited`, and where it is known.
    pub generation: Option<u64>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum EventKind {
    /// The proxy runs.
    Started {
        /// The pid of its process; absent for kinds that have none.
        pid: Option<u32>,
    },
    /// A process could not be started; it is tried again.
    StartFailed {
        /// Why.
        error: String,
    },
    /// A process of an earlier agent is supervised from now on.
    Adopted {
        /// Its pid.
        pid: u32,
    },
    /// A recorded process, or one of which it is not known whether there is one, was not adopted.
    AdoptionRefused {
        /// Why: it ended while no agent was there, its pid was recycled, or it cannot be known now.
        reason: String,
    },
    /// The process has ended.
    Exited {
        /// Its pid.
        pid: u32,
        /// How.
        status: ExitStatus,
    },
    /// The next start is due later.
    Waiting {
        /// How much later.
        wait: Duration,
    },
    /// The process is ready, as its declaration says when, or again after a reload that it has announced (sd_notify(3)).
    /// There is none for one that is ready once it is started, nor after an adoption for one that reports by itself.
    Ready,
    /// The process was not ready within its start timeout: it is stopped, and started again as after a crash.
    NotReady {
        /// What was awaited, and why it was not so.
        reason: String,
    },
    /// The process has not fed its watchdog in time, or asked to be treated so: it gets SIGABRT, and is started again as after
    /// a crash.
    WatchdogExpired {
        /// For how long it was silent.
        reason: String,
    },
    /// The process was asked to end.
    Stopping {
        /// Its pid.
        pid: Option<u32>,
    },
    /// The process is gone, as was wanted.
    Stopped,
    /// The process has ended as it may, and the proxy is not started again as its [`RestartWhen`](crate::RestartWhen) says. The
    /// next agent tells so again.
    Completed {
        /// How it ended.
        status: ExitStatus,
    },
    /// The proxy cannot be started as it is declared, or may not be; or it has failed and is not started again, as its
    /// [`RestartSettings`](crate::RestartSettings) say.
    Failed {
        /// Why.
        error: String,
    },
    /// Its process is gone, and others live that it may have left. They are not proven to be its own, and not signalled.
    Unproven {
        /// Their pids and programs, and why each may be of it: [`ProxyStatus::unproven`](crate::ProxyStatus::unproven).
        processes: String,
    },
    /// The snapshot was written.
    SnapshotWritten,
    /// The snapshot could not be written, or it, or a process record or pid file, could not be read.
    SnapshotFailed {
        /// Why.
        error: String,
    },
    /// The reader fell behind, and this many events are lost to it.
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
    /// Publishes an event; never waits for a reader. For the publisher alone.
    fn publish(&self, id: Option<&Arc<str>>, generation: Generation, kind: EventKind) {
        let generation = generation.known();
        self.add(|number, at| Event { number, at, id: id.cloned(), kind, generation });
    }

    pub(crate) fn subscribe(self: &Arc<Self>) -> Events {
        Events { reader: Reader::of(self) }
    }
}

/// A reader of lifecycle events, from its creation on.
///
/// Dropping it costs nothing, and reading slowly delays nothing: what falls out of the ring is reported by
/// [`EventKind::Gap`].
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
    /// The next event, waiting for it at most so long. `None` when the time is over, or at once when the manager or
    /// daemon was closed or stopped for good and all its events were read.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<Event> {
        self.reader.next_timeout(timeout)
    }

    /// The next event if there is one.
    pub fn try_next(&mut self) -> Option<Event> {
        self.reader.try_next()
    }

    /// Whether no event will come any more, and all were read: the manager or daemon has ended.
    pub fn is_ended(&self) -> bool {
        self.reader.is_ended()
    }

    /// Where the next event will be, for a caller that holds no lock while it waits.
    #[cfg(feature = "capi")]
    pub(crate) fn next_place(&self) -> NextPlace<Event> {
        self.reader.next_place()
    }

    /// A descriptor for a host with an event loop of its own. It polls readable exactly while an event or a gap is
    /// there to be read, and for ever once no event will come any more: then [`Events::is_ended`] is true.
    ///
    /// It is only to be polled (select, poll, epoll, level- or edge-triggered), not to be read, written or closed. It
    /// belongs to this reader, is the same at every call, and lives as long as the reader does; remove it from an epoll
    /// set before. It is close-on-exec and above 2. Readers that never ask for it have none.
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
    /// - [`ErrorCode::Exhausted`](crate::ErrorCode::Exhausted): no descriptor is left; it can be called again.
    /// - [`ErrorCode::Forked`](crate::ErrorCode::Forked): it is the descriptor of the process that forked this one.
    pub fn descriptor(&self) -> Result<BorrowedFd<'_>> {
        self.reader.descriptor()
    }
}

impl Iterator for Events {
    type Item = Event;

    /// The next event, waiting for it as long as it takes; `None` when the manager or daemon was closed or stopped for good
    /// and all its events were read.
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
