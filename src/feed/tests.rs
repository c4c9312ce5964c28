// SPDX-License-Identifier: MPL-2.0
//! The two sides of a feed together.

use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Entry, Feed, Reader};
use crate::sys::fork::HomeProcess;
use crate::sys::pid::Pid;

/// An entry of nothing but its number; a gap also says how much is missing.
#[derive(Debug, Clone, PartialEq)]
struct Note {
    number: u64,
    missed: Option<u64>,
}

fn note(number: u64, _at: SystemTime) -> Note {
    Note { number, missed: None }
}

impl Entry for Note {
    fn gap(number: u64, _at: SystemTime, missed: u64) -> Note {
        Note { number, missed: Some(missed) }
    }
}

const LONG: Duration = Duration::from_secs(30);

#[test]
fn a_reader_that_fell_behind_is_told_how_much_it_missed() {
    let ring = Feed::<Note>::new(4);
    ring.add(note);
    let mut events = Reader::of(&ring);
    assert_eq!(events.try_next(), None, "only what happens from now on");
    for _ in 0..10 {
        ring.add(note);
    }
    let gap = events.try_next().unwrap();
    assert_eq!((gap.number, gap.missed), (7, Some(6)));
    let numbers: Vec<u64> = std::iter::from_fn(|| events.try_next()).map(|event| event.number).collect();
    assert_eq!(numbers, [8, 9, 10, 11]);
}

#[test]
fn without_a_reader_nothing_is_kept() {
    let ring = Feed::<Note>::new(4);
    drop(Reader::of(&ring));
    for _ in 0..1000 {
        ring.add(note);
    }
    assert_eq!(ring.lock().kept.len(), 0);
    assert_eq!(ring.lock().next, 1001);
}

#[test]
fn a_waiting_reader_is_woken_by_an_event_and_by_the_end() {
    let ring = Feed::<Note>::new(4);
    let mut events = Reader::of(&ring);
    let reader =
        std::thread::spawn(move || (events.next_timeout(LONG).map(|event| event.number), events.next_timeout(LONG)));
    ring.add(note);
    ring.end();
    assert_eq!(reader.join().unwrap(), (Some(1), None));
    assert!(Reader::of(&ring).is_ended());
}

/// Whether the descriptor of a reader polls readable. It was written to once then, else not at all.
fn is_readable(events: &Reader<Note>) -> bool {
    let fd = events.descriptor().unwrap();
    let readable = poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&Timespec::default())).unwrap() == 1;
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).unwrap();
    let count = info.lines().find_map(|line| line.strip_prefix("eventfd-count:")).unwrap();
    assert_eq!(count.trim(), if readable { "1" } else { "0" });
    readable
}

#[test]
fn a_descriptor_is_readable_while_there_is_something_to_read_and_after_the_end() {
    let ring = Feed::<Note>::new(4);
    let (mut early, mut late) = (Reader::of(&ring), Reader::of(&ring));
    assert!(!is_readable(&early));
    ring.add(note);
    ring.add(note);
    assert!(is_readable(&early) && is_readable(&late), "asked for before or after the events");
    assert_eq!(early.next_timeout(LONG).unwrap().number, 1);
    assert!(is_readable(&early));
    assert_eq!(early.try_next().unwrap().number, 2);
    assert!(!is_readable(&early) && is_readable(&late));
    ring.end();
    assert!(is_readable(&early) && is_readable(&Reader::of(&ring)));
    while late.try_next().is_some() {}
    assert!(is_readable(&late) && late.is_ended());
}

#[test]
fn a_reader_takes_its_descriptor_along() {
    let ring = Feed::<Note>::new(4);
    let (asked, never) = (Reader::of(&ring), Reader::of(&ring));
    let raw = asked.descriptor().unwrap().as_raw_fd();
    assert_eq!(asked.descriptor().unwrap().as_raw_fd(), raw);
    assert!(raw > 2);
    let readiness = Arc::downgrade(asked.readiness.get().unwrap());
    drop(asked);
    assert!(readiness.upgrade().is_none(), "closed at once");
    ring.add(note);
    assert!(never.readiness.get().is_none());
}

#[test]
fn reader_dropped_in_forked_worker_waits_for_no_lock_and_closes_nothing() {
    let ring = Feed::<Note>::new(4);
    let mut reader = Reader::of(&ring);
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
        let (ring, mut ended) = (Feed::<Note>::new(CAPACITY), false);
        // A reader, by how many events it is behind, and whether it has asked for its descriptor.
        let new = || (Reader::of(&ring), 0, false);
        let mut readers: [_; READERS] = std::array::from_fn(|_| new());
        for next in walk {
            match next {
                Move::Publish => {
                    ring.add(note);
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
