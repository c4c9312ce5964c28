// SPDX-License-Identifier: MPL-2.0
//! `replace: "overlap"`: the next generation is started beside the current one, which is stopped once that is ready.

use std::fs;
use std::time::Duration;

use proxyprocess::{ErrorCode, EventKind, ProxyConfig, ProxyState, ProxyStatus, Ready, Reload, Replace, WaitFor};
use rustix::process::Signal;
use serde_json::Value;

use crate::inside::{Host, helper, quick};
use crate::support::{Deadline, OVERLAPS, Scene, Start, WATCHDOG, list};

/// It becomes ready on SIGUSR1.
pub(crate) fn overlapping(scene: &Scene, version: &str) -> ProxyConfig {
    let mut config = helper(scene, &["ready", "fd", "3"]).with_ready(Ready::Fd(3)).with_replace(Replace::Overlap);
    config.command = config.command.env("VERSION", version).env(OVERLAPS, "1");
    config
}

/// It is never ready, and ends by SIGKILL alone, after this time.
pub(super) fn never_ready(scene: &Scene, grace: Duration) -> ProxyConfig {
    let mut config = helper(scene, &["stubborn"]).with_ready(Ready::Fd(3)).with_replace(Replace::Overlap);
    config.command = config.command.env(OVERLAPS, "1");
    config.stop.grace_period = grace;
    config
}

/// One that runs and is ready.
#[track_caller]
pub(super) fn begun(scene: &Scene, host: &mut Host) -> Start {
    host.set("web", overlapping(scene, "1"));
    host.run();
    let start = scene.reports.start("web");
    becomes_ready(scene, host, &start, 1);
    start
}

#[track_caller]
pub(crate) fn becomes_ready(scene: &Scene, host: &mut Host, start: &Start, generation: u64) {
    start.process.signal(Signal::USR1);
    assert_eq!(scene.reports.signal(start), "SIGUSR1");
    let ready = host.events.until("it is ready", |event| event.kind == EventKind::Ready);
    assert_eq!(ready.generation, Some(generation));
}

#[track_caller]
pub(crate) fn gone(host: &mut Host, start: &Start) {
    let pid = start.pid;
    host.events.until("its exit", |event| matches!(event.kind, EventKind::Exited { pid: its, .. } if its == pid));
    assert!(start.process.is_gone());
}

#[track_caller]
pub(crate) fn serves(host: &Host, start: &Start, generation: u64) {
    let deadline = Deadline::of(format!("generation {generation} to serve"));
    let is = |status: &ProxyStatus| (status.state, status.pid, status.generation);
    while is(&host.status("web")) != (ProxyState::Running, Some(start.pid), Some(generation)) {
        assert!(!deadline.is_over(), "{:?}", host.status("web"));
        std::thread::yield_now();
    }
}

/// The next generation becomes ready, and takes the place of the first one, which ends.
#[track_caller]
pub(super) fn takes_over(scene: &Scene, host: &mut Host, [first, next]: [&Start; 2], generation: u64) {
    becomes_ready(scene, host, next, generation);
    gone(host, first);
    serves(host, next, generation);
}

/// All is stopped, and nothing is left.
#[track_caller]
pub(super) fn ends(scene: Scene, host: Host) {
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}

/// Nothing but the files of one process.
#[track_caller]
pub(super) fn is_recorded_alone(scene: &Scene, host: &Host, start: &Start) {
    while host.status("web").last_error.is_some() {}
    let data_dir = scene.data_dir();
    let deadline = Deadline::of("the files of the one process alone");
    while list(&data_dir.join("records")) != ["web.json"] || list(&data_dir.join("pids")) != ["web.pid"] {
        assert!(!deadline.is_over(), "{:?} {:?}", list(&data_dir.join("records")), list(&data_dir.join("pids")));
        std::thread::yield_now();
    }
    let record: Value = serde_json::from_slice(&fs::read(data_dir.join("records/web.json")).unwrap()).unwrap();
    assert_eq!(record["pid"], start.pid);
    assert_eq!(scene.pid_file("web"), Some(format!("{}\n", start.pid)));
}

#[test]
fn changed_proxy_serves_until_the_next_generation_is_ready() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let first = begun(&scene, &mut host);
    for generation in 2..5u64 {
        let current = if generation == 2 { first.pid } else { host.status("web").pid.unwrap() };
        host.set("web", overlapping(&scene, &generation.to_string()));
        let next = scene.reports.start("web");
        assert_eq!(host.status("web").pid, Some(current), "it serves on");
        next.process.signal(Signal::USR1);
        assert_eq!(scene.reports.signal(&next), "SIGUSR1");
        host.events.until("the exit", |event| matches!(event.kind, EventKind::Exited { pid, .. } if pid == current));
        serves(&host, &next, generation);
        is_recorded_alone(&scene, &host, &next);
        assert!(host.status("web").last_exit.is_some(), "its predecessor has ended");
    }
    assert!(first.process.is_gone());
    scene.reports.forget_signals();
    ends(scene, host);
}

#[test]
fn next_generation_that_is_not_ready_in_time_leaves_the_current_one_serving() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let first = begun(&scene, &mut host);
    host.set("web", overlapping(&scene, "2").with_start_timeout(Duration::from_millis(500)));
    for generation in 2..4 {
        let next = scene.reports.start("web");
        let late = host.events.until("it is late", |event| matches!(event.kind, EventKind::NotReady { .. }));
        assert_eq!(late.generation, Some(generation));
        gone(&mut host, &next);
        serves(&host, &first, 1);
    }
    scene.reports.forget_signals();
    host.kill();
    assert!(first.process.is_gone());
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn change_during_a_handover_supersedes_the_next_generation() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let first = begun(&scene, &mut host);
    host.set("web", overlapping(&scene, "2"));
    let second = scene.reports.start("web");
    host.set("web", overlapping(&scene, "3"));
    gone(&mut host, &second);
    let third = scene.reports.start("web");
    serves(&host, &first, 1);
    takes_over(&scene, &mut host, [&first, &third], 3);
    ends(scene, host);
}

#[test]
fn change_to_stop_first_during_a_handover_ends_both_before_it_starts_one() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let first = begun(&scene, &mut host);
    host.set("web", overlapping(&scene, "2"));
    let second = scene.reports.start("web");
    host.set("web", overlapping(&scene, "3").with_replace(Replace::StopFirst));
    let third = scene.reports.start("web");
    assert!(first.process.is_gone() && second.process.is_gone());
    becomes_ready(&scene, &mut host, &third, 3);
    host.manager.wait_until("web", WaitFor::Running, WATCHDOG).unwrap();
    serves(&host, &third, 3);
    is_recorded_alone(&scene, &host, &third);
    ends(scene, host);
}

#[test]
fn declaration_of_the_current_one_again_reverts_the_handover() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let first = begun(&scene, &mut host);
    host.set("web", overlapping(&scene, "2"));
    let second = scene.reports.start("web");
    host.set("web", overlapping(&scene, "1"));
    gone(&mut host, &second);
    serves(&host, &first, 1);
    is_recorded_alone(&scene, &host, &first);
    host.set("web", overlapping(&scene, "3"));
    let third = scene.reports.start("web");
    takes_over(&scene, &mut host, [&first, &third], 3);
    ends(scene, host);
}

#[test]
fn restart_by_a_call_overlaps_as_declared() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let first = begun(&scene, &mut host);
    host.manager.restart("web").unwrap();
    let second = scene.reports.start("web");
    serves(&host, &first, 1);
    takes_over(&scene, &mut host, [&first, &second], 2);
    ends(scene, host);
}

#[test]
fn current_generation_that_ends_is_succeeded_by_the_next_one() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let first = begun(&scene, &mut host);
    host.set("web", overlapping(&scene, "2"));
    let second = scene.reports.start("web");
    first.process.kill();
    host.events.until("the exit", |event| matches!(event.kind, EventKind::Exited { .. }));
    becomes_ready(&scene, &mut host, &second, 2);
    serves(&host, &second, 2);
    is_recorded_alone(&scene, &host, &second);
    ends(scene, host);
}

#[test]
fn stop_during_a_handover_ends_both_generations() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let first = begun(&scene, &mut host);
    host.set("web", overlapping(&scene, "2"));
    let second = scene.reports.start("web");
    host.kill();
    assert!(first.process.is_gone() && second.process.is_gone());
    assert_eq!(list(&scene.data_dir().join("records")), [""; 0]);
    assert_eq!(list(&scene.data_dir().join("pids")), [""; 0]);
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn reload_goes_to_the_current_generation_until_the_next_one_has_succeeded_it() {
    let scene = Scene::of_library();
    let reloadable =
        |version: &str| overlapping(&scene, version).with_reload(Reload::Signal("SIGUSR1".parse().unwrap()));
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", reloadable("1"));
    host.run();
    let first = scene.reports.start("web");
    becomes_ready(&scene, &mut host, &first, 1);
    host.set("web", reloadable("2"));
    let second = scene.reports.start("web");
    host.manager.reload("web").unwrap();
    assert_eq!(scene.reports.signal(&first), "SIGUSR1");
    becomes_ready(&scene, &mut host, &second, 2);
    gone(&mut host, &first);
    host.manager.reload("web").unwrap();
    assert_eq!(scene.reports.signal(&second), "SIGUSR1");
    host.kill();
    scene.finish();
}

#[test]
fn removal_and_declaration_again_during_a_handover_end_both_and_start_one() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let mut first = begun(&scene, &mut host);
    for round in 0..4 {
        host.set("web", overlapping(&scene, &format!("next of {round}")));
        let second = scene.reports.start("web");
        assert!(host.state.remove("web"));
        if round % 2 == 0 {
            gone(&mut host, &first);
        } else {
            // While the next one may be taking the place of the current one.
            second.process.signal(Signal::USR1);
        }
        host.follow("marker");
        host.state.remove("marker");
        host.set("web", overlapping(&scene, &format!("again {round}")));
        let third = scene.reports.start("web");
        third.process.signal(Signal::USR1);
        host.manager.wait_until("web", WaitFor::Running, WATCHDOG).unwrap();
        is_recorded_alone(&scene, &host, &third);
        assert!(first.process.is_gone() && second.process.is_gone());
        first = third;
    }
    scene.reports.forget_signals();
    ends(scene, host);
}

#[test]
fn wait_for_readiness_during_a_handover_waits_for_the_next_generation() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let first = begun(&scene, &mut host);
    host.set("web", overlapping(&scene, "2"));
    let second = scene.reports.start("web");
    let late = host.manager.wait_until("web", WaitFor::Running, Duration::from_millis(1)).unwrap_err();
    assert_eq!(late.code(), ErrorCode::Timeout);
    second.process.signal(Signal::USR1);
    host.manager.wait_until("web", WaitFor::Running, WATCHDOG).unwrap();
    serves(&host, &second, 2);
    gone(&mut host, &first);
    scene.reports.forget_signals();
    host.kill();
    scene.finish();
}

#[test]
fn next_generation_is_ready_by_a_notification_of_its_own() {
    let scene = Scene::of_library();
    let notifying = |version: &str| {
        let config = helper(&scene, &["notifies", "later", "READY=1", "STATUS=reloaded"]);
        let mut config = config.with_ready(Ready::Notify).with_replace(Replace::Overlap);
        config.command = config.command.env("VERSION", version).env(OVERLAPS, "1");
        config
    };
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", notifying("1"));
    host.run();
    let first = scene.reports.start("web");
    becomes_ready(&scene, &mut host, &first, 1);
    host.set("web", notifying("2"));
    let second = scene.reports.start("web");
    // What the current one says does not make the next one ready.
    first.process.signal(Signal::USR1);
    assert_eq!(scene.reports.signal(&first), "SIGUSR1");
    let deadline = Deadline::of("its text");
    while host.status("web").status_text.as_deref() != Some("reloaded") {
        assert!(!deadline.is_over(), "{:?}", host.status("web"));
        std::thread::yield_now();
    }
    takes_over(&scene, &mut host, [&first, &second], 2);
    assert_eq!(host.status("web").status_text, None);
    host.kill();
    scene.finish();
}

#[test]
fn detached_proxy_is_succeeded_as_any_other() {
    let scene = Scene::of_library();
    let detached = |version: &str| {
        let mut config = overlapping(&scene, version);
        config.command = config.command.detached();
        config
    };
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", detached("1"));
    host.run();
    let first = scene.reports.start("web");
    becomes_ready(&scene, &mut host, &first, 1);
    host.set("web", detached("2"));
    let second = scene.reports.start("web");
    becomes_ready(&scene, &mut host, &second, 2);
    host.events.until("the exit", |event| matches!(event.kind, EventKind::Exited { .. }));
    serves(&host, &second, 2);
    is_recorded_alone(&scene, &host, &second);
    host.kill();
    scene.finish();
}

#[test]
fn proxy_that_is_declared_again_while_its_next_generation_ends_has_a_number_of_its_own() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let first = begun(&scene, &mut host);
    host.set("web", never_ready(&scene, Duration::from_millis(500)));
    let second = scene.reports.start("web");
    assert!(host.state.remove("web"));
    gone(&mut host, &first);
    host.set("web", overlapping(&scene, "3"));
    let third = scene.reports.start("web");
    third.process.signal(Signal::USR1);
    gone(&mut host, &second);
    host.manager.wait_until("web", WaitFor::Running, WATCHDOG).unwrap();
    serves(&host, &third, host.status("web").generation.unwrap());
    is_recorded_alone(&scene, &host, &third);
    scene.reports.forget_signals();
    ends(scene, host);
}
