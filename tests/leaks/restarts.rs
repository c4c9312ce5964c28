// SPDX-License-Identifier: MPL-2.0
//! Processes that end and are started again, over and over.

use std::time::{Duration, Instant};

use proxyprocess::{Command, EventKind, Events, ProxyConfig};

use crate::inside::{Host, helper, quick};
use crate::leaks::measure::{Heap, Measure, one_alone, rounds};
use crate::support::{Scene, WATCHDOG, alone};

/// What is there before it counts: tables and the ring of events have their size then.
const WARM_UP: usize = 550;

/// A proxy that ends at once and is started again at once.
fn ends() -> ProxyConfig {
    let mut config = ProxyConfig::new(Command::new("/bin/echo").arg("x"));
    config.restart.attempts_before_backoff = u32::MAX;
    config.stop.grace_period = Duration::from_millis(20);
    config
}

/// Reads on until so many processes have been started.
#[track_caller]
fn read_starts(events: &mut Events, count: usize) {
    let mut seen = 0;
    while seen < count {
        let event = events.next_timeout(WATCHDOG).expect("a start");
        assert!(!matches!(event.kind, EventKind::StartFailed { .. }), "{event:?}");
        seen += usize::from(event.id.as_deref() == Some("ends") && matches!(event.kind, EventKind::Started { .. }));
    }
}

#[track_caller]
fn read_stop(events: &mut Events) {
    let deadline = Instant::now() + WATCHDOG;
    while events.next_timeout(WATCHDOG).expect("the stop").kind != EventKind::Stopped {
        assert!(Instant::now() < deadline, "waited in vain for the stop");
    }
}

#[test]
fn ten_thousand_restarts_leave_everything_as_it_was() {
    alone("leaks::restarts::ten_thousand_restarts_leave_everything_as_it_was", || {
        let scene = Scene::of_library();
        let mut host = Host::new(quick(&scene.data_dir()));
        host.set("stays", helper(&scene, &["run"]));
        host.run();
        let stays = scene.reports.start("stays");
        // One reader that follows, and others that never read.
        let (mut events, polled) = (host.manager.events(), host.manager.events());
        polled.descriptor().unwrap();
        let mut restart = |host: &Host, count: usize| {
            host.set("ends", ends());
            read_starts(&mut events, count);
            host.state.remove("ends");
            read_stop(&mut events);
            one_alone(&scene.data_dir());
        };
        restart(&host, WARM_UP);
        let (before, heap) = (Measure::settled(&scene.data_dir()), Heap::now());
        let began = Instant::now();
        restart(&host, rounds());
        println!("{} restarts took {:?}", rounds(), began.elapsed());
        before.wait(&scene.data_dir());
        heap.check(rounds());
        // Each of them has written to the log, and nothing else has; the last one of each series may be stopped before.
        let written = scene.log("ends", "stdout");
        assert!(written.len() / 2 >= rounds() + WARM_UP - 2 && written.lines().all(|line| line == "x"));
        assert!(!stays.process.is_gone());
        drop(polled);
        host.manager.kill().unwrap();
        host.join();
        scene.finish();
    });
}

/// Each time by another manager, which has first to take over a living process.
#[test]
fn restarts_of_adopted_processes_leave_everything_as_it_was() {
    alone("leaks::restarts::restarts_of_adopted_processes_leave_everything_as_it_was", || {
        let scene = Scene::of_library();
        let mut web = ProxyConfig::new(Command::new("/bin/sleep").arg("1000"));
        web.restart.attempts_before_backoff = u32::MAX;
        web.token = Some("a declared token".to_owned());
        let take_over = || {
            let mut host = Host::new(quick(&scene.data_dir()));
            host.set("web", web.clone());
            host.restore().unwrap();
            host.run();
            let adopted = host.events.adopted("web");
            let process = crate::support::Process::open(adopted).expect("a child that is not reaped");
            process.kill();
            host.events.started("web");
            host.close();
        };
        let mut first = Host::new(quick(&scene.data_dir()));
        first.set("web", web.clone());
        first.run();
        first.events.started("web");
        first.close();
        (0..20).for_each(|_| take_over());
        let (before, heap) = (Measure::settled(&scene.data_dir()), Heap::now());
        let cycles = rounds() / 20;
        (0..cycles).for_each(|_| take_over());
        before.wait(&scene.data_dir());
        heap.check(cycles);
        let mut last = Host::new(quick(&scene.data_dir()));
        last.set("web", web.clone());
        last.restore().unwrap();
        last.events.adopted("web");
        last.manager.kill().unwrap();
        assert_eq!(scene.pid_files(), [""; 0]);
        scene.finish();
    });
}
