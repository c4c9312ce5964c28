// SPDX-License-Identifier: MPL-2.0
//! Lifecycle events: numbered, in order, and never in anybody's way.

use proxyprocess::{Event, EventKind, Events};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::inside::{Host, helper, quick};
use crate::support::{Scene, WATCHDOG};

fn drain(events: &mut Events) -> Vec<Event> {
    std::iter::from_fn(|| events.try_next()).collect()
}

#[test]
fn every_reader_sees_the_same_in_the_same_order() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let mut other = host.manager.events();
    for id in ["a", "b", "c"] {
        let mut config = helper(&scene, &["exit", "1"]);
        config.restart.max_wait = std::time::Duration::from_secs(3600);
        host.set(id, config);
    }
    host.run();
    for _ in 0..3 {
        host.events.until("a wait", |event| matches!(event.kind, EventKind::Waiting { .. }));
    }
    host.manager.kill().unwrap();
    host.join();
    let seen = host.events.seen().to_vec();
    assert_eq!(drain(&mut other), seen);
    assert!(seen.windows(2).all(|pair| pair[0].number + 1 == pair[1].number));
    for id in ["a", "b", "c"] {
        // One start, three free ones, each ended; then the wait; then the end.
        let kinds: Vec<_> = host.events.of_proxy(id).iter().map(name).collect();
        let run = ["started", "exited"];
        let expected = [&run[..], &run, &run, &run, &["waiting", "stopped"]].concat();
        assert_eq!(kinds, expected, "{id}");
    }
    scene.reports.forget_unread();
    scene.finish();
}

fn name(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::Started { .. } => "started",
        EventKind::Exited { .. } => "exited",
        EventKind::Waiting { .. } => "waiting",
        EventKind::Stopping { .. } => "stopping",
        EventKind::Stopped => "stopped",
        _ => "other",
    }
}

#[test]
fn a_slow_reader_is_told_how_much_it_missed_and_delays_nothing() {
    let scene = Scene::of_library();
    let mut options = quick(&scene.data_dir());
    options.event_capacity = 8;
    let mut host = Host::new(options);
    let mut slow = host.manager.events();
    let mut config = helper(&scene, &["exit", "0"]);
    config.restart.attempts_before_backoff = 50;
    config.restart.max_wait = std::time::Duration::from_secs(3600);
    host.set("web", config);
    host.run();
    (0..51).for_each(|_| drop(scene.reports.start("web")));
    host.manager.kill().unwrap();
    host.join();
    let events = drain(&mut slow);
    let EventKind::Gap { missed } = events[0].kind else { panic!("{events:?}") };
    assert_eq!((events[0].number, events.len()), (missed, 9));
    assert!(events.iter().map(|event| event.number).eq(missed..=missed + 8), "{events:?}");
    // Fifty-one starts and ends, the stop, and the snapshots.
    assert!(missed + 8 >= 103, "{missed}");
    assert_eq!(slow.try_next(), None);
    scene.finish();
}

fn is_readable(events: &Events, at_most: Timespec) -> bool {
    poll(&mut [PollFd::new(&events.descriptor().unwrap(), PollFlags::IN)], Some(&at_most)).unwrap() == 1
}

/// As an event loop does that knows nothing but the descriptor.
fn poll_to_the_end(mut events: Events) -> (Events, Vec<Event>) {
    let at_most = Timespec { tv_sec: WATCHDOG.as_secs() as i64, tv_nsec: 0 };
    let mut seen = Vec::new();
    while !events.is_ended() {
        assert!(is_readable(&events, at_most), "polled in vain after {seen:#?}");
        seen.extend(events.try_next());
    }
    (events, seen)
}

#[test]
fn an_event_loop_polls_a_descriptor_and_misses_nothing() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let events = host.manager.events();
    assert!(!is_readable(&events, Timespec::default()));
    let reader = std::thread::spawn(|| poll_to_the_end(events));
    host.set("web", helper(&scene, &["run"]));
    host.run();
    for _ in 0..3 {
        let start = scene.reports.start("web");
        assert_eq!(host.events.started("web"), start.pid);
        start.process.kill();
    }
    scene.reports.start("web");
    host.manager.kill().unwrap();
    host.join();
    let (events, seen) = reader.join().unwrap();
    assert_eq!(seen, host.events.seen());
    assert!(is_readable(&events, Timespec::default()), "the end is there to be seen");
    scene.finish();
}
