// SPDX-License-Identifier: MPL-2.0
//! A handover whose files cannot be exchanged, and settings that change while it is under way.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use proxyprocess::{EndedBy, ExitStatus, Listen, ProxyState, Ready, Replace};

use super::overlap::{
    becomes_ready, begun, ends, gone, is_recorded_alone, never_ready, overlapping, serves, takes_over,
};
use crate::inside::{Host, helper, quick};
use crate::support::{Deadline, OVERLAPS, Scene, Start};

/// A handover to the second one, which is ready, and whose files cannot get their names for the directory that is returned.
fn not_renamed(scene: &Scene, host: &mut Host) -> ([Start; 2], PathBuf) {
    let first = begun(scene, host);
    let in_the_way = scene.data_dir().join("records/web.json-predecessor");
    fs::create_dir(&in_the_way).unwrap();
    host.set("web", overlapping(scene, "2"));
    let second = scene.reports.start("web");
    becomes_ready(scene, host, &second, 2);
    let deadline = Deadline::of("the failure");
    while !host.status("web").last_error.is_some_and(|error| error.contains("rename ")) {
        assert!(!deadline.is_over(), "{:?}", host.status("web"));
        std::thread::yield_now();
    }
    assert_eq!(host.status("web").pid, Some(first.pid));
    ([first, second], in_the_way)
}

#[test]
fn files_that_cannot_be_renamed_are_renamed_later_and_the_current_generation_serves_meanwhile() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let ([first, second], in_the_way) = not_renamed(&scene, &mut host);
    fs::remove_dir(&in_the_way).unwrap();
    gone(&mut host, &first);
    serves(&host, &second, 2);
    is_recorded_alone(&scene, &host, &second);
    host.kill();
    scene.finish();
}

#[test]
fn current_generation_that_ends_before_the_files_are_renamed_is_succeeded_when_they_are() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let ([first, second], in_the_way) = not_renamed(&scene, &mut host);
    first.process.kill();
    gone(&mut host, &first);
    fs::remove_dir(&in_the_way).unwrap();
    serves(&host, &second, 2);
    is_recorded_alone(&scene, &host, &second);
    assert_eq!(host.status("web").restarts, 1);
    ends(scene, host);
}

#[test]
fn next_generation_whose_files_cannot_be_renamed_is_superseded() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let ([first, second], in_the_way) = not_renamed(&scene, &mut host);
    host.set("web", overlapping(&scene, "3"));
    gone(&mut host, &second);
    let third = scene.reports.start("web");
    fs::remove_dir(&in_the_way).unwrap();
    takes_over(&scene, &mut host, [&first, &third], 3);
    is_recorded_alone(&scene, &host, &third);
    ends(scene, host);
}

#[test]
fn settings_that_change_while_a_next_generation_is_ended_are_those_of_the_current_one() {
    let scene = Scene::of_library();
    let config = |signal: &str| {
        let mut config = helper(&scene, &["graceful"]).with_replace(Replace::Overlap);
        config.command = config.command.env(OVERLAPS, "1");
        config.stop.signal = signal.parse().unwrap();
        config
    };
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", config("SIGTERM"));
    host.run();
    let first = scene.reports.start("web");
    host.events.started("web");
    host.set("web", never_ready(&scene, Duration::from_secs(1)));
    let second = scene.reports.start("web");
    host.set("web", config("SIGTERM"));
    scene.reports.signal(&second);
    host.set("web", config("SIGUSR1"));
    host.follow("marker");
    host.kill();
    assert_eq!(scene.reports.signal(&first), "SIGUSR1");
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn next_generation_whose_address_the_current_one_has_bound_by_itself_replaces_it_without_overlap() {
    let scene = Scene::of_library();
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", helper(&scene, &["ready", "tcp", &address.to_string(), "at-once"]).with_replace(Replace::Overlap));
    host.run();
    let first = scene.reports.start("web");
    assert_eq!(host.events.started("web"), first.pid);
    let listens = Listen::new(format!("tcp:{address}").parse().unwrap());
    let mut next = helper(&scene, &["run"]).with_replace(Replace::Overlap).with_listen(listens);
    next.restart.max_wait = Duration::from_millis(100);
    host.set("web", next);
    let second = scene.reports.start("web");
    assert!(first.process.is_gone());
    assert_eq!(host.events.started("web"), second.pid);
    assert_eq!((host.status("web").pid, host.status("web").hint), (Some(second.pid), None));
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn next_generation_that_is_not_to_overlap_any_more_is_started_when_both_are_gone() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let first = begun(&scene, &mut host);
    host.set("web", overlapping(&scene, "2"));
    let second = scene.reports.start("web");
    host.set("web", overlapping(&scene, "2").with_replace(Replace::StopFirst));
    let third = scene.reports.start("web");
    assert!(first.process.is_gone() && second.process.is_gone());
    becomes_ready(&scene, &mut host, &third, 3);
    serves(&host, &third, 3);
    assert_eq!(host.status("web").other, None);
    ends(scene, host);
}

#[test]
fn next_generation_that_ends_is_told_with_its_exit_its_last_lines_and_its_next_start() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let first = begun(&scene, &mut host);
    let mut broken = helper(&scene, &["exit", "3", "no certificate"]).with_ready(Ready::Fd(3));
    broken.command = broken.command.env(OVERLAPS, "1");
    broken.restart.attempts_before_backoff = 1;
    broken.restart.max_wait = Duration::from_secs(3600);
    host.set("web", broken.with_replace(Replace::Overlap));
    for _ in 0..2 {
        scene.reports.start("web");
    }
    let deadline = Deadline::of("its last lines");
    let other = loop {
        match host.status("web").other {
            Some(other) if other.next_start_ms.is_some() && !other.last_stderr.is_empty() => break other,
            other => assert!(!deadline.is_over(), "{other:?}"),
        }
    };
    assert_eq!((other.state, other.pid, other.attempts), (ProxyState::Waiting, None, 2));
    assert_eq!((other.last_exit, other.last_exit_by), (Some(ExitStatus::Exited(3)), Some(EndedBy::Itself)));
    assert_eq!((other.last_exit_expected, &other.last_stderr[..]), (Some(false), &["no certificate".to_owned()][..]));
    assert!(other.next_start_ms.is_some_and(|wait| wait > 0), "{other:?}");
    let status = host.status("web");
    assert_eq!((status.state, status.pid, status.generation), (ProxyState::Running, Some(first.pid), Some(1)));
    assert_eq!((status.last_exit, status.next_start_ms), (other.last_exit, None));
    // The next declaration has not failed yet.
    host.set("web", overlapping(&scene, "2"));
    let second = scene.reports.start("web");
    becomes_ready(&scene, &mut host, &second, 4);
    serves(&host, &second, 4);
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}

/// As a connect to sockets that both have, or a command that finds what an earlier process has left.
#[test]
fn next_generation_that_ends_at_once_is_not_ready_by_a_probe_that_the_current_one_answers() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let probed = |role: &[&str]| {
        let mut config = helper(&scene, role).with_ready(Ready::command(["/bin/true"])).with_replace(Replace::Overlap);
        config.command = config.command.env(OVERLAPS, "1");
        config.restart.attempts_before_backoff = 1;
        config.restart.max_wait = Duration::from_secs(3600);
        config
    };
    host.set("web", probed(&["run"]));
    host.run();
    let first = scene.reports.start("web");
    host.events.ready("web");
    host.set("web", probed(&["exit", "3", "wrong configuration"]));
    let deadline = Deadline::of("the wait of the next generation");
    while host.status("web").other.is_none_or(|other| other.next_start_ms.is_none()) {
        assert!(!deadline.is_over(), "{:?}", host.status("web"));
    }
    let status = host.status("web");
    assert_eq!((status.state, status.pid), (ProxyState::Running, Some(first.pid)));
    assert!(!first.process.is_gone());
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}
