// SPDX-License-Identifier: MPL-2.0
//! No descriptors left.

use std::collections::BTreeMap;

use rustix::process::Signal;

use crate::scarcity::crowd::{Crowd, config, has_begun, ids};
use crate::support::{Launch, Scene, Status};

const EMFILE: &str = "Too many open files";

#[test]
fn descriptors_run_out_while_proxies_are_started_again() {
    let scene = Scene::new();
    let mut crowd = Crowd::start(&scene, 20);
    for _ in 0..2 {
        crowd.limit("nofile", "3");
        crowd.kill_all();
        crowd.all_wait_for(EMFILE);
        crowd.endure();
        crowd.limit("nofile", "1024");
        crowd.recovers();
    }
    crowd.quit();
    scene.finish();
}

/// A stop needs none, and neither does a close; the next agent has all that the last one had.
#[test]
fn descriptors_run_out_before_the_end_of_an_agent() {
    let scene = Scene::new();
    let crowd = Crowd::start(&scene, 8);
    crowd.limit("nofile", "3");
    let running = crowd.ends_by(Signal::TERM, EMFILE);
    let crowd = Crowd::adopting(&scene, &config(&scene, 8), running);
    crowd.limit("nofile", "3");
    crowd.agent.signal(Signal::QUIT);
    if cfg!(proxyprocess_no_pidfd) {
        // Whom a number means, and what is left of a group, can only be seen in /proc.
        crowd.limit("nofile", "1024");
    }
    crowd.running.values().for_each(|start| start.process.wait());
    // What the last snapshot declares does not run.
    let running = crowd.ends_by(Signal::QUIT, EMFILE);
    assert!(running.values().all(|start| start.process.is_reaped()));
    Crowd::adopting(&scene, &config(&scene, 0), BTreeMap::new()).quit();
    scene.finish();
}

/// An agent may find so few that it cannot even begin, or any number more: up to where it can do all.
#[test]
fn an_agent_that_finds_few_descriptors_takes_over_what_it_can_and_harms_nothing() {
    let scene = Scene::new();
    let (config, count) = (config(&scene, 5), 5);
    let Crowd { agent, running, .. } = Crowd::start(&scene, count);
    agent.end_by(Signal::TERM);
    let mut came_up = 0;
    for most in 4..=26 {
        let limit = format!("--nofile={most}:{most}");
        let mut agent = Launch::new(&scene).under(&["prlimit", &limit]).spawn(&config);
        let told = |status: &Status| {
            ids(count).iter().all(|id| status.runs(id, running[id].pid) || status.error(id).is_some())
        };
        if has_begun(&agent, told) {
            came_up += 1;
            agent.signal(if most % 2 == 0 { Signal::TERM } else { Signal::KILL });
            agent.end();
        } else {
            assert_eq!(agent.end().code(), Some(1), "{}", agent.log());
            assert!(agent.log().contains(EMFILE), "{}", agent.log());
        }
        assert!(running.values().all(|start| !start.process.is_gone()), "processes are lost with {most} descriptors");
    }
    assert!((3..23).contains(&came_up), "{came_up} agents came up: the numbers are not those where it matters");
    Crowd::adopting(&scene, &config, running).quit();
    scene.finish();
}
