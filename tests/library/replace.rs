// SPDX-License-Identifier: MPL-2.0
//! Replacing a process: just the one that is declared otherwise, and never two at the same time.

use std::time::Duration;

use proxyprocess::{EventKind, ProxyConfig, ProxyState};

use crate::inside::{Host, helper, quick, spin};
use crate::support::Scene;

fn stubborn(scene: &Scene, word: &str) -> ProxyConfig {
    let mut config = helper(scene, &["stubborn", word]);
    config.stop.grace_period = Duration::from_millis(200);
    config
}

fn stopping(host: &mut Host, id: &str) {
    let is_stopping = |kind: &EventKind| matches!(kind, EventKind::Stopping { .. });
    host.events.until("the stop", |event| event.id.as_deref() == Some(id) && is_stopping(&event.kind));
}

#[test]
fn a_changed_declaration_replaces_just_that_proxy() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    for id in ["a", "b", "c"] {
        host.set(id, helper(&scene, &["graceful"]));
    }
    host.run();
    let [a, b, c] = ["a", "b", "c"].map(|id| scene.reports.start(id));
    (0..3).for_each(|_| drop(host.events.until("a start", |event| event.id.is_some())));
    host.set("b", helper(&scene, &["graceful", "otherwise"]));
    let other = scene.reports.start("b");
    assert!(b.process.is_gone(), "the old one goes before the new one comes");
    assert_eq!(scene.reports.signal(&b), "SIGINT");
    host.events.until("the new one", |event| event.kind == EventKind::Started { pid: Some(other.pid) });
    assert_eq!(host.status("a").pid, Some(a.pid));
    assert_eq!(host.status("c").pid, Some(c.pid));
    assert_eq!(host.status("b").pid, Some(other.pid));
    for id in ["a", "c"] {
        assert!(matches!(host.events.of_proxy(id)[..], [EventKind::Started { .. }]));
    }
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}

/// Two of one id would report themselves as DUPLICATE.
#[test]
fn what_is_removed_and_wanted_again_while_it_stops_is_never_there_twice() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", stubborn(&scene, "0"));
    host.run();
    let mut running = scene.reports.start("web");
    // The same as before, another one, and one that changes its mind twice.
    for again in [&["0"][..], &["1"], &["2", "3"]] {
        host.state.remove("web");
        stopping(&mut host, "web");
        for word in again {
            host.set("web", stubborn(&scene, word));
        }
        let next = scene.reports.start("web");
        assert!(running.process.is_gone());
        host.events.until("the new one", |event| event.kind == EventKind::Started { pid: Some(next.pid) });
        running = next;
    }
    host.kill();
    assert!(running.process.is_gone());
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn whatever_is_set_and_removed_in_whatever_order_the_last_word_counts() {
    let scene = Scene::of_library();
    let mut options = quick(&scene.data_dir());
    options.quiescent_period = Duration::ZERO;
    let mut host = Host::new(options);
    host.run();
    for round in 0..60 {
        match round % 3 {
            0 => host.set("web", helper(&scene, &["run", &round.to_string()])),
            1 => drop(host.state.remove("web")),
            _ => host.set("web", helper(&scene, &["run", "fixed"])),
        }
        // At ever other moments of what the change before has begun.
        spin(Duration::from_micros(50) * round);
    }
    host.set("web", helper(&scene, &["inspect", "the last word"]));
    let last = loop {
        let start = scene.reports.start("web");
        if start.role == "inspect" {
            break start;
        }
    };
    host.events.until("the last one", |event| event.kind == EventKind::Started { pid: Some(last.pid) });
    assert_eq!((host.status("web").state, host.status("web").pid), (ProxyState::Running, Some(last.pid)));
    let alive: Vec<_> = scene.alive().iter().map(|process| process.pid()).collect();
    assert_eq!(alive, [last.pid]);
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn a_kill_waits_for_what_was_removed_before() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", stubborn(&scene, "0"));
    host.run();
    let start = scene.reports.start("web");
    host.state.remove("web");
    stopping(&mut host, "web");
    assert!(!start.process.is_gone());
    host.manager.kill().unwrap();
    assert!(start.process.is_gone());
    host.join();
    assert_eq!(scene.reports.signal(&start), "SIGINT");
    scene.finish();
}

/// The next agent adopts what the last one was about to stop, and stops it.
#[test]
fn a_close_while_something_stops_leaves_it_to_the_next_manager() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", stubborn(&scene, "0"));
    host.run();
    let start = scene.reports.start("web");
    host.state.remove("web");
    stopping(&mut host, "web");
    host.close();
    assert!(!start.process.is_gone());
    let mut next = Host::new(quick(&scene.data_dir()));
    next.restore().unwrap();
    next.run();
    next.events.stopped("web");
    assert!(start.process.is_gone());
    next.kill();
    scene.reports.forget_unread();
    scene.finish();
}
