// SPDX-License-Identifier: MPL-2.0
//! D and P: what the library takes from its host.

use std::time::Duration;

use crate::inside::{
    Host, Place, descriptors, helper, inherited, json, library_threads, no_library_thread_is_left, quick, stage,
    wait_until,
};
use crate::support::{Leak, OF_A_SPAWNER, Scene, alone};

#[test]
fn fault_d_syncs_leave_no_descriptors_behind() {
    alone("faults::resources::fault_d_syncs_leave_no_descriptors_behind", || {
        const PROXIES: usize = 10;
        let scene = Scene::of_library();
        let mut options = quick(&scene.data_dir());
        // Every change is a sync of its own, and every sync is written.
        (options.quiescent_period, options.snapshot_period) = (Duration::ZERO, Duration::ZERO);
        let mut host = Host::new(options.clone());
        let set_all = |host: &Host, grace_ms: u64| {
            for number in 0..PROXIES {
                let mut config = helper(&scene, &["run"]);
                config.stop.grace_period = Duration::from_millis(grace_ms);
                host.set(&format!("p{number}"), config);
            }
        };
        set_all(&host, 60_000);
        host.run();
        let starts: Vec<_> = (0..PROXIES).map(|_| scene.reports.any_start()).collect();
        let started = |host: &mut Host| host.events.until("a start", |event| event.id.is_some());
        (0..PROXIES).for_each(|_| drop(started(&mut host)));

        let path = host.manager.snapshot_path().unwrap();
        let leak = Leak::start();
        for round in 1..=50 {
            host.events.forget();
            // One sync that changes nothing, and one that changes what needs no new process.
            host.manager.reconfigure(options.clone()).unwrap();
            set_all(&host, 60_000 + round);
            host.events.snapshot_written();
        }
        let last = |number: usize| json(&path)["Proxies"][format!("p{number}")]["Config"]["grace_period_ms"] == 60_050;
        wait_until(&scene.data_dir(), "the last setting", || (0..PROXIES).all(last));
        // Asked while a sync is made, it waits for the end of it.
        assert_eq!(host.manager.status().len(), PROXIES);
        leak.check();
        assert!(starts.iter().all(|start| !start.process.is_gone()), "no sync needed a new process");
        host.kill();
        scene.finish();
    });
}

const MANY: usize = 200;

/// Counts in a process where nothing but the library is.
fn a_host_of_many(place: &Place) {
    let before = descriptors();
    let mut host = Host::new(quick(&place.data_dir()));
    for number in 0..MANY {
        host.set(&format!("p{number}"), inherited(&["run"]));
    }
    host.run();
    for _ in 0..MANY {
        host.events.until("a start", |event| event.id.is_some());
    }
    let (threads, used) = (library_threads(), descriptors() - before);
    let cores = std::thread::available_parallelism().unwrap().get();
    // Supervisor, spawners, and the thread that runs the manager, which is the host's own.
    assert!(threads.len() <= 1 + cores.min(3) + 1, "{threads:?}");
    // The data directory and its parts, its lock, epoll and its wakeup, one that is lent to scans, one to cgroups and, where the
    // kernel does not signal groups through pidfds, one to looks at groups; and those of each spawner.
    let (each, most) = if cfg!(proxyprocess_no_pidfd) { (0, 11) } else { (MANY, MANY + 10) };
    assert!((each..=most + OF_A_SPAWNER * cores.min(3)).contains(&used), "{used} descriptors");
    wait_until(&place.path(""), "the test to have all reports", || place.path("go").exists());
    host.kill();
    // What is shared with the threads is gone with them, and they go with the last handle.
    no_library_thread_is_left();
    assert_eq!(descriptors(), before);
}

#[test]
fn fault_p_threads_and_descriptors_of_many_processes() {
    let name = "faults::resources::fault_p_threads_and_descriptors_of_many_processes";
    let Some(stage) = stage(name, &[("many", a_host_of_many)]) else { return };
    let act = stage.begin("many", &[]);
    (0..MANY).for_each(|_| drop(stage.scene.reports.any_start()));
    std::fs::write(stage.scene.path("go"), "").unwrap();
    act.finish();
    stage.end();
}
