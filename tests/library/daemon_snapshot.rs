// SPDX-License-Identifier: MPL-2.0
//! A daemon out of a snapshot and into another daemon.

use proxyprocess::{Daemon, ErrorCode, ExitStatus, Proxy, ProxyConfig, ProxySnapshot, ProxyState};
use serde_json::json;

use crate::inside::{Observer, helper};
use crate::support::Scene;

fn blank() -> Daemon {
    Daemon::new("blank", ProxyConfig::of_mode(proxyprocess::ExecMode::DAEMON))
}

#[test]
fn the_next_daemon_supervises_the_same_process() {
    let scene = Scene::of_library();
    let mut config = helper(&scene, &["log", "a line"]);
    config.target_service = Some("web".to_owned());
    config.stop.signal = "SIGTERM".parse().unwrap();
    config.restart.attempts_before_backoff = 9;
    let daemon = Daemon::new("web", config).with_stdout(scene.path("out")).with_pid_path(scene.path("pid"));
    daemon.start().unwrap();
    let first = scene.reports.start("web");
    let snapshot = daemon.marshal_snapshot();
    // It is made of plain values and says nothing of this process's environment.
    let text = serde_json::to_string(&snapshot).unwrap();
    assert!(!text.contains("PATH=") && text.contains("a declared token"), "{text}");
    daemon.close().unwrap();

    let next = blank();
    let mut events = Observer::of(next.events());
    next.unmarshal_snapshot(&serde_json::from_str::<ProxySnapshot>(&text).unwrap()).unwrap();
    assert_eq!(events.adopted("web"), first.pid);
    let status = next.status();
    assert_eq!((status.id.as_str(), status.state, status.pid), ("web", ProxyState::Running, Some(first.pid)));
    assert!(status.adopted && next.equal(&daemon));
    // Starting it is no second process.
    next.start().unwrap();
    assert_eq!(next.status().pid, Some(first.pid));

    first.process.kill();
    assert_eq!(events.exited("web"), ExitStatus::Signaled { signal: 9, core_dumped: false });
    let pid = events.started("web");
    let second = scene.reports.start("web");
    assert_eq!(second.pid, pid);
    assert!(!next.status().adopted);
    assert_eq!(std::fs::read_to_string(scene.path("out")).unwrap(), "a line\na line\n");
    next.stop().unwrap();
    assert!(second.process.is_gone() && !scene.path("pid").exists());
    assert_eq!(next.status().last_exit, Some(ExitStatus::Signaled { signal: 15, core_dumped: false }));
    scene.finish();
}

#[test]
fn one_that_died_meanwhile_is_idle_until_it_is_started() {
    let scene = Scene::of_library();
    let daemon = Daemon::new("web", helper(&scene, &["run"]));
    daemon.start().unwrap();
    let first = scene.reports.start("web");
    let snapshot = daemon.marshal_snapshot();
    daemon.close().unwrap();
    first.process.kill();

    let next = blank();
    let mut events = Observer::of(next.events());
    next.unmarshal_snapshot(&snapshot).unwrap();
    assert!(events.refused("web").contains(&first.pid.to_string()));
    assert_eq!((next.status().state, next.status().pid), (ProxyState::Idle, None));
    next.start().unwrap();
    let second = scene.reports.start("web");
    assert_eq!(next.status().pid, Some(second.pid));
    next.stop().unwrap();
    scene.finish();
}

#[test]
fn without_a_process_only_the_declaration_comes_back() {
    let scene = Scene::of_library();
    let daemon = Daemon::new("web", helper(&scene, &["run"]));
    let next = blank();
    Proxy::unmarshal_snapshot(&next, &Proxy::marshal_snapshot(&daemon)).unwrap();
    assert!(next.equal(&daemon));
    assert_eq!(next.status().state, ProxyState::Idle);
    next.start().unwrap();
    scene.reports.start("web");
    next.stop().unwrap();
    scene.finish();
}

#[test]
fn what_cannot_be_a_snapshot_changes_nothing() {
    let scene = Scene::of_library();
    let good = Daemon::new("web", helper(&scene, &["run"])).marshal_snapshot();
    let with = |field: &str, value| {
        let mut bad = good.clone();
        bad.insert(field.to_owned(), value);
        bad
    };
    let bad = [
        ("command", ProxySnapshot::new()),
        ("command", with("command", json!("run"))),
        ("id", with("id", json!(7))),
        ("process", with("process", json!({"pid": 0}))),
        ("unknown", with("unknown", json!(1))),
    ];
    let daemon = Daemon::new("mine", helper(&scene, &["run"]));
    for (field, snapshot) in bad {
        let error = daemon.unmarshal_snapshot(&snapshot).unwrap_err();
        assert!(error.code() == ErrorCode::InvalidConfig && error.to_string().contains(field), "{error}");
    }
    daemon.start().unwrap();
    scene.reports.start("mine");
    let error = daemon.unmarshal_snapshot(&good).unwrap_err();
    assert!(error.to_string().contains("never started"), "{error}");
    daemon.stop().unwrap();
    scene.finish();
}
