// SPDX-License-Identifier: MPL-2.0
//! What the status tells of the last process that ended: how, by what, and its last lines.

use std::time::{Duration, Instant};

use proxyprocess::{EndedBy, ExitStatus, Listen, ProxyConfig, ProxyState, ProxyStatus};

use crate::inside::{Host, helper, quick, spin};
use crate::support::{Scene, until};

const HOUR: Duration = Duration::from_secs(3600);

/// Ends again and again; after `restarts` of them the next start is an hour away.
fn crashing(scene: &Scene, args: &[&str], restarts: u32) -> ProxyConfig {
    let mut config = helper(scene, args);
    config.restart.attempts_before_backoff = restarts;
    config.restart.max_wait = HOUR;
    config.restart.healthy_after = HOUR;
    config
}

fn waiting(host: &mut Host, id: &str) -> ProxyStatus {
    host.events.waiting(id);
    until("the last lines", || !host.status(id).last_stderr.is_empty());
    host.status(id)
}

#[test]
fn last_lines_of_a_process_that_ended_by_itself_are_in_its_status() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", crashing(&scene, &["exit", "3", "first", "", "last: Address already in use"], 0));
    host.run();
    let status = waiting(&mut host, "web");
    assert_eq!(status.last_stderr, ["first", "last: Address already in use"]);
    assert_eq!((status.last_exit, status.last_exit_by), (Some(ExitStatus::Exited(3)), Some(EndedBy::Itself)));
    assert_eq!((status.state, status.uptime_ms, status.hint.clone()), (ProxyState::Waiting, None, None));
    assert!(
        status.to_string().contains(", last exit: exit code 3, last line: last: Address already in use"),
        "{status}"
    );
    assert_eq!(status.stderr_log, Some(scene.data_dir().join("logs/web-stderr.log")));
    assert_eq!(std::fs::read_to_string(status.stdout_log.unwrap()).unwrap(), "");
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn lines_of_a_process_are_neither_those_of_its_predecessor_nor_of_its_successor() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", crashing(&scene, &["exit", "3", "line of {generation}"], 5));
    host.run();
    let status = waiting(&mut host, "web");
    assert_eq!((status.generation, status.last_stderr), (Some(6), vec!["line of 6".to_owned()]));
    // One more, which says nothing.
    host.set("web", crashing(&scene, &["exit", "4"], 0));
    until("its end", || host.status("web").last_exit == Some(ExitStatus::Exited(4)));
    // With the next start all is read.
    host.set("web", helper(&scene, &["run"]));
    until("the next one", || host.status("web").state == ProxyState::Running);
    assert_eq!((host.status("web").last_exit, host.status("web").last_stderr), (Some(ExitStatus::Exited(4)), vec![]));
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn process_that_a_stop_ended_has_no_last_lines() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", helper(&scene, &["log", "a line"]));
    host.run();
    let first = scene.reports.start("web");
    until("it to run", || host.status("web").uptime_ms.is_some());
    host.manager.restart("web").unwrap();
    scene.reports.start("web");
    until("the next one", || host.status("web").state == ProxyState::Running);
    assert!(first.process.is_gone());
    let status = host.status("web");
    assert_eq!((status.last_exit_by, status.last_stderr), (Some(EndedBy::Stop), vec![]));
    host.kill();
    scene.finish();
}

#[test]
fn adopted_process_that_crashes_has_its_last_lines() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", crashing(&scene, &["log", "a line"], 0));
    host.run();
    let start = scene.reports.start("web");
    let since = Instant::now();
    spin(Duration::from_millis(50));
    host.close();
    let served = since.elapsed();
    let mut next = Host::new(quick(&scene.data_dir()));
    next.restore().unwrap();
    next.set("web", crashing(&scene, &["log", "a line"], 0));
    next.run();
    until("the adoption", || next.status("web").adopted);
    // Not since the adoption: the agent that started it was there for at least so long. A clock tick is 10 ms.
    assert!(next.status("web").uptime_ms.unwrap() + 10 >= served.as_millis() as u64);
    start.process.kill();
    let status = waiting(&mut next, "web");
    assert_eq!((status.last_stderr, status.last_exit_by), (vec!["a line".to_owned()], Some(EndedBy::Itself)));
    next.kill();
    scene.finish();
}

#[test]
fn program_that_is_killed_at_each_stop_gets_a_hint() {
    let scene = Scene::of_library();
    let mut config = helper(&scene, &["stubborn"]);
    config.stop.grace_period = Duration::from_millis(50);
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", config);
    host.run();
    for stops in 1..=2 {
        let start = scene.reports.start("web");
        assert_eq!(host.events.started("web"), start.pid);
        assert_eq!(host.status("web").hint, None, "after {} stops", stops - 1);
        host.manager.restart("web").unwrap();
    }
    let last = scene.reports.start("web");
    assert_eq!(host.events.started("web"), last.pid);
    let hint = host.status("web").hint.unwrap();
    assert!(hint.starts_with("its last 2 stops ended by SIGKILL: if the program ignores SIGINT, "), "{hint}");
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn exit_code_of_a_launcher_is_explained_by_a_hint() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", crashing(&scene, &["exit", "137", "killed"], 0));
    host.run();
    let hint = waiting(&mut host, "web").hint.unwrap();
    assert!(hint.starts_with("exit code 137 is 128 + 9: "), "{hint}");
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn process_that_has_an_address_is_named_to_those_that_could_not_have_it() {
    let scene = Scene::of_library();
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("holder", helper(&scene, &["ready", "tcp", &address.to_string(), "at-once"]));
    host.run();
    let holder = scene.reports.start("holder");
    let hint = format!("tcp:{address} seems to be taken by pid {} (", holder.pid);
    let mut says = crashing(&scene, &["exit", "1", &format!("cannot bind {address}: Address already in use")], 0);
    says.restart.max_wait = Duration::from_millis(100);
    host.set("says", says);
    host.events.waiting("says");
    // One search serves one proxy, and the other one later.
    let names_it = |it: String| it.starts_with(&hint) && it.ends_with(") of proxy holder");
    until("the hint", || host.status("says").hint.is_some_and(names_it));
    host.state.remove("says");
    let listens = helper(&scene, &["run"]).with_listen(Listen::new(format!("tcp:{address}").parse().unwrap()));
    host.set("listens", crashing_slowly(listens));
    host.events.waiting("listens");
    until("its hint", || host.status("listens").hint.is_some_and(|it| it.starts_with(&hint)));
    let error = host.status("listens").last_error.unwrap();
    assert!(error.contains("Address already in use"), "{error}");
    // What is not true any more is not said.
    host.state.remove("holder");
    until("its start", || host.status("listens").pid.is_some());
    assert_eq!(host.status("listens").hint, None);
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}

/// Tried again soon, and for ever.
fn crashing_slowly(mut config: ProxyConfig) -> ProxyConfig {
    config.restart.attempts_before_backoff = 0;
    config.restart.max_wait = Duration::from_millis(100);
    config
}
