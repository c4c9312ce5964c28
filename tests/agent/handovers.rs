// SPDX-License-Identifier: MPL-2.0
//! Handovers of many proxies, of which few prepare at a time.

use std::collections::BTreeSet;

use rustix::process::Signal;
use serde_json::json;

use crate::support::{Agent, Config, OVERLAPS, Proxy, Scene, Start, Status};

const MANY: usize = 40;
const LIMIT: usize = 2;

/// All of them, which are ready at once, or by SIGUSR1.
fn many(scene: &Scene, ready: &str) -> Config {
    let overlaps = format!("{OVERLAPS}=1");
    let proxy = Proxy::helper(&["ready", "fd", "3", ready]).env(&[&overlaps]).set("ready", json!({"fd": 3}));
    let proxy = proxy.set("replace", "overlap");
    let config = Config::new(scene).set("max_handovers", LIMIT);
    (0..MANY).fold(config, |config, number| config.proxy(&format!("p{number}"), proxy.clone()))
}

#[test]
fn agent_that_is_killed_while_many_are_handed_over_leaves_the_rest_to_the_next() {
    let scene = Scene::new();
    let mut agent = Agent::start(&scene, &many(&scene, "at-once"));
    let first: Vec<_> = (0..MANY).map(|_| scene.reports.any_start()).collect();
    let all_ready = |status: &Status| status.proxies.len() == MANY && status.proxies.values().all(|proxy| proxy.ready);
    agent.status_when(&scene, "all are ready", all_ready);
    let next = many(&scene, "later");
    agent.reload(&next);
    let mut done = BTreeSet::new();
    let mut preparing: Vec<Start> = Vec::new();
    for enough in [7, 20, MANY] {
        while done.len() < enough {
            while preparing.len() < LIMIT.min(MANY - done.len()) {
                preparing.push(scene.reports.any_start());
                // Those of an agent that was killed, of which it is not known whether they are ready, are started anew.
                preparing.retain(|start| !start.process.is_gone());
                assert!(preparing.len() <= LIMIT, "{preparing:?}");
            }
            let Some(next) = preparing.pop() else { continue };
            next.process.signal(Signal::USR1);
            let what = format!("{} is handed over, or ended", next.id);
            agent.status_when(&scene, &what, |status| status.runs(&next.id, next.pid) || next.process.is_gone());
            if !next.process.is_gone() {
                done.insert(next.id);
            }
        }
        if enough < MANY {
            agent.kill();
            agent = Agent::start(&scene, &next);
        }
    }
    first.iter().for_each(|start| start.process.wait());
    agent.quit();
    scene.reports.forget_signals();
    assert!(scene.reports.processes().iter().all(|process| process.is_gone()));
    scene.finish();
}
