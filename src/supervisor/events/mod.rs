//! Lifecycle events: numbered, kept for a while, and never in anybody's way.
//!
//! One ring of bounded size serves all readers; each has only a position in it. Who fell behind by more than the ring
//! holds finds an explicit gap, and asks for the status to know where things stand.

mod readiness;

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::error::{Error, ErrorCode, Result};
use crate::sys::fork::HomeProcess;
use crate::sys::wait::ExitStatus;
use readiness::Readiness;

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
    /// A recorded process, or one of which it is not known whether there is one, was not adopted.
    AdoptionRefused {
        /// Why: it ended while no agent was there, another process has its number, or nobody can tell now.
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
    /// The descriptors that are not readable, as their readers have nothing to read: the next event makes them so. The
    /// others are, and need no call.
    unready: Vec<Arc<Readiness>>,
}

impl Ring {
    fn oldest(&self) -> u64 {
        self.next - self.kept.len() as u64
    }

    /// Whether there is something to be read from this position on, be it the end.
    fn is_ready(&self, position: u64) -> bool {
        self.ended || position < self.next
    }

    fn make_all_ready(&mut self) {
        for readiness in self.unready.drain(..) {
            readiness.set();
        }
    }
}

impl EventRing {
    pub(crate) fn new(capacity: usize) -> Arc<EventRing> {
        let (kept, unready) = (VecDeque::new(), Vec::new());
        let ring = Ring { capacity: capacity.max(1), next: 1, kept, readers: 0, ended: false, unready };
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
        // ORDER: under the lock, so that what a descriptor says and what there is to read never differ.
        ring.make_all_ready();
        drop(ring);
        self.published.notify_all();
    }

    /// Wakes every reader: there will be no more events.
    pub(crate) fn end(&self) {
        let mut ring = self.lock();
        ring.ended = true;
        ring.make_all_ready();
        drop(ring);
        self.published.notify_all();
    }

    pub(crate) fn subscribe(self: &Arc<Self>) -> Events {
        let mut ring = self.lock();
        ring.readers += 1;
        let position = ring.next;
        drop(ring);
        Events { ring: self.clone(), position, readiness: OnceLock::new(), home: HomeProcess::here() }
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
/// for event in manager.events() {
///     println!("{event:?}"); // until the manager was closed or killed
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Events {
    ring: Arc<EventRing>,
    /// The number of the next event to read.
    position: u64,
    /// There from the first call of [`Events::descriptor`] on.
    readiness: OnceLock<Arc<Readiness>>,
    home: HomeProcess,
}

impl Events {
    /// The next event, waiting for it at most so long. `None` when the time is over, or at once when the manager or
    /// daemon was closed or stopped for good and all its events were read.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<Event> {
        if let Some(event) = self.try_next() {
            return Some(event);
        }
        self.next_place().wait(timeout);
        self.try_next()
    }

    /// Where the next event will be, to be waited for by who holds nothing meanwhile.
    pub(crate) fn next_place(&self) -> NextPlace {
        NextPlace { ring: self.ring.clone(), position: self.position }
    }

    /// The next event if there is one.
    pub fn try_next(&mut self) -> Option<Event> {
        let shared = self.ring.clone();
        let mut ring = shared.lock();
        self.take(&mut ring)
    }

    /// Whether no event will come any more, and all were read: the manager or daemon has ended.
    pub fn is_ended(&self) -> bool {
        let ring = self.ring.lock();
        ring.ended && self.position == ring.next
    }

    /// A descriptor for a host with an event loop of its own. It polls readable exactly while an event or a gap is
    /// there to be read, and for ever once no event will come any more: then look at [`Events::is_ended`].
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
    /// - [`ErrorCode::Exhausted`]: no descriptor is left; it can be called again.
    /// - [`ErrorCode::Forked`]: it is the descriptor of the process that forked this one.
    pub fn descriptor(&self) -> Result<BorrowedFd<'_>> {
        // Under the lock, so that two callers do not create two.
        let mut ring = self.ring.lock();
        if let Some(readiness) = self.readiness.get() {
            return readiness.fd();
        }
        let failed = |error| Error::os(ErrorCode::Exhausted, "create event descriptor", &error);
        let readiness = Arc::new(Readiness::new().map_err(failed)?);
        if ring.is_ready(self.position) {
            readiness.set();
        } else {
            ring.unready.push(readiness.clone());
        }
        self.readiness.get_or_init(|| readiness).fd()
    }

    /// Reads the next event, and makes the descriptor unreadable with the last one.
    fn take(&mut self, ring: &mut Ring) -> Option<Event> {
        let event = self.read(ring)?;
        if let (Some(readiness), false) = (self.readiness.get(), ring.is_ready(self.position)) {
            readiness.clear();
            ring.unready.push(readiness.clone());
        }
        Some(event)
    }

    fn read(&mut self, ring: &Ring) -> Option<Event> {
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

impl Iterator for Events {
    type Item = Event;

    /// The next event, waiting for it as long as it takes; `None` when the manager or daemon was closed or stopped for good
    /// and all its events were read.
    fn next(&mut self) -> Option<Event> {
        self.next_timeout(Duration::MAX)
    }
}

/// Where a reader will find its next event.
#[derive(Debug)]
pub(crate) struct NextPlace {
    ring: Arc<EventRing>,
    position: u64,
}

impl NextPlace {
    /// Waits until there is an event, until none will come any more, or until the time is over.
    ///
    /// A signal handler of the host may leave the wait by siglongjmp. Nothing is held then: the lock is not, while a thread
    /// is in wait_timeout(), and a condition variable of std is a futex on Linux, that knows of no thread that waits.
    pub(crate) fn wait(&self, timeout: Duration) {
        let deadline = Instant::now().checked_add(timeout);
        let mut ring = self.ring.lock();
        while !ring.is_ready(self.position) {
            let left = deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return;
            }
            let waited = self.ring.published.wait_timeout(ring, left);
            ring = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        if !self.home.is_here() {
            // In a worker a thread that is not there may have the lock, and the number may be another file's by now.
            std::mem::forget(self.readiness.take());
            return;
        }
        let mut ring = self.ring.lock();
        ring.readers -= 1;
        if let Some(own) = self.readiness.get() {
            ring.unready.retain(|readiness| !Arc::ptr_eq(readiness, own));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process_identity::Pid;
    use proptest::prelude::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use std::os::fd::AsRawFd;

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
    fn iteration_over_events_ends_with_the_last_one_after_the_end() {
        let ring = EventRing::new(4);
        let events = ring.subscribe();
        let reader = std::thread::spawn(move || events.map(|event| event.number).collect::<Vec<u64>>());
        ring.publish(None, EventKind::Stopped);
        ring.publish(None, EventKind::Stopped);
        ring.end();
        assert_eq!(reader.join().unwrap(), [1, 2]);
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
        let reader = std::thread::spawn(move || {
            (events.next_timeout(LONG).map(|event| event.number), events.next_timeout(LONG))
        });
        ring.publish(None, EventKind::Stopped);
        ring.end();
        assert_eq!(reader.join().unwrap(), (Some(1), None));
        assert!(ring.subscribe().is_ended());
    }

    /// Whether the descriptor of a reader polls readable. It was written to once then, else not at all.
    fn is_readable(events: &Events) -> bool {
        let fd = events.descriptor().unwrap();
        let readable = poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&Timespec::default())).unwrap() == 1;
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).unwrap();
        let count = info.lines().find_map(|line| line.strip_prefix("eventfd-count:")).unwrap();
        assert_eq!(count.trim(), if readable { "1" } else { "0" });
        readable
    }

    #[test]
    fn a_descriptor_is_readable_while_there_is_something_to_read_and_after_the_end() {
        let ring = EventRing::new(4);
        let (mut early, mut late) = (ring.subscribe(), ring.subscribe());
        assert!(!is_readable(&early));
        ring.publish(None, EventKind::Stopped);
        ring.publish(None, EventKind::Stopped);
        assert!(is_readable(&early) && is_readable(&late), "asked for before or after the events");
        assert_eq!(early.next_timeout(LONG).unwrap().number, 1);
        assert!(is_readable(&early));
        assert_eq!(early.try_next().unwrap().number, 2);
        assert!(!is_readable(&early) && is_readable(&late));
        ring.end();
        assert!(is_readable(&early) && is_readable(&ring.subscribe()));
        while late.try_next().is_some() {}
        assert!(is_readable(&late) && late.is_ended());
    }

    #[test]
    fn a_reader_takes_its_descriptor_along() {
        let ring = EventRing::new(4);
        let (asked, never) = (ring.subscribe(), ring.subscribe());
        let raw = asked.descriptor().unwrap().as_raw_fd();
        assert_eq!(asked.descriptor().unwrap().as_raw_fd(), raw);
        assert!(raw > 2);
        let readiness = Arc::downgrade(asked.readiness.get().unwrap());
        drop(asked);
        assert!(readiness.upgrade().is_none(), "closed at once");
        ring.publish(None, EventKind::Stopped);
        assert!(never.readiness.get().is_none());
    }

    #[test]
    fn reader_dropped_in_forked_worker_waits_for_no_lock_and_closes_nothing() {
        let ring = EventRing::new(4);
        let mut reader = ring.subscribe();
        let descriptor = format!("/proc/self/fd/{}", reader.descriptor().unwrap().as_raw_fd());
        let file = std::fs::read_link(&descriptor).unwrap();
        reader.home = HomeProcess::of(Pid::from_raw(i32::MAX).unwrap());
        let held = ring.lock();
        let (done, dropped) = std::sync::mpsc::channel();
        let dropper = std::thread::spawn(move || {
            drop(reader);
            done.send(()).unwrap();
        });
        dropped.recv_timeout(LONG).expect("the lock is waited for");
        drop(held);
        dropper.join().unwrap();
        assert_eq!(std::fs::read_link(&descriptor).unwrap(), file);
    }

    const CAPACITY: usize = 4;
    const READERS: usize = 3;

    #[derive(Debug, Clone)]
    enum Move {
        Publish,
        End,
        /// Of one reader, by number:
        Renew(usize),
        Ask(usize),
        Read(usize),
    }

    fn moves() -> impl Strategy<Value = Move> {
        prop_oneof![
            12 => Just(Move::Publish),
            1 => Just(Move::End),
            1 => (0..READERS).prop_map(Move::Renew),
            3 => (0..READERS).prop_map(Move::Ask),
            12 => (0..READERS).prop_map(Move::Read),
        ]
    }

    proptest! {
        #[test]
        fn what_a_descriptor_says_and_what_there_is_to_read_never_differ(
            walk in proptest::collection::vec(moves(), 1..100),
        ) {
            let (ring, mut ended) = (EventRing::new(CAPACITY), false);
            // A reader, by how many events it is behind, and whether it has asked for its descriptor.
            let new = || (ring.subscribe(), 0, false);
            let mut readers: [_; READERS] = std::array::from_fn(|_| new());
            for next in walk {
                match next {
                    Move::Publish => {
                        ring.publish(None, EventKind::Stopped);
                        readers.iter_mut().for_each(|(_, behind, _)| *behind += 1);
                    }
                    Move::End => {
                        ring.end();
                        ended = true;
                    }
                    Move::Renew(number) => readers[number] = new(),
                    Move::Ask(number) => readers[number].2 = true,
                    Move::Read(number) => {
                        let (events, behind, _) = &mut readers[number];
                        prop_assert_eq!(events.try_next().is_some(), *behind > 0);
                        // A gap leaves what the ring holds.
                        *behind = if *behind > CAPACITY { CAPACITY } else { behind.saturating_sub(1) };
                    }
                }
                for (events, behind, asked) in &readers {
                    prop_assert!(!*asked || is_readable(events) == (*behind > 0 || ended));
                    prop_assert_eq!(events.is_ended(), *behind == 0 && ended);
                }
                prop_assert!(ring.lock().unready.len() <= READERS);
            }
        }
    }
}
