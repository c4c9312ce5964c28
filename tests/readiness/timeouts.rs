// SPDX-License-Identifier: MPL-2.0
//! Proxies that are not ready in time: stopped, and started again as after a crash, with the reason.
//!
//! Each has a time without end at first, which is shortened when its process has reported its start: so that no test
//! depends on how long a start takes.

use std::time::Duration;

use proxyprocess::{EventKind, ExitStatus, ProxyConfig, ProxyState, Ready};

use super::{address, is_starting};
use crate::inside::{Host, helper, quick};
use crate::support::{Scene, Start};

const TIME: Duration = Duration::from_millis(200);

/// The process of a proxy whose time has just been shortened.
#[track_caller]
fn late(scene: &Scene, host: &mut Host, id: &str, config: ProxyConfig) -> Start {
    host.set(id, config.clone().with_start_timeout(Duration::MAX));
    let start = scene.reports.start(id);
    assert_eq!(host.events.started(id), start.pid);
    is_starting(host, &start);
    host.set(id, config.with_start_timeout(TIME));
    start
}

/// It waits after its first failure.
fn waits(mut config: ProxyConfig) -> ProxyConfig {
    config.restart.attempts_before_backoff = 0;
    config
}

#[test]
fn proxy_that_is_not_ready_in_time_is_stopped_and_started_again_and_says_why() {
    let scene = Scene::of_library();
    let (at, path) = (address(), scene.path("socket"));
    let no_socket = format!("connect to {}: No such file or directory (os error 2)", path.display());
    let conditions = [
        ("tcp", Ready::Tcp(at), format!("connect to {at}: Connection refused (os error 111)")),
        ("unix", Ready::Unix(path), no_socket),
        ("fd", Ready::Fd(3), "no newline on descriptor 3".to_owned()),
    ];
    let mut host = Host::new(quick(&scene.data_dir()));
    host.run();
    for (id, ready, reason) in conditions {
        let start = late(&scene, &mut host, id, waits(helper(&scene, &["run"]).with_ready(ready)));
        assert_eq!(host.events.not_ready(id), reason);
        let wait = Duration::from_secs(2);
        assert_eq!(host.events.waiting(id), wait);
        let pid = start.pid;
        let status = ExitStatus::Signaled { signal: 2, core_dumped: false };
        assert_eq!(
            host.events.of_proxy(id)[..5],
            [
                EventKind::Started { pid: Some(pid) },
                EventKind::NotReady { reason: reason.clone() },
                EventKind::Stopping { pid: Some(pid) },
                EventKind::Exited { pid, status },
                EventKind::Waiting { wait },
            ]
        );
        let status = host.status(id);
        assert!(!status.ready);
        assert_eq!(status.last_error, Some(format!("not ready in 200 ms: {reason}")));
        host.state.remove(id);
        host.events.stopped(id);
    }
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn proxy_that_was_late_and_does_not_obey_is_killed_after_its_grace_period() {
    let scene = Scene::of_library();
    let mut config = waits(helper(&scene, &["stubborn"]).with_ready(Ready::Tcp(address())));
    config.stop.grace_period = TIME;
    let mut host = Host::new(quick(&scene.data_dir()));
    host.run();
    let start = late(&scene, &mut host, "web", config);
    host.events.not_ready("web");
    assert_eq!(host.events.exited("web"), ExitStatus::Signaled { signal: 9, core_dumped: false });
    assert!(start.process.is_gone());
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}

/// The status names it while the next one is not ready either, and no longer than that.
#[test]
fn reason_is_shown_until_a_start_is_ready() {
    let scene = Scene::of_library();
    let at = address();
    let mut config = helper(&scene, &["ready", "tcp", &at.to_string()]).with_ready(Ready::Tcp(at));
    // It stays until the test ends it: until then no successor begins its time.
    (config.stop.signal, config.stop.grace_period) = ("SIGCONT".parse().unwrap(), Duration::MAX);
    let mut host = Host::new(quick(&scene.data_dir()));
    host.run();
    let first = late(&scene, &mut host, "web", config.clone());
    host.events.not_ready("web");
    assert_eq!(host.status("web").state, ProxyState::Stopping);
    host.set("web", config.with_start_timeout(Duration::MAX));
    host.follow("marker");
    first.process.kill();
    let next = scene.reports.start("web");
    host.events.until("the next one", |event| event.kind == EventKind::Started { pid: Some(next.pid) });
    is_starting(&host, &next);
    let reason = format!("not ready in 200 ms: connect to {at}: Connection refused (os error 111)");
    assert_eq!(host.status("web").last_error, Some(reason));
    next.process.signal(rustix::process::Signal::USR1);
    scene.reports.signal(&next);
    host.events.ready("web");
    assert_eq!(host.status("web").last_error, None);
    host.state.remove("web");
    host.events.until("the stop", |event| event.kind == EventKind::Stopping { pid: Some(next.pid) });
    next.process.kill();
    host.kill();
    scene.finish();
}

#[test]
fn descriptor_that_is_closed_without_a_newline_is_named_when_the_time_is_over() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.run();
    let config = helper(&scene, &["ready", "closes", "3", "at-once"]).with_ready(Ready::Fd(3));
    late(&scene, &mut host, "web", waits(config));
    assert_eq!(host.events.not_ready("web"), "descriptor 3 was closed without a newline");
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}
