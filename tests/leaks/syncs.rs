// SPDX-License-Identifier: MPL-2.0
//! Changes of what is declared, over and over, each of them followed and written.

use std::time::{Duration, Instant};

use proxyprocess::{EventKind, Events};

use crate::inside::{Host, helper, quick};
use crate::leaks::measure::{Heap, Measure, one_alone, rounds};
use crate::support::{Scene, WATCHDOG, alone};

const WARM_UP: usize = 1100;

#[track_caller]
fn read_until(events: &mut Events, wanted: fn(&EventKind) -> bool) {
    while !wanted(&events.next_timeout(WATCHDOG).expect("an event").kind) {}
}

#[test]
fn ten_thousand_syncs_leave_everything_as_it_was() {
    alone("leaks::syncs::ten_thousand_syncs_leave_everything_as_it_was", || {
        let scene = Scene::of_library();
        let mut options = quick(&scene.data_dir());
        // Every change is a sync of its own, and every sync is written.
        (options.quiescent_period, options.snapshot_period) = (Duration::ZERO, Duration::ZERO);
        let mut host = Host::new(options);
        host.set("stays", helper(&scene, &["run"]));
        host.run();
        let stays = scene.reports.start("stays");
        host.events.started("stays");
        let mut events = host.manager.events();
        let mut grace = 60_000_000;
        let mut sync = |host: &Host, count: usize| {
            for round in 0..count {
                let mut config = helper(&scene, &["run"]);
                // Another one each time, of the same number of digits, so that the files have the same size.
                grace += 1;
                config.stop.grace_period = Duration::from_millis(grace);
                host.set("stays", config);
                read_until(&mut events, |kind| *kind == EventKind::SnapshotWritten);
                // Now and then one comes and goes.
                if round % 100 == 0 {
                    host.set(
                        "comes",
                        proxyprocess::ProxyConfig::new(proxyprocess::Command::new("/bin/sleep").arg("1000")),
                    );
                    read_until(&mut events, |kind| matches!(kind, EventKind::Started { .. }));
                    host.state.remove("comes");
                    read_until(&mut events, |kind| *kind == EventKind::Stopped);
                }
            }
            one_alone(&scene.data_dir());
        };
        sync(&host, WARM_UP);
        let (before, heap) = (Measure::settled(&scene.data_dir()), Heap::now());
        let began = Instant::now();
        sync(&host, rounds());
        println!("{} syncs took {:?}", rounds(), began.elapsed());
        before.wait(&scene.data_dir());
        heap.check(rounds());
        assert!(!stays.process.is_gone());
        host.manager.kill().unwrap();
        host.join();
        scene.finish();
    });
}
