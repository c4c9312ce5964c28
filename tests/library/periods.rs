// SPDX-License-Identifier: MPL-2.0
//! Periods without end: what is declared with [`Duration::MAX`] never comes.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use proxyprocess::{Daemon, ProxyState};

use crate::inside::{Host, Observer, helper, quick};
use crate::support::{Scene, WATCHDOG};

#[test]
fn without_an_end_of_its_grace_period_a_process_is_restarted_and_never_killed() {
    let scene = Scene::of_library();
    let mut config = helper(&scene, &["stubborn"]);
    config.stop.grace_period = Duration::MAX;
    let daemon = Arc::new(Daemon::new("web", config));
    let mut events = Observer::of(daemon.events());
    daemon.start().unwrap();
    scene.reports.start("web").process.kill();
    events.exited("web");
    events.started("web");
    let start = scene.reports.start("web");
    let (stopped, answer) = mpsc::channel();
    let stopping = thread::spawn({
        let daemon = daemon.clone();
        move || stopped.send(daemon.stop())
    });
    assert_eq!(scene.reports.signal(&start), "SIGINT");
    assert_eq!(daemon.status().state, ProxyState::Stopping);
    assert!(!start.process.is_gone());
    start.process.kill();
    answer.recv_timeout(WATCHDOG).expect("the stop returns when the process is gone").unwrap();
    stopping.join().unwrap().unwrap();
    scene.finish();
}

#[test]
fn of_periods_without_end_a_manager_follows_the_others_and_leaves_all_to_the_next() {
    let scene = Scene::of_library();
    let mut options = quick(&scene.data_dir());
    (options.coalesce_period, options.snapshot_period) = (Duration::MAX, Duration::MAX);
    let mut config = helper(&scene, &["run"]);
    config.stop.grace_period = Duration::MAX;
    (config.restart.healthy_after, config.restart.max_wait) = (Duration::MAX, Duration::MAX);
    let mut host = Host::new(options.clone());
    host.run();
    host.set("web", config.clone());
    let start = scene.reports.start("web");
    host.events.started("web");
    // What was waited for is followed at once when it is changed.
    options.quiescent_period = Duration::MAX;
    host.manager.reconfigure(options.clone()).unwrap();
    host.set("late", helper(&scene, &["run"]));
    options.quiescent_period = Duration::ZERO;
    host.manager.reconfigure(options.clone()).unwrap();
    host.events.started("late");
    let late = scene.reports.start("late");
    host.close();

    let mut next = Host::new(options);
    next.restore().unwrap();
    next.set("web", config);
    next.set("late", helper(&scene, &["run"]));
    next.run();
    next.follow("marker");
    for (id, pid) in [("web", start.pid), ("late", late.pid)] {
        assert_eq!((next.status(id).pid, next.status(id).adopted), (Some(pid), true), "{id}");
    }
    next.kill();
    assert!(start.process.is_gone() && late.process.is_gone());
    scene.finish();
}
