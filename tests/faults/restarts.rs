// SPDX-License-Identifier: MPL-2.0
//! A and H: what happens between a crash and the next start.

use std::time::Duration;

use proxyprocess::{EventKind, ProxyConfig, ProxyState};

use crate::inside::{Host, helper, json, quick, wait_until};
use crate::support::{Scene, Start};

const HOUR: Duration = Duration::from_secs(3600);

/// Kills the process that runs, waits for the next one, and returns how long the library waited in between, if at all.
fn crash(scene: &Scene, host: &mut Host, running: &mut Start) -> Option<Duration> {
    host.events.forget();
    running.process.kill();
    let pid = host.events.started("web");
    *running = scene.reports.start("web");
    assert_eq!(running.pid, pid);
    host.events.of_proxy("web").into_iter().find_map(|kind| match kind {
        EventKind::Waiting { wait } => Some(wait),
        _ => None,
    })
}

/// Changes how long a healthy run is, which needs no other process, and waits until the change holds.
fn set_healthy_after(scene: &Scene, host: &Host, config: &mut ProxyConfig, healthy_after: Duration) {
    config.restart.healthy_after = healthy_after;
    host.set("web", config.clone());
    let wanted = u64::try_from(healthy_after.as_millis()).unwrap();
    // Whatever is in the snapshot was given to the supervisor before.
    wait_until(&scene.data_dir(), "the new setting", || {
        let snapshot = json(&scene.data_dir().join("snapshot.json"));
        snapshot["Proxies"]["web"]["Config"]["restart"]["healthy_after_ms"] == wanted
    });
}

#[test]
fn fault_a_backoff_resets_after_healthy_runs() {
    const WAIT: Duration = Duration::from_millis(50);
    let scene = Scene::of_library();
    let mut config = helper(&scene, &["run"]);
    config.restart.healthy_after = HOUR;
    config.restart.attempts_before_backoff = 2;
    config.restart.max_wait = WAIT;
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", config.clone());
    host.run();
    let mut running = scene.reports.start("web");
    assert_eq!(host.events.started("web"), running.pid);

    // Crashes in a row: two restarts are free, then it waits, every time.
    let waits: Vec<_> = (0..5).map(|_| crash(&scene, &mut host, &mut running)).collect();
    assert_eq!(waits, [None, None, Some(WAIT), Some(WAIT), Some(WAIT)]);

    // This one runs for as long as is healthy: time itself is what is waited for.
    let healthy = Duration::from_millis(100);
    set_healthy_after(&scene, &host, &mut config, healthy);
    std::thread::sleep(healthy);
    assert_eq!(crash(&scene, &mut host, &mut running), None);

    // Its own restart was the first of two that are free: the waits before it do not stick.
    set_healthy_after(&scene, &host, &mut config, HOUR);
    let waits: Vec<_> = (0..3).map(|_| crash(&scene, &mut host, &mut running)).collect();
    assert_eq!(waits, [None, Some(WAIT), Some(WAIT)]);

    host.kill();
    assert!(running.process.is_gone());
    scene.finish();
}

#[test]
fn fault_h_a_dead_pid_is_nowhere_while_the_next_start_is_waited_for() {
    let scene = Scene::of_library();
    let mut config = helper(&scene, &["run"]);
    config.restart.attempts_before_backoff = 0;
    config.restart.max_wait = HOUR;
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", config);
    host.run();
    let start = scene.reports.start("web");
    assert_eq!(host.events.started("web"), start.pid);
    let snapshot = scene.path("snapshot");
    let process = |snapshot| json(snapshot)["Proxies"]["web"]["Config"].get("process").cloned();
    host.manager.snapshot(&snapshot).unwrap();
    assert_eq!(process(&snapshot).expect("a process")["pid"], start.pid);
    let record = scene.data_dir().join("records/web.json");
    assert!(record.exists() && scene.pid_file("web").is_some());

    start.process.kill();
    host.events.waiting("web");
    let status = host.status("web");
    assert_eq!((status.state, status.pid), (ProxyState::Waiting, None));
    assert!(status.next_start_ms.is_some_and(|ms| ms > 0), "{status:?}");
    host.manager.snapshot(&snapshot).unwrap();
    assert_eq!(process(&snapshot), None);
    let path = scene.data_dir();
    wait_until(&path, "the end of pid file and record", || scene.pid_file("web").is_none() && !record.exists());

    // Nor does the next manager find one: it starts the proxy at once, by its own count of attempts.
    host.close();
    let mut next = Host::new(quick(&scene.data_dir()));
    next.restore().unwrap();
    assert_eq!(next.status("web").pid, None);
    next.set("web", helper(&scene, &["run"]));
    next.run();
    let start = scene.reports.start("web");
    assert_eq!(next.events.started("web"), start.pid);
    assert!(next.events.of_proxy("web").iter().all(|kind| matches!(kind, EventKind::Started { .. })));
    next.kill();
    scene.finish();
}
