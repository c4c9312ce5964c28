// SPDX-License-Identifier: MPL-2.0
//! Proxies that have to feed a watchdog (sd_watchdog_enabled(3)), and what comes of one that does not.

use std::fs;
use std::time::{Duration, Instant};

use proxyprocess::{EventKind, ExitStatus, ProxyConfig, ProxyState, Ready, Reload, StopSettings};
use rustix::process::Signal;

use super::notifications::{notifies, send_next, status_when};
use super::{address, awaited};
use crate::inside::{Host, helper, quick};
use crate::support::{Scene, Start, alone, readable};

const PERIOD: Duration = Duration::from_millis(400);
/// Longer than any test.
const LONG: Duration = Duration::from_secs(3600);

/// One that is started again at once, as often as it is aborted.
fn watched(scene: &Scene, how: &str, texts: &[&str], period: Duration) -> ProxyConfig {
    let mut config = notifies(scene, how, texts).with_watchdog(period);
    config.restart.attempts_before_backoff = 1000;
    config
}

#[track_caller]
fn assert_aborted(status: &ExitStatus) {
    assert!(matches!(status, ExitStatus::Signaled { signal: 6, .. }), "{status}");
}

/// The values of the variables of this name that a process was started with.
fn variable(start: &Start, name: &str) -> Vec<String> {
    let environment = fs::read(format!("/proc/{}/environ", start.pid)).expect("read its environment");
    let named =
        environment.split(|byte| *byte == 0).filter_map(|text| text.strip_prefix(format!("{name}=").as_bytes()));
    named.map(|value| String::from_utf8_lossy(value).into_owned()).collect()
}

#[test]
fn process_finds_its_watchdog_in_its_environment_and_no_other_process_does() {
    let scene = Scene::of_library();
    let mut options = quick(&scene.data_dir());
    options.proxy_env = vec![("WATCHDOG_PID".into(), "1".into()), ("WATCHDOG_USEC".into(), "1".into())];
    let mut host = Host::new(options);
    let reload = Reload::command(["/bin/sh", "-c", "test -z \"$WATCHDOG_PID$WATCHDOG_USEC\""]);
    host.set("web", helper(&scene, &["run"]).with_watchdog(LONG).with_reload(reload));
    host.run();
    let start = scene.reports.start("web");
    host.events.started("web");
    assert_eq!(variable(&start, "WATCHDOG_USEC"), ["3600000000"]);
    assert_eq!(variable(&start, "WATCHDOG_PID"), [start.pid.to_string()]);
    assert_eq!(variable(&start, "NOTIFY_SOCKET").len(), 1);
    host.manager.reload("web").expect("a command that is run for it has no watchdog");
    assert_eq!(host.status("web").state, ProxyState::Running, "it is ready as it is declared");
    host.set("plain", helper(&scene, &["run"]));
    let plain = scene.reports.start("plain");
    assert_eq!(variable(&plain, "WATCHDOG_USEC"), ["1"], "it is the manager's");
    assert!(variable(&plain, "NOTIFY_SOCKET").is_empty());
    host.kill();
    scene.finish();
}

#[test]
fn silent_process_is_aborted_and_started_again_as_after_a_crash() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let texts = ["READY=1\nSTATUS=waits for a lock", "WATCHDOG=1"];
    let mut config = watched(&scene, "self", &texts, PERIOD);
    config.restart.attempts_before_backoff = 0;
    host.set("web", config);
    host.run();
    let start = scene.reports.start("web");
    host.events.started("web");
    // Before it is ready it may be silent.
    start.process.signal(Signal::USR1);
    host.events.ready("web");
    let reason = host.events.watchdog_expired("web");
    assert_eq!(reason, r#"no message for 400 ms; its status is "waits for a lock""#);
    assert_aborted(&host.events.exited("web"));
    host.events.waiting("web");
    let error = status_when(&host, "web", |status| status.state == ProxyState::Waiting).last_error;
    assert_eq!(error, Some(format!("watchdog: {reason}")));
    let kinds: Vec<&str> = host.events.of_proxy("web").iter().map(EventKind::as_str).collect();
    assert_eq!(kinds, ["started", "ready", "watchdog_expired", "stopping", "exited", "waiting"]);
    start.process.wait();
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}

/// It is alive for as long as it feeds its watchdog, which is many periods.
#[test]
fn process_that_feeds_its_watchdog_lives_and_is_found_when_it_falls_silent() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", watched(&scene, "feeds", &["READY=1", "silent"], PERIOD));
    host.run();
    loop {
        let start = scene.reports.start("web");
        start.process.signal(Signal::USR1);
        host.events.ready("web");
        let begun = Instant::now();
        let _ = readable(start.process.fd(), PERIOD * 5);
        start.process.signal(Signal::USR1);
        assert_eq!(host.events.watchdog_expired("web"), "no message for 400 ms");
        // On a busy machine it is late by itself; then it is started again.
        if begun.elapsed() >= PERIOD * 5 {
            break;
        }
    }
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}

/// Whatever it is ready by: READY=1 counts for `"notify"` alone.
#[test]
fn watchdog_begins_when_the_process_is_ready_as_it_is_declared() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.run();
    let (tcp, unix) = (Ready::Tcp(address()), Ready::Unix(scene.path("socket")));
    for (id, ready) in [("fd", Ready::Fd(7)), ("tcp", tcp), ("unix", unix)] {
        let mut config = awaited(&scene, ready).with_watchdog(PERIOD);
        config.restart.attempts_before_backoff = 0;
        host.set(id, config);
        let start = scene.reports.start(id);
        host.events.started(id);
        super::is_starting(&host, &start);
        start.process.signal(Signal::USR1);
        host.events.ready(id);
        assert_eq!(host.events.watchdog_expired(id), "no message for 400 ms");
        assert_aborted(&host.events.exited(id));
    }
    let config = watched(&scene, "self", &["READY=1\nSTATUS=read"], PERIOD);
    host.set("notready", config.with_ready(Ready::Fd(7)));
    let start = scene.reports.start("notready");
    send_next(&scene, &start);
    status_when(&host, "notready", |status| status.status_text.as_deref() == Some("read"));
    super::is_starting(&host, &start);
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn process_that_triggers_its_watchdog_is_ended_at_once_also_without_one() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("ready", watched(&scene, "self", &["READY=1", "STATUS=broken\nWATCHDOG=trigger"], LONG));
    host.set("starts", watched(&scene, "self", &["WATCHDOG=trigger"], Duration::ZERO));
    host.run();
    for (id, and) in [("ready", "; its status is \"broken\""), ("starts", "")] {
        let start = scene.reports.start(id);
        if id == "ready" {
            send_next(&scene, &start);
            host.events.ready(id);
        }
        start.process.signal(Signal::USR1);
        let reason = format!("triggered by the process with WATCHDOG=trigger{and}");
        assert_eq!(host.events.watchdog_expired(id), reason);
        assert_aborted(&host.events.exited(id));
        host.events.started(id);
    }
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn process_asks_for_another_period() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", watched(&scene, "self", &["READY=1\nWATCHDOG_USEC=300000"], LONG));
    host.run();
    let start = scene.reports.start("web");
    start.process.signal(Signal::USR1);
    assert_eq!(host.events.watchdog_expired("web"), "no message for 300 ms");
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn process_that_survives_sigabrt_is_killed_after_the_grace_period() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let grace = StopSettings::default().with_grace_period(Duration::from_secs(1));
    host.set("web", watched(&scene, "stays", &["READY=1\nWATCHDOG=trigger"], LONG).with_stop(grace));
    host.run();
    let start = scene.reports.start("web");
    send_next(&scene, &start);
    host.events.watchdog_expired("web");
    assert_eq!(scene.reports.signal(&start), "SIGABRT");
    assert_eq!(host.events.exited("web"), ExitStatus::Signaled { signal: 9, core_dumped: false });
    host.events.started("web");
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn process_that_asks_for_more_time_to_stop_is_not_killed_meanwhile() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let grace = Duration::from_secs(5);
    let config = notifies(&scene, "asks", &["READY=1", "EXTEND_TIMEOUT_USEC=600000000"]);
    host.set("web", config.with_stop(StopSettings::default().with_grace_period(grace)));
    host.run();
    let start = scene.reports.start("web");
    send_next(&scene, &start);
    host.events.ready("web");
    host.state.remove("web");
    assert_eq!(scene.reports.signal(&start), "SIGINT");
    // Without more time it would be killed meanwhile.
    let _ = readable(start.process.fd(), grace + Duration::from_millis(500));
    start.process.signal(Signal::USR1);
    assert_eq!(host.events.exited("web"), ExitStatus::Exited(0));
    host.kill();
    scene.finish();
}

#[test]
fn other_proxies_make_no_system_call_for_a_watchdog() {
    alone("readiness::watchdog::other_proxies_make_no_system_call_for_a_watchdog", || {
        let scene = Scene::of_library();
        let mut host = Host::new(quick(&scene.data_dir()));
        host.set("web", notifies(&scene, "at-once", &["READY=1\nWATCHDOG=1\nEXTEND_TIMEOUT_USEC=1"]));
        host.run();
        scene.reports.start("web");
        host.events.ready("web");
        host.follow("settled");
        host.nothing_ticks();
        host.kill();
        scene.finish();
    });
}
