// SPDX-License-Identifier: MPL-2.0
//! The restart of one proxy by a call.

use std::time::Duration;

use proxyprocess::{ErrorCode, EventKind, ProxyConfig, ProxyState};

use crate::inside::{Host, Part, Place, helper, inherited, quick, register_scripted, scripted, spin, stage};
use crate::support::{Process, Scene, list};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn restarted_proxy_is_stopped_as_declared_and_started_again_and_no_other() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("a", helper(&scene, &["graceful"]));
    host.set("b", helper(&scene, &["graceful"]));
    host.run();
    let [a, b] = ["a", "b"].map(|id| scene.reports.start(id));
    host.follow("marker");
    host.events.forget();
    host.manager.restart("a").unwrap();
    let next = scene.reports.start("a");
    assert!(a.process.is_gone(), "the old one goes before the new one comes");
    assert_eq!(scene.reports.signal(&a), "SIGINT");
    assert_eq!(host.events.started("a"), next.pid);
    let told = host.events.of_proxy("a");
    assert!(
        matches!(told[..], [EventKind::Stopping { .. }, EventKind::Exited { .. }, EventKind::Started { .. }]),
        "{told:?}"
    );
    assert_eq!(host.status("a").restarts, 1);
    assert_eq!(host.status("b").pid, Some(b.pid));
    host.close();

    // It is recorded like any other.
    let other = Host::new(quick(&scene.data_dir()));
    other.restore().unwrap();
    assert_eq!((other.status("a").pid, other.status("a").adopted), (Some(next.pid), true));
    other.kill();
    assert!(next.process.is_gone());
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn restart_of_waiting_proxy_starts_it_at_once_and_resets_its_backoff() {
    let scene = Scene::of_library();
    let mut config = helper(&scene, &["run"]);
    config.restart.healthy_after = HOUR;
    config.restart.attempts_before_backoff = 1;
    config.restart.max_wait = HOUR;
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", config);
    host.run();
    for _ in 0..2 {
        // One restart is free.
        for _ in 0..2 {
            let start = scene.reports.start("web");
            assert_eq!(host.events.started("web"), start.pid);
            start.process.kill();
        }
        host.events.waiting("web");
        host.manager.restart("web").unwrap();
    }
    let last = scene.reports.start("web");
    assert_eq!(host.events.started("web"), last.pid);
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}

/// With a grace period without end, which this test ends.
fn stubborn(scene: &Scene, word: &str) -> ProxyConfig {
    let mut config = helper(scene, &["stubborn", word]);
    config.stop.grace_period = HOUR;
    config
}

fn stopping(host: &mut Host) {
    host.events.until("the stop", |event| matches!(event.kind, EventKind::Stopping { .. }));
}

#[test]
fn restart_of_proxy_that_is_being_replaced_stops_it_no_second_time() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", stubborn(&scene, "0"));
    host.run();
    let first = scene.reports.start("web");
    host.set("web", stubborn(&scene, "1"));
    stopping(&mut host);
    assert_eq!(scene.reports.signal(&first), "SIGINT");
    host.manager.restart("web").unwrap();
    host.manager.restart("web").unwrap();
    assert_eq!(host.status("web").state, ProxyState::Stopping);
    first.process.kill();
    let second = scene.reports.start("web");
    host.events.until("the new one", |event| event.kind == EventKind::Started { pid: Some(second.pid) });
    host.follow("marker");
    assert_eq!(host.status("web").pid, Some(second.pid));
    let stops = host.events.of_proxy("web").iter().filter(|kind| matches!(kind, EventKind::Stopping { .. })).count();
    assert_eq!((stops, scene.reports.unread().len()), (1, 0), "{:?}", scene.reports.unread());
    host.state.remove("web");
    stopping(&mut host);
    second.process.kill();
    host.events.stopped("web");
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn restart_of_proxy_that_is_not_managed_is_refused_and_starts_nothing() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let code = |host: &Host, id: &str| host.manager.restart(id).map_err(|error| (error.code(), error.to_string()));
    let not_managed = |id: &str| Err((ErrorCode::NotFound, format!("proxy {id}: not managed")));
    host.set("web", stubborn(&scene, "0"));
    assert_eq!(code(&host, "web"), not_managed("web"), "nothing is before the run");
    host.run();
    let start = scene.reports.start("web");
    assert_eq!(code(&host, "undeclared"), not_managed("undeclared"));
    host.state.remove("web");
    stopping(&mut host);
    assert_eq!(code(&host, "web"), not_managed("web"), "it is to be gone");
    assert_eq!(scene.reports.signal(&start), "SIGINT");
    start.process.kill();
    host.events.stopped("web");
    assert_eq!(code(&host, "web"), not_managed("web"));
    host.manager.kill().unwrap();
    host.join();
    assert_eq!(code(&host, "web").unwrap_err().0, ErrorCode::Closed);
    scene.finish();
}

#[test]
fn restart_of_registered_kind_creates_it_anew_and_stops_the_old_one_first() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let calls = register_scripted(&host.manager);
    let started = |host: &mut Host| {
        host.events.until("a start", |event| event.kind == EventKind::Started { pid: None });
    };
    host.set("a", scripted(1, &[], &[]));
    host.run();
    started(&mut host);
    host.manager.restart("a").unwrap();
    started(&mut host);
    assert_eq!(calls.commands(), ["a create", "a start", "a create", "a stop", "a start"]);
    assert_eq!(host.status("a").state, ProxyState::Running);
    host.kill();
    assert_eq!(calls.commands().len(), 6, "the first one is not stopped again: {:?}", calls.commands());
    scene.finish();
}

#[test]
fn restart_tries_a_proxy_again_whose_kind_could_not_be_created() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("late", scripted(1, &[], &[]));
    host.run();
    assert!(host.events.failed("late").contains("is not registered"));
    let calls = register_scripted(&host.manager);
    host.manager.restart("late").unwrap();
    host.events.until("a start", |event| event.kind == EventKind::Started { pid: None });
    assert_eq!(calls.commands(), ["late create", "late start"]);
    host.kill();
    scene.finish();
}

/// An agent that restarts its proxy again and again.
fn restarts_always(place: &Place) {
    let mut host = Host::new(quick(&place.data_dir()));
    host.restore().unwrap();
    host.set("web", inherited(&["graceful"]));
    host.run();
    host.follow("marker");
    loop {
        host.manager.restart("web").unwrap();
        host.events.started("web");
    }
}

fn end_all(place: &Place) {
    let mut host = Host::new(quick(&place.data_dir()));
    host.restore().unwrap();
    host.set("web", inherited(&["graceful"]));
    host.run();
    host.follow("marker");
    let pid = loop {
        if let (ProxyState::Running, Some(pid)) = (host.status("web").state, host.status("web").pid) {
            break pid;
        }
        host.events
            .until("a start", |event| matches!(event.kind, EventKind::Started { .. } | EventKind::Adopted { .. }));
    };
    assert!(Process::open(pid).is_some());
    host.kill();
}

/// Two of one id would report themselves as DUPLICATE.
#[test]
fn agent_killed_during_restarts_leaves_at_most_one_process_to_the_next() {
    let name = "library::restart::agent_killed_during_restarts_leaves_at_most_one_process_to_the_next";
    let acts: [Part; 2] = [("restarts", restarts_always), ("last", end_all)];
    let Some(stage) = stage(name, &acts) else { return };
    for round in 0..12u32 {
        let agent = stage.begin("restarts", &[]);
        // Restarts are under way.
        (0..3).for_each(|_| drop(stage.scene.reports.start("web")));
        spin(Duration::from_micros(173) * round);
        agent.kill();
        assert!(stage.scene.alive().len() <= 1, "{:?}", stage.scene.alive());
        stage.scene.reports.forget_unread();
    }
    stage.play("last", &[]);
    assert_eq!(list(&stage.scene.data_dir().join("records")), [""; 0]);
    stage.scene.reports.forget_unread();
    stage.end();
}
