// SPDX-License-Identifier: MPL-2.0
//! B, C and I: a stop ends everything of a proxy, all proxies at the same time, and returns when they are gone.

use std::time::{Duration, Instant};

use proxyprocess::{Daemon, EventKind, ExitStatus};

use crate::inside::{Host, helper, quick};
use crate::support::{Scene, Start, alone};

const SHORT: Duration = Duration::from_millis(50);

#[test]
fn fault_b_a_stop_returns_when_the_process_is_gone() {
    let scene = Scene::of_library();
    for role in ["stubborn", "graceful", "run", "stopped"] {
        for _ in 0..5 {
            let mut config = helper(&scene, &[role]);
            config.stop.grace_period = SHORT;
            let daemon = Daemon::new("web", config);
            daemon.start().unwrap();
            let start = scene.reports.start("web");
            daemon.stop().unwrap();
            // No zombie either: its port, its files and its number are free.
            assert!(start.process.is_gone() && start.process.is_reaped(), "{role}");
            assert_eq!(daemon.status().pid, None);
        }
    }
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn fault_b_a_kill_returns_when_the_processes_are_gone() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    for (id, role) in [("a", "stubborn"), ("b", "graceful"), ("c", "run")] {
        let mut config = helper(&scene, &[role]);
        config.stop.grace_period = SHORT;
        host.set(id, config);
    }
    host.run();
    let starts: Vec<Start> = (0..3).map(|_| scene.reports.any_start()).collect();
    host.manager.kill().unwrap();
    assert!(starts.iter().all(|start| start.process.is_gone() && start.process.is_reaped()));
    assert_eq!(scene.pid_files(), [""; 0]);
    host.join();
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn fault_c_stubborn_processes_are_stopped_in_one_grace_period() {
    const MANY: u32 = 8;
    const GRACE: Duration = Duration::from_secs(1);
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    for number in 0..MANY {
        let mut config = helper(&scene, &["stubborn"]);
        config.stop.grace_period = GRACE;
        host.set(&format!("stubborn-{number}"), config);
    }
    host.run();
    let starts: Vec<Start> = (0..MANY).map(|_| scene.reports.any_start()).collect();

    let begun = Instant::now();
    host.manager.kill().unwrap();
    let took = begun.elapsed();
    assert!(took >= GRACE, "they had only {took:?}");
    assert!(took < GRACE * MANY / 2, "{took:?}, one after the other");
    for start in &starts {
        assert!(start.process.is_gone());
        assert_eq!(scene.reports.signal(start), "SIGINT");
    }
    let position = |wanted: fn(&EventKind) -> bool, host: &mut Host| -> Vec<usize> {
        let seen = host.events.seen().iter().enumerate();
        seen.filter(|(_, event)| wanted(&event.kind)).map(|(at, _)| at).collect()
    };
    let stopping = position(|kind| matches!(kind, EventKind::Stopping { .. }), &mut host);
    let exited = position(
        |kind| matches!(kind, EventKind::Exited { status: ExitStatus::Signaled { signal: 9, .. }, .. }),
        &mut host,
    );
    assert_eq!((stopping.len(), exited.len()), (8, 8));
    assert!(stopping.iter().max() < exited.iter().min(), "all were told before the first one was killed");
    host.join();
    scene.finish();
}

#[test]
fn fault_c_removed_proxies_stop_beside_each_other_and_hold_up_nothing() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    for id in ["a", "b", "c", "d"] {
        let mut config = helper(&scene, &["stubborn"]);
        config.stop.grace_period = Duration::from_millis(500);
        host.set(id, config);
    }
    host.run();
    let starts: Vec<Start> = (0..4).map(|_| scene.reports.any_start()).collect();
    host.state.replace_all([("new".to_owned(), helper(&scene, &["run"]))]).unwrap();
    let new = scene.reports.start("new");
    assert_eq!(host.events.started("new"), new.pid);
    for _ in 0..4 {
        host.events.until("the end of one", |event| event.kind == EventKind::Stopped);
    }
    let kinds = |wanted: fn(&EventKind) -> bool, host: &mut Host| {
        host.events.seen().iter().filter(|event| wanted(&event.kind)).map(|event| event.number).collect::<Vec<u64>>()
    };
    let stopping = kinds(|kind| matches!(kind, EventKind::Stopping { .. }), &mut host);
    let exited = kinds(|kind| matches!(kind, EventKind::Exited { .. }), &mut host);
    assert!(stopping.len() == 4 && stopping.iter().max() < exited.iter().min(), "{stopping:?}, {exited:?}");
    starts.iter().for_each(|start| assert_eq!(scene.reports.signal(start), "SIGINT"));
    host.kill();
    scene.finish();
}

/// Takes in the processes whose parent ends. They stay zombies until [`reap`], as with a careless init.
fn become_their_parent() {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
}

/// The stop has ended a process that is no child of the library's host by its own start.
#[track_caller]
fn reap(grandchild: &Start) {
    assert!(grandchild.process.is_gone(), "the grandchild of {} still runs", grandchild.id);
    assert!(grandchild.process.reap());
}

#[test]
fn fault_i_grandchildren_do_not_survive_a_stop() {
    alone("faults::stops::fault_i_grandchildren_do_not_survive_a_stop", || {
        become_their_parent();
        let scene = Scene::of_library();
        for role in [&["grandchild"][..], &["grandchild", "stubborn"], &["leader-exits"]] {
            let mut config = helper(&scene, role);
            config.stop.grace_period = SHORT;
            let daemon = Daemon::new("web", config);
            daemon.start().unwrap();
            let (leader, grandchild) = (scene.reports.start("web"), scene.reports.grandchild("web"));
            daemon.stop().unwrap();
            assert!(leader.process.is_reaped());
            reap(&grandchild);
        }
        scene.reports.forget_unread();
        scene.finish();
    });
}

#[test]
fn fault_i_grandchildren_do_not_survive_a_crash_of_their_leader() {
    alone("faults::stops::fault_i_grandchildren_do_not_survive_a_crash_of_their_leader", || {
        become_their_parent();
        let scene = Scene::of_library();
        let mut host = Host::new(quick(&scene.data_dir()));
        let mut config = helper(&scene, &["grandchild", "stubborn"]);
        config.stop.grace_period = SHORT;
        host.set("web", config);
        host.run();
        let (first, grandchild) = (scene.reports.start("web"), scene.reports.grandchild("web"));
        first.process.kill();
        // The next leader has one too; a second one beside the first would be reported as DUPLICATE.
        let second = scene.reports.start("web");
        reap(&grandchild);
        let grandchild = scene.reports.grandchild("web");
        host.manager.kill().unwrap();
        assert!(second.process.is_reaped());
        reap(&grandchild);
        host.join();
        scene.reports.forget_unread();
        scene.finish();
    });
}
