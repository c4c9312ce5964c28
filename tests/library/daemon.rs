// SPDX-License-Identifier: MPL-2.0
//! A daemon by itself: started, kept running, stopped, closed.

use std::fs;

use proxyprocess::{Daemon, ErrorCode, EventKind, ExitStatus, Noop, Proxy, ProxyConfig, ProxyState, Signal};

use crate::inside::{Observer, helper, wait_until};
use crate::support::Scene;

#[test]
fn it_runs_when_start_returns_and_is_gone_when_stop_returns() {
    let scene = Scene::of_library();
    let daemon = Daemon::new("web", helper(&scene, &["run"]));
    let mut events = Observer::of(daemon.events());
    assert_eq!((daemon.status().state, daemon.status().pid), (ProxyState::Idle, None));
    daemon.stop().unwrap();

    for round in 0..3 {
        daemon.start().unwrap();
        let status = daemon.status();
        assert_eq!((status.state, status.restarts, status.adopted), (ProxyState::Running, round, false));
        let start = scene.reports.start("web");
        assert_eq!(status.pid, Some(start.pid));
        // Again is no error, and no second process.
        daemon.start().unwrap();
        daemon.stop().unwrap();
        assert!(start.process.is_gone());
        daemon.stop().unwrap();
        let status = daemon.status();
        assert_eq!((status.state, status.pid), (ProxyState::Stopped, None));
        assert_eq!(status.last_exit, Some(ExitStatus::Signaled { signal: 2, core_dumped: false }));
        let kinds = events.of_proxy("web");
        assert!(
            matches!(
                kinds[..],
                [EventKind::Started { .. }, EventKind::Stopping { .. }, EventKind::Exited { .. }, EventKind::Stopped]
            ),
            "{kinds:?}"
        );
        events.forget();
    }
    scene.finish();
}

#[test]
fn it_is_started_again_when_it_ends_however_that_comes_about() {
    let scene = Scene::of_library();
    let ends = [
        (&["exit", "3"][..], ExitStatus::Exited(3)),
        (&["exit", "0"], ExitStatus::Exited(0)),
        (&["crash", "SIGABRT"], ExitStatus::Signaled { signal: 6, core_dumped: false }),
        (&["crash", "SIGKILL"], ExitStatus::Signaled { signal: 9, core_dumped: false }),
    ];
    for (role, expected) in ends {
        let mut config = helper(&scene, role);
        config.restart.attempts_before_backoff = 2;
        let daemon = Daemon::new("web", config);
        let mut events = Observer::of(daemon.events());
        daemon.start().unwrap();
        // The first start and the two that are free.
        for _ in 0..3 {
            let pid = events.started("web");
            assert_eq!(scene.reports.start("web").pid, pid);
            assert_eq!(events.exited("web"), expected);
        }
        assert_eq!(events.waiting("web"), std::time::Duration::from_secs(2));
        let status = daemon.status();
        assert_eq!((status.state, status.restarts, status.last_exit), (ProxyState::Waiting, 2, Some(expected)));
        assert!(status.next_start_ms.is_some_and(|ms| (1..=2000).contains(&ms)), "{status:?}");
        // A stop does not sit out the wait.
        daemon.stop().unwrap();
        assert_eq!(daemon.status().state, ProxyState::Stopped);
    }
    scene.finish();
}

#[test]
fn events_end_with_a_stop_for_good_and_with_no_other() {
    let scene = Scene::of_library();
    let daemon = Daemon::new("web", helper(&scene, &["run"]));
    let mut events = daemon.events();
    daemon.start().unwrap();
    scene.reports.start("web");
    daemon.stop().unwrap();
    while events.try_next().is_some() {}
    assert!(!events.is_ended(), "it can be started again");
    daemon.start().unwrap();
    scene.reports.start("web");
    Proxy::stop(&daemon).unwrap();
    let told: Vec<EventKind> = events.by_ref().map(|event| event.kind).collect();
    assert_eq!(told.last(), Some(&EventKind::Stopped));
    assert!(events.is_ended() && daemon.events().is_ended());

    let never_started = Daemon::new("web", helper(&scene, &["run"]));
    let mut events = never_started.events();
    Proxy::stop(&never_started).unwrap();
    assert_eq!(events.next(), None);
    scene.finish();
}

#[test]
fn the_stop_signal_is_the_declared_one() {
    let scene = Scene::of_library();
    for signal in ["SIGINT", "SIGTERM", "SIGUSR1", "SIGQUIT"] {
        let mut config = helper(&scene, &["graceful"]);
        config.stop.signal = signal.parse::<Signal>().unwrap();
        let daemon = Daemon::new("web", config);
        daemon.start().unwrap();
        let start = scene.reports.start("web");
        daemon.stop().unwrap();
        assert_eq!(scene.reports.signal(&start), signal);
        assert_eq!(daemon.status().last_exit, Some(ExitStatus::Exited(0)));
    }
    scene.finish();
}

#[test]
fn after_a_close_the_process_runs_on_and_a_stop_has_no_effect() {
    let scene = Scene::of_library();
    let daemon = Daemon::new("web", helper(&scene, &["run"]));
    daemon.start().unwrap();
    let start = scene.reports.start("web");
    let mut events = daemon.events();
    daemon.close().unwrap();
    daemon.close().unwrap();
    daemon.stop().unwrap();
    assert!(!start.process.is_gone());
    assert_eq!(daemon.start().unwrap_err().code(), ErrorCode::Closed);
    assert_eq!(events.next_timeout(crate::support::WATCHDOG), None, "the end of the events is no wait");
    // It is not restarted either.
    start.process.kill();
    drop(daemon);
    reaped_by_the_next(&scene);
    scene.finish();
}

/// A child that ends when nothing of the library is used any more is reaped by the next use of it.
fn reaped_by_the_next(scene: &Scene) {
    let other = Daemon::new("other", helper(scene, &["run"]));
    other.start().unwrap();
    scene.reports.start("other");
    other.stop().unwrap();
}

#[test]
fn a_dropped_daemon_leaves_its_process() {
    let scene = Scene::of_library();
    let daemon = Daemon::new("web", helper(&scene, &["run"]));
    daemon.start().unwrap();
    drop(daemon);
    let start = scene.reports.start("web");
    assert!(!start.process.is_gone());
    start.process.kill();
    reaped_by_the_next(&scene);
    scene.finish();
}

#[test]
fn as_a_proxy_it_is_stopped_for_good() {
    let scene = Scene::of_library();
    let daemon = Daemon::new("web", helper(&scene, &["run"]));
    daemon.start().unwrap();
    let start = scene.reports.start("web");
    let proxy: &dyn Proxy = &daemon;
    proxy.request_stop();
    proxy.stop().unwrap();
    assert!(start.process.is_gone());
    proxy.stop().unwrap();
    assert_eq!(proxy.start().unwrap_err().code(), ErrorCode::Stopped);
    assert_eq!(daemon.start().unwrap_err().code(), ErrorCode::Stopped);

    // Also one that never was started.
    let daemon = Daemon::new("web", helper(&scene, &["run"]));
    Proxy::stop(&daemon).unwrap();
    assert_eq!(daemon.start().unwrap_err().code(), ErrorCode::Stopped);
    scene.finish();
}

#[test]
fn equal_is_what_was_declared_the_same() {
    let scene = Scene::of_library();
    let base = || helper(&scene, &["run"]);
    let daemon = |config: ProxyConfig| Daemon::new("web", config);
    let edit = |edit: fn(&mut ProxyConfig)| {
        let mut config = base();
        edit(&mut config);
        daemon(config)
    };
    let one = daemon(base());
    let equal = [
        daemon(base()),
        edit(|config| config.stop.signal = "SIGTERM".parse().unwrap()),
        edit(|config| config.restart.attempts_before_backoff = 77),
    ];
    for other in &equal {
        assert!(one.equal(other) && other.equal(&one));
    }
    let different = [
        Daemon::new("other", base()),
        edit(|config| config.command = config.command.clone().arg("more")),
        edit(|config| config.command = config.command.clone().dir("/")),
        edit(|config| config.command = config.command.clone().env("A", "b")),
        edit(|config| config.token = Some("another".to_owned())),
        edit(|config| config.target_service = Some("db".to_owned())),
        daemon(base()).with_stdout(scene.path("out")),
        daemon(base()).with_pid_path(scene.path("pid")),
    ];
    for other in &different {
        assert!(!one.equal(other) && !other.equal(&one), "{other:?}");
    }
    assert!(!Proxy::equal(&one, &Noop) && !Noop.equal(&one) && one.equal(&one));
    scene.finish();
}

#[test]
fn pid_file_and_output_are_where_they_were_declared() {
    let scene = Scene::of_library();
    let [pid, out, err] = ["daemon.pid", "out", "err"].map(|name| scene.path(name));
    let daemon = Daemon::new("web", helper(&scene, &["log", "a line"]));
    let daemon = daemon.with_pid_path(&pid).with_stdout(&out).with_stderr(&err);
    let mut events = Observer::of(daemon.events());
    daemon.start().unwrap();
    let first = scene.reports.start("web");
    assert_eq!(fs::read_to_string(&pid).unwrap(), format!("{}\n", first.pid));
    assert_eq!(events.started("web"), first.pid);

    first.process.kill();
    let second = scene.reports.start("web");
    assert_eq!(events.started("web"), second.pid);
    let content = format!("{}\n", second.pid);
    wait_until(&scene.path(""), "the new pid", || fs::read_to_string(&pid).is_ok_and(|text| text == content));
    for path in [&out, &err] {
        assert_eq!(fs::read_to_string(path).unwrap(), "a line\na line\n");
    }
    daemon.stop().unwrap();
    assert!(!pid.exists());
    scene.finish();
}

#[test]
fn the_process_knows_itself_by_its_environment() {
    let scene = Scene::of_library();
    let mut config = helper(&scene, &["inspect", "an argument"]);
    config.command = config.command.dir("/").env("OWN", "mine").env("CONNECT_PROXY_ID", "not this");
    config.target_service = Some("web".to_owned());
    let daemon = Daemon::new("web-proxy", config);
    daemon.start().unwrap();
    let start = scene.reports.start("web-proxy");
    let found = start.inspection.unwrap();
    assert_eq!(found.argv[1..], ["inspect", "an argument"]);
    assert_eq!(found.cwd, "/");
    let expected = [
        ("CONNECT_PROXY_ID", "web-proxy"),
        ("CONNECT_PROXY_TOKEN", "a declared token"),
        ("CONNECT_SIDECAR_FOR", "web"),
        ("OWN", "mine"),
        ("PATH", &std::env::var("PATH").unwrap()),
    ];
    expected.iter().for_each(|(name, value)| assert_eq!(found.env[*name], *value));
    // A session and a group of its own, nothing inherited but the standard streams.
    assert_eq!((found.session, found.group), (start.pid, start.pid));
    assert_eq!(found.fds.into_iter().collect::<Vec<_>>(), [0, 1, 2].map(|fd| (fd, "/dev/null".to_owned())));
    daemon.stop().unwrap();
    scene.finish();
}

#[test]
fn many_threads_start_and_stop_one_process() {
    let scene = Scene::of_library();
    let daemon = Daemon::new("web", helper(&scene, &["run"]));
    for _ in 0..5 {
        // A second process would report itself as DUPLICATE.
        std::thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(|| daemon.start().unwrap()))));
        let start = scene.reports.start("web");
        assert_eq!(daemon.status().pid, Some(start.pid));
        std::thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(|| daemon.stop().unwrap()))));
        assert!(start.process.is_gone());
    }
    scene.finish();
}

/// A start that comes last wins, and no caller waits in vain.
#[test]
fn a_start_while_it_stops_is_the_start_of_the_next_process() {
    let scene = Scene::of_library();
    let mut config = helper(&scene, &["stubborn"]);
    config.stop.grace_period = std::time::Duration::from_millis(200);
    let daemon = Daemon::new("web", config);
    let mut events = Observer::of(daemon.events());
    daemon.start().unwrap();
    let first = scene.reports.start("web");
    std::thread::scope(|scope| {
        let stop = scope.spawn(|| daemon.stop());
        events.until("the stop", |event| matches!(event.kind, EventKind::Stopping { .. }));
        daemon.start().unwrap();
        let second = scene.reports.start("web");
        assert!(first.process.is_gone());
        assert_eq!((daemon.status().state, daemon.status().pid), (ProxyState::Running, Some(second.pid)));
        assert_eq!(stop.join().unwrap(), Ok(()));
        daemon.stop().unwrap();
        assert!(second.process.is_gone());
    });
    scene.reports.forget_unread();
    scene.finish();
}
