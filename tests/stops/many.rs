// SPDX-License-Identifier: MPL-2.0
//! The time that many take.

use std::time::{Duration, SystemTime};

use proxyprocess::EventKind;

use crate::inside::{Host, helper, quick};
use crate::support::{Scene, alone};

const MANY: usize = 200;
const GRACE: Duration = Duration::from_secs(1);
const PROMISED: Duration = Duration::from_secs(2);

/// Measured by the times of the events: from the first signal to the end of the last process.
#[test]
fn two_hundred_stubborn_ones_with_a_second_of_grace_are_gone_within_two() {
    alone("stops::many::two_hundred_stubborn_ones_with_a_second_of_grace_are_gone_within_two", || {
        let scene = Scene::of_library();
        let mut host = Host::new(quick(&scene.data_dir()));
        for number in 0..MANY {
            let mut config = helper(&scene, &["stubborn"]);
            config.stop.grace_period = GRACE;
            host.set(&format!("p{number}"), config);
        }
        host.run();
        let starts: Vec<_> = (0..MANY).map(|_| scene.reports.any_start()).collect();
        host.manager.kill().unwrap();
        assert!(starts.iter().all(|start| start.process.is_gone() && start.process.is_reaped()));
        let times = |wanted: fn(&EventKind) -> bool, host: &mut Host| -> Vec<SystemTime> {
            let of_kind = host.events.seen().iter().filter(|event| wanted(&event.kind));
            of_kind.map(|event| event.at).collect()
        };
        let told = times(|kind| matches!(kind, EventKind::Stopping { .. }), &mut host);
        let gone = times(|kind| *kind == EventKind::Stopped, &mut host);
        assert_eq!((told.len(), gone.len()), (MANY, MANY));
        let took = gone.iter().max().unwrap().duration_since(*told.iter().min().unwrap()).unwrap();
        println!("{MANY} took {took:?}");
        assert!((GRACE..PROMISED).contains(&took), "{took:?}");
        host.join();
        scene.reports.forget_signals();
        scene.finish();
    });
}
