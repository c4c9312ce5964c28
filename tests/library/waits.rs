// SPDX-License-Identifier: MPL-2.0
//! Waiting for a state of one proxy.

use std::time::Duration;

use proxyprocess::{Command, ErrorCode, ExecMode, ProxyConfig, ProxyState, Result, WaitFor};

use crate::inside::{Host, helper, quick, register_scripted, scripted};
use crate::support::{Scene, WATCHDOG};

const HOUR: Duration = Duration::from_secs(3600);

/// Waits; a test that waits in vain fails by that.
fn wait(host: &Host, id: &str) -> Result<()> {
    host.manager.wait_until(id, WaitFor::Running, WATCHDOG)
}

fn code(result: Result<()>) -> ErrorCode {
    result.expect_err("it fails").code()
}

#[test]
fn wait_returns_when_the_proxy_runs_as_it_is_declared() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", helper(&scene, &["run", "0"]));
    host.run();
    wait(&host, "web").unwrap();
    let first = scene.reports.start("web");
    assert_eq!((host.status("web").state, host.status("web").pid), (ProxyState::Running, Some(first.pid)));
    host.manager.wait_until("web", WaitFor::Running, Duration::ZERO).unwrap();

    // A change is followed first, whether it takes another process or none.
    host.set("web", helper(&scene, &["run", "1"]));
    wait(&host, "web").unwrap();
    let second = scene.reports.start("web");
    assert!(first.process.is_gone());
    assert_eq!(host.status("web").pid, Some(second.pid));
    let mut settings = helper(&scene, &["run", "1"]);
    settings.stop.grace_period = HOUR;
    host.set("web", settings);
    wait(&host, "web").unwrap();
    assert_eq!(host.status("web").pid, Some(second.pid));

    // A change of another proxy is not waited for.
    host.set("other", ProxyConfig::new(Command::new(scene.path("absent"))));
    host.manager.wait_until("web", WaitFor::Running, Duration::ZERO).unwrap();
    host.kill();
    scene.finish();
}

#[test]
fn wait_after_a_restart_is_for_the_next_process() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let mut config = helper(&scene, &["stubborn"]);
    config.stop.grace_period = Duration::ZERO;
    host.set("web", config);
    host.set("kind", scripted(1, &[], &[]));
    let calls = register_scripted(&host.manager);
    host.run();
    wait(&host, "web").unwrap();
    wait(&host, "kind").unwrap();
    let mut running = scene.reports.start("web");
    for _ in 0..5 {
        host.manager.restart("web").unwrap();
        wait(&host, "web").unwrap();
        let next = scene.reports.start("web");
        assert!(running.process.is_gone());
        assert_eq!(host.status("web").pid, Some(next.pid));
        running = next;
        host.manager.restart("kind").unwrap();
        wait(&host, "kind").unwrap();
        assert_eq!(calls.commands().last().unwrap(), "kind start");
        assert_eq!(host.status("kind").state, ProxyState::Running);
    }
    // A crash is over when the next one runs.
    host.manager.signal("web", proxyprocess::Signal::KILL).unwrap();
    host.events.until(
        "the crash",
        |event| matches!(event.kind, proxyprocess::EventKind::Exited { pid, .. } if pid == running.pid),
    );
    wait(&host, "web").unwrap();
    assert_eq!(host.status("web").pid, Some(scene.reports.start("web").pid));
    host.kill();
    scene.reports.forget_signals();
    scene.finish();
}

#[test]
fn wait_for_a_removed_proxy_is_not_found() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    assert_eq!(code(wait(&host, "web")), ErrorCode::NotFound);
    // It waits for its next start.
    let mut waits = helper(&scene, &["exit", "1"]);
    waits.restart.attempts_before_backoff = 0;
    waits.restart.max_wait = HOUR;
    waits.restart.healthy_after = HOUR;
    host.set("web", waits);
    host.run();
    host.events.waiting("web");
    let manager = host.manager.clone();
    let waiter = std::thread::spawn(move || manager.wait_until("web", WaitFor::Running, WATCHDOG));
    host.state.remove("web");
    assert_eq!(code(waiter.join().unwrap()), ErrorCode::NotFound);
    assert_eq!(code(wait(&host, "web")), ErrorCode::NotFound);

    // It is wanted again, and what is new is waited for.
    let manager = host.manager.clone();
    host.set("web", helper(&scene, &["run"]));
    let waiter = std::thread::spawn(move || manager.wait_until("web", WaitFor::Running, WATCHDOG));
    waiter.join().unwrap().unwrap();
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn wait_for_a_proxy_that_cannot_run_returns_why() {
    let scene = Scene::of_library();
    let mut options = quick(&scene.data_dir());
    options.allow_root = !rustix::process::geteuid().is_root();
    let mut host = Host::new(options);
    host.set("kind", ProxyConfig::of_mode(ExecMode::new("scripted").unwrap()));
    host.set("root", helper(&scene, &["run"]));
    host.run();
    let error = wait(&host, "kind").unwrap_err();
    assert_eq!(error.code(), ErrorCode::StartFailed);
    assert!(error.to_string().contains("the mode \"scripted\" is not registered"), "{error}");
    if rustix::process::geteuid().is_root() {
        assert_eq!(code(wait(&host, "root")), ErrorCode::RootRefused);
    } else {
        wait(&host, "root").unwrap();
    }
    // Another declaration has its chance, and a restart as well.
    let calls = register_scripted(&host.manager);
    host.manager.restart("kind").unwrap();
    wait(&host, "kind").unwrap();
    host.set("kind", scripted(1, &["start"], &[]));
    assert_eq!(wait(&host, "kind").unwrap_err().to_string(), "start fails, as its options say");
    host.set("kind", scripted(1, &[], &[]));
    wait(&host, "kind").unwrap();
    assert_eq!(calls.commands().last().unwrap(), "kind start");
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn wait_ends_when_its_time_is_over_or_the_manager_ends() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let absent = || ProxyConfig::new(Command::new(scene.path("absent")));
    host.set("web", absent());
    let error = host.manager.wait_until("web", WaitFor::Running, Duration::ZERO).unwrap_err();
    assert_eq!((error.code(), error.to_string().as_str()), (ErrorCode::Timeout, "proxy web: not running after 0ns"));
    host.run();
    host.events.until("the failure", |event| event.id.as_deref() == Some("web"));
    let error = host.manager.wait_until("web", WaitFor::Running, Duration::from_millis(2)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Timeout);
    // One that waits for a sync, and one that waits for a process.
    let waiters = ["web", "late"].map(|id| {
        host.set("late", absent());
        let manager = host.manager.clone();
        std::thread::spawn(move || manager.wait_until(id, WaitFor::Running, Duration::MAX))
    });
    host.manager.close().unwrap();
    for waiter in waiters {
        assert_eq!(code(waiter.join().unwrap()), ErrorCode::Closed);
    }
    assert_eq!(code(wait(&host, "web")), ErrorCode::Closed);
    host.join();
    scene.finish();
}
