// SPDX-License-Identifier: MPL-2.0
//! Bursts of changes: few syncs, and the last word counts.

use std::time::Duration;

use proxyprocess::{EventKind, ProxyConfig};

use crate::inside::{Host, helper, quick};
use crate::support::Scene;

/// A host that waits long enough for calm that a burst falls into it, also on a loaded machine.
fn calm(scene: &Scene) -> Host {
    let mut options = quick(&scene.data_dir());
    options.quiescent_period = Duration::from_millis(300);
    options.coalesce_period = Duration::from_secs(20);
    // Then every snapshot is one that a sync has written ahead.
    options.snapshot_period = Duration::from_secs(3600);
    let mut host = Host::new(options);
    host.run();
    host.events.snapshot_written();
    host
}

#[test]
fn a_hundred_changes_in_a_burst_are_a_few_syncs() {
    let scene = Scene::of_library();
    let mut host = calm(&scene);
    for number in 0..100 {
        host.set(&format!("p{number:02}"), ProxyConfig::of_mode(proxyprocess::ExecMode::NOOP));
    }
    for _ in 0..100 {
        host.events.until("a start", |event| matches!(event.kind, EventKind::Started { .. }));
    }
    let written = host.events.seen().iter().filter(|event| event.kind == EventKind::SnapshotWritten).count();
    assert!((2..=6).contains(&written), "{} syncs", written - 1);
    host.kill();
    scene.finish();
}

#[test]
fn of_a_hundred_declarations_of_one_proxy_the_last_one_runs() {
    let scene = Scene::of_library();
    let mut host = calm(&scene);
    for number in 0..100 {
        host.set("web", helper(&scene, &["inspect", &number.to_string()]));
    }
    loop {
        let start = scene.reports.start("web");
        if start.inspection.unwrap().argv[2] == "99" {
            break;
        }
    }
    let starts = scene.reports.processes().len();
    assert!(starts <= 5, "{starts} starts");
    // Set and taken back within the calm: nothing at all.
    host.events.forget();
    host.set("brief", helper(&scene, &["run"]));
    host.state.remove("brief");
    host.follow("marker");
    assert_eq!(host.events.of_proxy("brief"), []);
    host.kill();
    scene.finish();
}

#[test]
fn changes_without_end_are_followed_after_the_coalesce_period() {
    let scene = Scene::of_library();
    let mut options = quick(&scene.data_dir());
    options.quiescent_period = Duration::from_secs(3600);
    options.coalesce_period = Duration::from_millis(100);
    let mut host = Host::new(options.clone());
    host.run();
    host.events.snapshot_written();
    host.set("web", helper(&scene, &["run"]));
    // It is never calm for an hour, and yet this comes.
    let start = scene.reports.start("web");
    // Shorter periods hold at once, also for changes that wait already.
    options.coalesce_period = Duration::from_secs(3600);
    host.manager.reconfigure(options.clone()).unwrap();
    host.set("other", helper(&scene, &["run"]));
    options.quiescent_period = Duration::ZERO;
    host.manager.reconfigure(options).unwrap();
    scene.reports.start("other");
    host.kill();
    assert!(start.process.is_gone());
    scene.finish();
}
