// SPDX-License-Identifier: MPL-2.0
//! A handover that the next manager finds: it goes on with it, or ends what is not wanted.

use std::fs;

use proxyprocess::{EventKind, ProxyConfig, ProxyStatus, Ready, Replace, WaitFor};
use rustix::process::Signal;

use super::overlap::{becomes_ready, begun, ends, gone, is_recorded_alone, overlapping, serves, takes_over};
use crate::inside::{Host, helper, quick};
use crate::support::{Deadline, OVERLAPS, Scene, Start, WATCHDOG, list};

/// The first one serves, the second one is not ready, and the manager is closed.
fn left_in_a_handover(scene: &Scene) -> [Start; 2] {
    let mut host = Host::new(quick(&scene.data_dir()));
    let first = begun(scene, &mut host);
    host.set("web", overlapping(scene, "2"));
    let second = scene.reports.start("web");
    let pid = Some(second.pid);
    host.events.until("the start", |event| event.kind == EventKind::Started { pid });
    host.close();
    assert_eq!(list(&scene.data_dir().join("records")), ["web.json", "web.json-next"]);
    [first, second]
}

/// Whether the second one has become ready was for the manager that started it to hear.
#[test]
fn next_manager_starts_anew_a_next_generation_that_reports_its_readiness() {
    let scene = Scene::of_library();
    let [first, second] = left_in_a_handover(&scene);
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", overlapping(&scene, "2"));
    host.run();
    gone(&mut host, &second);
    let third = scene.reports.start("web");
    serves(&host, &first, 1);
    takes_over(&scene, &mut host, [&first, &third], 3);
    is_recorded_alone(&scene, &host, &third);
    ends(scene, host);
}

#[test]
fn next_manager_finishes_a_handover() {
    let scene = Scene::of_library();
    let connected = |version: &str| connected(&scene, version);
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", connected("v1"));
    host.run();
    let first = scene.reports.start("web");
    becomes_ready(&scene, &mut host, &first, 1);
    host.set("web", connected("v2"));
    let second = scene.reports.start("web");
    let pid = Some(second.pid);
    host.events.until("the start", |event| event.kind == EventKind::Started { pid });
    host.close();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", connected("v2"));
    host.run();
    // In any order.
    for _ in 0..2 {
        host.events.until("the adoption", |event| matches!(event.kind, EventKind::Adopted { .. }));
    }
    serves(&host, &first, 1);
    takes_over(&scene, &mut host, [&first, &second], 2);
    is_recorded_alone(&scene, &host, &second);
    ends(scene, host);
}

/// Whose record is damaged is known by its pid file, and nothing says that it is what is declared.
#[test]
fn next_manager_ends_the_other_generation_whose_record_is_damaged() {
    let scene = Scene::of_library();
    let [first, second] = left_in_a_handover(&scene);
    fs::write(scene.data_dir().join("records/web.json-next"), "damaged").unwrap();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", overlapping(&scene, "1"));
    host.run();
    gone(&mut host, &second);
    serves(&host, &first, 1);
    host.kill();
    assert!(first.process.is_gone());
    assert_eq!(list(&scene.data_dir().join("pids")), [""; 0]);
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn next_manager_keeps_both_generations_when_the_record_of_the_current_one_is_damaged() {
    let scene = Scene::of_library();
    let [first, second] = left_in_a_handover(&scene);
    fs::write(scene.data_dir().join("records/web.json"), "damaged").unwrap();
    let host = Host::new(quick(&scene.data_dir()));
    host.kill();
    assert!(first.process.is_gone() && second.process.is_gone());
    assert_eq!(list(&scene.data_dir().join("pids")), [""; 0]);
    scene.reports.forget_unread();
    scene.finish();
}

/// At any moment of a handover.
#[test]
fn close_in_a_handover_leaves_what_the_next_manager_goes_on_from() {
    for round in 0..20 {
        let scene = Scene::of_library();
        let mut host = Host::new(quick(&scene.data_dir()));
        let first = begun(&scene, &mut host);
        host.set("web", overlapping(&scene, "2"));
        let second = scene.reports.start("web");
        second.process.signal(Signal::USR1);
        assert_eq!(scene.reports.signal(&second), "SIGUSR1");
        (0..round * 2000).for_each(|_| std::hint::spin_loop());
        host.close();
        let mut host = Host::new(quick(&scene.data_dir()));
        host.set("web", overlapping(&scene, "2"));
        host.run();
        host.follow("marker");
        host.state.remove("marker");
        // Before the exchange of the files, another one is started: it was not known to be ready.
        let deadline = Deadline::of("the end of the handover");
        let current = loop {
            assert!(!deadline.is_over(), "{:?}", host.status("web"));
            let ProxyStatus { pid, other, .. } = host.status("web");
            match other {
                None if pid == Some(second.pid) => break second,
                Some(other) if other.generation == Some(3) => {
                    let third = scene.reports.start("web");
                    third.process.signal(Signal::USR1);
                    gone(&mut host, &first);
                    serves(&host, &third, 3);
                    break third;
                }
                _ => std::thread::yield_now(),
            }
        };
        assert!(first.process.is_gone());
        is_recorded_alone(&scene, &host, &current);
        ends(scene, host);
    }
}

#[test]
fn next_manager_goes_on_with_the_generation_that_lives() {
    for survivor in [0, 1] {
        let scene = Scene::of_library();
        let mut both = left_in_a_handover(&scene);
        both[1 - survivor].process.kill();
        let mut host = Host::new(quick(&scene.data_dir()));
        host.set("web", overlapping(&scene, "2"));
        host.run();
        if survivor == 0 {
            both[1] = scene.reports.start("web");
            becomes_ready(&scene, &mut host, &both[1], 3);
            gone(&mut host, &both[0]);
        }
        host.follow("marker");
        host.state.remove("marker");
        serves(&host, &both[1], if survivor == 0 { 3 } else { 2 });
        is_recorded_alone(&scene, &host, &both[1]);
        ends(scene, host);
    }
}

#[test]
fn next_manager_stops_the_next_generation_of_what_is_declared_no_more() {
    let scene = Scene::of_library();
    let [first, second] = left_in_a_handover(&scene);
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", overlapping(&scene, "1"));
    host.run();
    gone(&mut host, &second);
    serves(&host, &first, 1);
    is_recorded_alone(&scene, &host, &first);
    ends(scene, host);
}

#[test]
fn next_manager_without_the_declaration_stops_both_generations() {
    let scene = Scene::of_library();
    let [first, second] = left_in_a_handover(&scene);
    let host = Host::new(quick(&scene.data_dir()));
    host.kill();
    assert!(first.process.is_gone() && second.process.is_gone());
    assert_eq!(list(&scene.data_dir().join("records")), [""; 0]);
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn next_manager_with_another_declaration_starts_it_beside_the_current_generation() {
    for with_snapshot in [true, false] {
        let scene = Scene::of_library();
        let mut host = Host::new(quick(&scene.data_dir()));
        let first = begun(&scene, &mut host);
        host.close();
        if !with_snapshot {
            fs::remove_file(scene.data_dir().join("snapshot.json")).unwrap();
        }
        let mut host = Host::new(quick(&scene.data_dir()));
        host.set("web", overlapping(&scene, "2"));
        host.run();
        let second = scene.reports.start("web");
        serves(&host, &first, 1);
        takes_over(&scene, &mut host, [&first, &second], 2);
        ends(scene, host);
    }
}

/// One that is ready when it answers at a path of its own.
fn connected(scene: &Scene, version: &str) -> ProxyConfig {
    let path = scene.path(version);
    let config = helper(scene, &["ready", "unix", path.to_str().unwrap()]);
    let mut config = config.with_ready(Ready::Unix(path)).with_replace(Replace::Overlap);
    config.command = config.command.env(OVERLAPS, "1");
    config
}

#[test]
fn next_manager_finishes_a_restart_by_a_call() {
    let scene = Scene::of_library();
    let ready = scene.path("ready");
    let script = format!("[ -e '{}'$MAINPID ]", ready.display());
    let becomes_ready = |start: &Start| fs::write(scene.path(&format!("ready{}", start.pid)), "").unwrap();
    let config = || overlapping(&scene, "1").with_ready(Ready::command(["/bin/sh", "-c", script.as_str()]));
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", config());
    host.run();
    let first = scene.reports.start("web");
    becomes_ready(&first);
    host.events.until("it is ready", |event| event.kind == EventKind::Ready);
    host.manager.restart("web").unwrap();
    let second = scene.reports.start("web");
    host.events.until("the start", |event| event.kind == EventKind::Started { pid: Some(second.pid) });
    host.close();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", config());
    host.restore().unwrap();
    host.run();
    serves(&host, &first, 1);
    becomes_ready(&second);
    gone(&mut host, &first);
    serves(&host, &second, 2);
    is_recorded_alone(&scene, &host, &second);
    ends(scene, host);
}

#[test]
fn restored_proxy_that_ended_while_its_predecessor_drained_is_started() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    // It ends by SIGKILL alone.
    let mut stubborn = helper(&scene, &["stubborn"]).with_replace(Replace::Overlap);
    stubborn.command = stubborn.command.env(OVERLAPS, "1");
    stubborn.stop.grace_period = WATCHDOG;
    host.set("web", stubborn);
    host.run();
    let first = scene.reports.start("web");
    host.manager.wait_until("web", WaitFor::Running, WATCHDOG).unwrap();
    host.set("web", connected(&scene, "v2"));
    let second = scene.reports.start("web");
    second.process.signal(Signal::USR1);
    assert_eq!(scene.reports.signal(&second), "SIGUSR1");
    serves(&host, &second, 2);
    assert!(!scene.reports.signal(&first).is_empty(), "it was told to stop");
    host.close();
    second.process.kill();
    fs::remove_file(scene.path("v2")).unwrap();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", connected(&scene, "v2"));
    host.restore().unwrap();
    host.run();
    let third = scene.reports.start("web");
    third.process.signal(Signal::USR1);
    host.manager.wait_until("web", WaitFor::Running, WATCHDOG).unwrap();
    assert_eq!(host.status("web").pid, Some(third.pid));
    first.process.kill();
    is_recorded_alone(&scene, &host, &third);
    scene.reports.forget_signals();
    ends(scene, host);
}

#[test]
fn next_manager_starts_what_must_not_overlap_when_both_adopted_generations_are_gone() {
    let scene = Scene::of_library();
    let [first, second] = left_in_a_handover(&scene);
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", overlapping(&scene, "3").with_replace(Replace::StopFirst));
    host.run();
    let third = scene.reports.start("web");
    assert!(first.process.is_gone() && second.process.is_gone());
    third.process.signal(Signal::USR1);
    host.manager.wait_until("web", WaitFor::Running, WATCHDOG).unwrap();
    is_recorded_alone(&scene, &host, &third);
    scene.reports.forget_signals();
    ends(scene, host);
}

#[test]
fn next_manager_takes_the_next_generation_over_when_nothing_is_known_of_the_current_one() {
    let scene = Scene::of_library();
    let [first, second] = left_in_a_handover(&scene);
    first.process.kill();
    fs::write(scene.data_dir().join("records/web.json"), "damaged").unwrap();
    fs::remove_file(scene.data_dir().join("pids/web.pid")).unwrap();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", overlapping(&scene, "2"));
    host.run();
    let adopted = EventKind::Adopted { pid: second.pid };
    host.events.until("the adoption", |event| event.kind == adopted);
    serves(&host, &second, 2);
    host.kill();
    assert!(second.process.is_gone());
    scene.reports.forget_unread();
    scene.finish();
}
