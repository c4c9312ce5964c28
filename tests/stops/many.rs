// SPDX-License-Identifier: MPL-2.0
//! The time that many take, and what is answered meanwhile.

use std::time::{Duration, SystemTime};

use proxyprocess::{EventKind, ProxyState};

use crate::inside::{Host, helper, quick};
use crate::support::{Deadline, Scene, alone};

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

/// Their grace is longer than the test may take, so each answer came while they were being stopped.
#[test]
fn status_and_metrics_are_answered_while_many_stubborn_ones_are_being_stopped() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let ids: Vec<String> = (0..MANY / 10).map(|number| format!("p{number}")).collect();
    for id in &ids {
        let mut config = helper(&scene, &["stubborn"]);
        config.stop.grace_period = Duration::from_secs(3600);
        host.set(id, config);
    }
    host.run();
    let starts: Vec<_> = ids.iter().map(|id| scene.reports.start(id)).collect();
    for id in &ids {
        host.state.remove(id);
    }
    let stopping = |host: &Host| {
        let all = host.manager.status();
        all.iter().filter(|status| status.state == ProxyState::Stopping && status.pid.is_some()).count()
    };
    let deadline = Deadline::of("all to be asked to end");
    while stopping(&host) < ids.len() {
        deadline.left();
        std::thread::yield_now();
    }
    let metrics = host.manager.metrics();
    let line = format!("proxyprocess_proxies{{state=\"stopping\"}} {}\n", ids.len());
    assert!(metrics.contains(&line), "{metrics}");
    assert!(starts.iter().all(|start| !start.process.is_gone()));
    starts.iter().for_each(|start| start.process.kill());
    host.kill();
    scene.reports.forget_signals();
    scene.finish();
}
