// SPDX-License-Identifier: MPL-2.0
//! Zombies that their parents have not reaped, as those of a busy or careless init. A program that finds its predecessor's
//! pid in a pid file of its own does not start while that is taken, so its start waits for the reaping, for a while.

use std::time::{Duration, Instant};

use crate::support::{Agent, Config, Proxy, Scene, Start};

/// How long a start waits.
const REAP_WAIT: Duration = Duration::from_secs(2);

/// Proxies that an agent has adopted.
fn adopted(scene: &Scene, role: &[&str], ids: &[&str]) -> (Agent, Config, Vec<Start>) {
    let proxy = || Proxy::helper(role).grace_ms(100);
    let config = ids.iter().fold(Config::new(scene), |config, id| config.proxy(id, proxy()));
    let agent = Agent::start(scene, &config);
    let starts: Vec<Start> = ids.iter().map(|id| scene.reports.start(id)).collect();
    starts.iter().for_each(|start| drop(agent.status_running(scene, &start.id, start.pid)));
    agent.kill();
    let agent = Agent::start(scene, &config);
    starts.iter().for_each(|start| drop(agent.status_running(scene, &start.id, start.pid)));
    (agent, config, starts)
}

#[track_caller]
fn waits(scene: &Scene, agent: &Agent) {
    agent.status_when(scene, "it waits, and names no process", |status| {
        status.is("web", "clearing") && status["web"].pid.is_none() && scene.pid_files().is_empty()
    });
}

#[track_caller]
fn starts_when_reaped(scene: Scene, agent: Agent, zombie: &Start) {
    waits(&scene, &agent);
    assert!(!zombie.process.is_reaped());
    scene.reports.hold_zombies(false);
    let next = scene.reports.start("web");
    assert!(zombie.process.is_reaped(), "the successor was started beside its zombie");
    let status = agent.status_running(&scene, "web", next.pid);
    assert_eq!(status["web"].last_error, None);
    agent.quit();
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn adopted_leader_exit_waits_for_reap() {
    let scene = Scene::new();
    let (agent, _, starts) = adopted(&scene, &["run"], &["web"]);
    scene.reports.hold_zombies(true);
    starts[0].process.kill();
    starts_when_reaped(scene, agent, &starts[0]);
}

#[test]
fn leader_that_died_without_an_agent_is_replaced_when_it_is_reaped() {
    let scene = Scene::new();
    let (agent, config, starts) = adopted(&scene, &["run"], &["web"]);
    scene.reports.hold_zombies(true);
    agent.kill();
    starts[0].process.kill();
    let agent = Agent::start(&scene, &config);
    starts_when_reaped(scene, agent, &starts[0]);
}

#[test]
fn zombie_that_is_never_reaped_is_waited_for_once_and_named_with_its_parent() {
    let scene = Scene::new();
    let (agent, _, starts) = adopted(&scene, &["run"], &["one", "other"]);
    scene.reports.hold_zombies(true);
    let said = |zombie: &Start| {
        let next = scene.reports.start(&zombie.id);
        let status = agent.status_running(&scene, &zombie.id, next.pid);
        let error = status[&*zombie.id].last_error.clone().unwrap_or_default();
        let parent = std::process::id();
        let start = format!("pid {} has ended and is a zombie: its parent, pid {parent} (", zombie.pid);
        assert!(error.starts_with(&start) && error.contains("has not reaped it"), "{error}");
        agent.wait_for_log(&error);
    };
    let begun = Instant::now();
    starts[0].process.kill();
    said(&starts[0]);
    assert!(begun.elapsed() >= REAP_WAIT, "{:?}", begun.elapsed());
    // Its parent does not reap: nothing is gained by another wait.
    let begun = Instant::now();
    starts[1].process.kill();
    said(&starts[1]);
    assert!(begun.elapsed() < REAP_WAIT, "{:?}", begun.elapsed());
    scene.reports.hold_zombies(false);
    agent.quit();
    scene.finish();
}

#[test]
fn stop_does_not_wait_for_reap() {
    let scene = Scene::new();
    let (agent, _, starts) = adopted(&scene, &["run"], &["web"]);
    scene.reports.hold_zombies(true);
    starts[0].process.kill();
    waits(&scene, &agent);
    let begun = Instant::now();
    agent.quit();
    assert!(begun.elapsed() < REAP_WAIT / 2, "{:?}", begun.elapsed());
    assert!(!starts[0].process.is_reaped());
    scene.reports.hold_zombies(false);
    scene.finish();
}
