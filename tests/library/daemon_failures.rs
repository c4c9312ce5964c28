// SPDX-License-Identifier: MPL-2.0
//! A daemon that cannot be started: now, or never.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use proxyprocess::{Command, Daemon, ErrorCode, EventKind, ProxyConfig, ProxyState};

use crate::inside::{Observer, helper};
use crate::support::Scene;

#[test]
fn a_missing_program_is_tried_until_it_is_there() {
    let scene = Scene::of_library();
    let path = scene.path("program");
    let mut config = helper(&scene, &["run"]);
    let real = config.command.argv()[0].clone();
    config.command =
        scene.env().into_iter().fold(Command::new(&path).arg("run"), |command, (name, value)| command.env(name, value));
    config.restart.max_wait = Duration::from_millis(50);
    let daemon = Daemon::new("web", config).with_pid_path(scene.path("pid"));
    let mut events = Observer::of(daemon.events());
    daemon.start().unwrap();
    let status = daemon.status();
    let error = status.last_error.unwrap();
    assert!(error.contains(path.to_str().unwrap()) && error.contains("No such file or directory"), "{error}");
    assert!(status.pid.is_none() && !scene.path("pid").exists());
    assert!(matches!(status.state, ProxyState::Waiting | ProxyState::Starting), "{:?}", status.state);
    for _ in 0..3 {
        events
            .until("a failure", |event| matches!(&event.kind, EventKind::StartFailed { error: now } if *now == error));
        assert_eq!(events.waiting("web"), Duration::from_millis(50));
    }
    symlink(real, &path).unwrap();
    let pid = events.started("web");
    assert_eq!(scene.reports.start("web").pid, pid);
    let status = daemon.status();
    assert_eq!((status.state, status.last_error), (ProxyState::Running, None));
    daemon.stop().unwrap();
    scene.finish();
}

/// Each step that can fail for now says which one it was and why.
#[test]
fn what_may_pass_is_no_error_of_start_but_visible() {
    let scene = Scene::of_library();
    let text = scene.path("text");
    fs::write(&text, "not a program").unwrap();
    let program = helper(&scene, &["run"]).command;
    let cases: [(Command, &str); 4] = [
        (Command::new(scene.path("absent")), "No such file or directory"),
        (Command::new(&text), "Permission denied"),
        (Command::new("proxyprocess-no-such-program").env("PATH", "/bin"), "No such file or directory"),
        (program.dir("/no/such/directory"), "/no/such/directory"),
    ];
    for (command, expected) in cases {
        let mut config = ProxyConfig::new(command);
        config.restart.max_wait = Duration::from_secs(3600);
        config.restart.attempts_before_backoff = 0;
        let daemon = Daemon::new("web", config);
        let mut events = Observer::of(daemon.events());
        daemon.start().unwrap();
        assert!(events.waiting("web") >= Duration::from_secs(1));
        let status = daemon.status();
        assert_eq!((status.state, status.pid), (ProxyState::Waiting, None));
        assert!(status.last_error.as_ref().is_some_and(|error| error.contains(expected)), "{status:?}");
        daemon.stop().unwrap();
        assert_eq!(daemon.status().state, ProxyState::Stopped);
    }
    scene.finish();
}

#[test]
fn what_can_never_work_is_an_error_of_start() {
    let config = |command: Command| ProxyConfig::new(command);
    let none: [&str; 0] = [];
    let cases = [
        ("web", config(Command::from_argv(none)), ErrorCode::InvalidConfig),
        ("web", config(Command::new("")), ErrorCode::InvalidConfig),
        ("web", config(Command::new("a\0b")), ErrorCode::InvalidConfig),
        ("web", config(Command::new("/bin/true").arg("\0")), ErrorCode::InvalidConfig),
        ("web", config(Command::new("/bin/true").env("A=B", "c")), ErrorCode::InvalidConfig),
        ("", config(Command::new("/bin/true")), ErrorCode::InvalidId),
        ("a\0b", config(Command::new("/bin/true")), ErrorCode::InvalidId),
        (&"x".repeat(1025), config(Command::new("/bin/true")), ErrorCode::InvalidId),
    ];
    for (id, config, code) in cases {
        let daemon = Daemon::new(id, config);
        let error = daemon.start().unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains("expected"), "{error}");
        assert_eq!(daemon.status().state, ProxyState::Idle);
        daemon.stop().unwrap();
    }
}

#[test]
fn a_pid_file_that_cannot_be_written_does_not_keep_the_process_from_running() {
    let scene = Scene::of_library();
    let daemon = Daemon::new("web", helper(&scene, &["run"])).with_pid_path(scene.path("no such directory/pid"));
    daemon.start().unwrap();
    let start = scene.reports.start("web");
    assert_eq!(daemon.status().pid, Some(start.pid));
    daemon.stop().unwrap();
    scene.finish();
}
