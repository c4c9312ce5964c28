//! Lifecycle events: numbered, kept for a while, and never in anybody's way.
//!
//! One ring of bounded size serves all readers; each has only a position in it. Who fell behind by more than the ring
//! holds finds an explicit gap, and asks for the status to know where things stand.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

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
    /// A recorded process was not adopted.
    AdoptionRefused {
        /// Why: it is gone, another process has its number, or nobody can tell now.
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
    /// The process was told to end.
    Stopping {
        /// Its pid.
        pid: Option<u32>,
    },
    /// The process is gone, as was wanted.
    Stopped,
    /// The proxy cannot be started as it is declared, or may not be.
    Failed {
        /// Why.
        error: String,
    },
    /// The snapshot was written.
    SnapshotWritten,
    /// The snapshot could not be written, or what was there could not be read.
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

/// Where events are published.
#[derive(Debug)]
pub(crate) struct EventRing {
    ring: Mutex<Ring>,
    published: Condvar,
}

#[derive(Debug)]
struct Ring {
    capacity: usize,
    /// The number of the next event.
    next: u64,
    /// The latest events; the last one has the number `next - 1`.
    kept: VecDeque<Event>,
    /// While nobody reads, nothing is kept.
    readers: usize,
    /// No more events will come.
    ended: bool,
}

impl Ring {
    fn oldest(&self) -> u64 {
        self.next - self.kept.len() as u64
    }
}

impl EventRing {
    pub(crate) fn new(capacity: usize) -> Arc<EventRing> {
        let ring = Ring { capacity: capacity.max(1), next: 1, kept: VecDeque::new(), readers: 0, ended: false };
        Arc::new(EventRing { ring: Mutex::new(ring), published: Condvar::new() })
    }

    /// Publishes an event; never waits for a reader.
    pub(crate) fn publish(&self, id: Option<&Arc<str>>, kind: EventKind) {
        let mut ring = self.lock();
        let number = ring.next;
        ring.next += 1;
        if ring.readers == 0 {
            ring.kept.clear();
            return;
        }
        if ring.kept.len() == ring.capacity {
            ring.kept.pop_front();
        }
        ring.kept.push_back(Event { number, at: SystemTime::now(), id: id.cloned(), kind });
        drop(ring);
        self.published.notify_all();
    }

    /// Wakes every reader: there will be no more events.
    pub(crate) fn end(&self) {
        self.lock().ended = true;
        self.published.notify_all();
    }

    pub(crate) fn subscribe(self: &Arc<Self>) -> Events {
        let mut ring = self.lock();
        ring.readers += 1;
        let position = ring.next;
        drop(ring);
        Events { ring: self.clone(), position }
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        // Nothing panics while it is held; and a ring is whole after every step anyway.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reader of lifecycle events, from its creation on.
///
/// Dropping it costs nothing, and reading slowly costs nobody anything: what falls out of the ring is reported by
/// [`EventKind::Gap`].
///
/// ```no_run
/// # fn example(manager: &proxyprocess::Manager) {
/// let mut events = manager.events();
/// while !events.is_ended() {
///     if let Some(event) = events.next(std::time::Duration::from_secs(60)) {
///         println!("{event:?}");
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Events {
    ring: Arc<EventRing>,
    /// The number of the next event to read.
    position: u64,
}

impl Events {
    /// The next event, waiting for it at most so long. `None` when the time is over, or at once when the manager or
    /// daemon was closed or stopped for good and all its events were read.
    pub fn next(&mut self, timeout: Duration) -> Option<Event> {
        let deadline = Instant::now().checked_add(timeout);
        let shared = self.ring.clone();
        let mut ring = shared.lock();
        loop {
            if let Some(event) = self.take(&ring) {
                return Some(event);
            }
            if ring.ended {
                return None;
            }
            let left = deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return None;
            }
            let waited = shared.published.wait_timeout(ring, left);
            ring = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The next event if there is one.
    pub fn try_next(&mut self) -> Option<Event> {
        let shared = self.ring.clone();
        let ring = shared.lock();
        self.take(&ring)
    }

    /// Whether no event will come any more, and all were read: the manager or daemon has ended.
    pub fn is_ended(&self) -> bool {
        let ring = self.ring.lock();
        ring.ended && self.position == ring.next
    }

    fn take(&mut self, ring: &Ring) -> Option<Event> {
        let oldest = ring.oldest();
        if self.position < oldest {
            let missed = oldest - self.position;
            self.position = oldest;
            return Some(Event {
                number: oldest - 1,
                at: SystemTime::now(),
                id: None,
                kind: EventKind::Gap { missed },
            });
        }
        let event = ring.kept.get(usize::try_from(self.position - oldest).ok()?)?.clone();
        self.position += 1;
        Some(event)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.ring.lock().readers -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn a_reader_that_fell_behind_is_told_how_much_it_missed() {
        let ring = EventRing::new(4);
        ring.publish(None, EventKind::Stopped);
        let mut events = ring.subscribe();
        assert_eq!(events.try_next(), None, "only what happens from now on");
        for _ in 0..10 {
            ring.publish(None, EventKind::Stopped);
        }
        let gap = events.try_next().unwrap();
        assert_eq!((gap.number, gap.kind), (7, EventKind::Gap { missed: 6 }));
        let numbers: Vec<u64> = std::iter::from_fn(|| events.try_next()).map(|event| event.number).collect();
        assert_eq!(numbers, [8, 9, 10, 11]);
    }

    #[test]
    fn nobody_reading_costs_nothing() {
        let ring = EventRing::new(4);
        drop(ring.subscribe());
        for _ in 0..1000 {
            ring.publish(None, EventKind::Stopped);
        }
        assert_eq!(ring.lock().kept.len(), 0);
        assert_eq!(ring.lock().next, 1001);
    }

    #[test]
    fn a_waiting_reader_is_woken_by_an_event_and_by_the_end() {
        let ring = EventRing::new(4);
        let mut events = ring.subscribe();
        let reader = std::thread::spawn(move || (events.next(LONG).map(|event| event.number), events.next(LONG)));
        ring.publish(None, EventKind::Stopped);
        ring.end();
        assert_eq!(reader.join().unwrap(), (Some(1), None));
        assert!(ring.subscribe().is_ended());
    }
}
