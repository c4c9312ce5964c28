// SPDX-License-Identifier: MPL-2.0
//! Many proxies at once.

use std::collections::BTreeMap;
use std::fs;

use crate::support::{Agent, Config, Proxy, Scene, Status};

const MANY: usize = 200;

fn many(scene: &Scene) -> Config {
    (0..MANY).fold(Config::new(scene), |config, number| config.proxy(&format!("p{number}"), Proxy::helper(&["run"])))
}

/// Waits for the start of every one of them, each once.
fn all_started(scene: &Scene) -> BTreeMap<String, u32> {
    let starts: BTreeMap<String, u32> = (0..MANY)
        .map(|_| {
            let start = scene.reports.any_start();
            (start.id, start.pid)
        })
        .collect();
    assert_eq!(starts.len(), MANY);
    starts
}

fn threads(agent: &Agent) -> usize {
    fs::read_dir(format!("/proc/{}/task", agent.pid())).unwrap().count()
}

#[test]
fn many_proxies_start_are_taken_over_and_stop() {
    let scene = Scene::new();
    let config = many(&scene);
    let agent = Agent::start(&scene, &config);
    let starts = all_started(&scene);
    let runs = |status: &Status| starts.iter().all(|(id, pid)| status.runs(id, *pid));
    agent.status_when(&scene, "all run", runs);
    assert!(threads(&agent) < 20, "{} threads", threads(&agent));
    agent.kill();

    let agent = Agent::start(&scene, &config);
    let status = agent.status_when(&scene, "all are adopted", runs);
    assert!(status.proxies.values().all(|proxy| proxy.adopted && proxy.restarts == 0));
    assert_eq!(scene.pid_files().len(), MANY);
    agent.quit();
    assert!(scene.reports.processes().iter().all(|process| process.is_gone()));
    assert_eq!(scene.pid_files(), [""; 0]);
    scene.finish();
}

#[test]
fn an_agent_killed_while_it_starts_many_never_has_two_of_one() {
    let scene = Scene::new();
    let config = many(&scene);
    let mut starts = Vec::new();
    for enough in [1, 40, 150] {
        let agent = Agent::start(&scene, &config);
        // The later ones are under way, or not begun, when it is killed.
        while starts.len() < enough {
            starts.push(scene.reports.any_start());
        }
        agent.kill();
    }
    let agent = Agent::start(&scene, &config);
    while starts.len() < MANY {
        starts.push(scene.reports.any_start());
    }
    let runs = |status: &Status| starts.iter().all(|start| status.runs(&start.id, start.pid));
    agent.status_when(&scene, "all run, each as the one process that was ever started for it", runs);
    agent.quit();
    scene.finish();
}
