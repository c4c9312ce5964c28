// SPDX-License-Identifier: MPL-2.0
//! The agent, or the leader, ends while another process is about to lead.

use std::fs;
use std::path::PathBuf;

use super::leader_changes::{config, handed_over, leads, next, ready};
use crate::support::{Agent, Launch, Scene, Start, agent_with_fail_points};

/// An agent that is killed at a point while the successor of its proxy is about to lead.
#[track_caller]
fn cut(scene: &Scene, point: &str) -> [Start; 2] {
    let launch = Launch::of(agent_with_fail_points(), scene);
    let fail = format!("{point}#1=die");
    let mut agent = launch.env("PROXYPROCESS_FAIL", &fail).start(&config(scene, &["successor", "exit 0"]));
    let old = ready(scene, &agent);
    next(scene, &old);
    let new = scene.reports.grandchild("web");
    agent.end();
    [old, new]
}

#[test]
fn next_agent_has_the_old_leader_if_the_record_was_not_written_and_else_the_new_one() {
    for (point, has_new) in [("leader:proven", false), ("leader:recorded", true)] {
        for old_ends in [false, true] {
            let scene = Scene::new();
            let [old, new] = cut(&scene, point);
            if old_ends {
                next(&scene, &old);
                old.process.wait();
            }
            let agent = Agent::start(&scene, &config(&scene, &["successor", "exit 0"]));
            match (has_new, old_ends) {
                (true, _) => {
                    leads(&scene, &agent, &new);
                    if !old_ends {
                        next(&scene, &old);
                        old.process.wait();
                        leads(&scene, &agent, &new);
                    }
                }
                (false, false) => leads(&scene, &agent, &old),
                (false, true) => {
                    // The record names a process that has ended, and what is left of its group makes way for the next one.
                    let third = scene.reports.start("web");
                    assert!(new.process.is_gone());
                    next(&scene, &third);
                    agent.status_running(&scene, "web", third.pid);
                }
            }
            agent.quit();
            scene.finish();
        }
    }
}

/// At any moment of it.
#[test]
fn next_agent_has_one_of_both_leaders_whenever_the_last_one_was_killed() {
    for round in 0..20 {
        let scene = Scene::new();
        let list = config(&scene, &["successor", "exit 0"]);
        let agent = Agent::start(&scene, &list);
        let old = ready(&scene, &agent);
        next(&scene, &old);
        (0..round * 20_000).for_each(|_| std::hint::spin_loop());
        agent.kill();
        let new = scene.reports.grandchild("web");
        let agent = Agent::start(&scene, &list);
        let status = agent.status_when(&scene, "it is adopted", |status| status.is("web", "running"));
        let pid = status["web"].pid;
        assert!([old.pid, new.pid].map(Some).contains(&pid) && status["web"].adopted, "{status:?}");
        assert!(!old.process.is_gone() && !new.process.is_gone());
        next(&scene, &old);
        old.process.wait();
        if pid == Some(new.pid) {
            leads(&scene, &agent, &new);
        } else {
            ready(&scene, &agent);
            assert!(new.process.is_gone());
        }
        agent.quit();
        scene.finish();
    }
}

#[test]
fn next_agents_have_the_new_leader() {
    let scene = Scene::new();
    let agent = Agent::start(&scene, &config(&scene, &["successor", "exit 0"]));
    let [old, new] = handed_over(&scene, &agent);
    agent.kill();
    for _ in 0..2 {
        let agent = Agent::start(&scene, &config(&scene, &["successor", "exit 0"]));
        leads(&scene, &agent, &new);
        agent.kill();
    }
    next(&scene, &old);
    old.process.wait();
    let agent = Agent::start(&scene, &config(&scene, &["successor", "exit 0"]));
    leads(&scene, &agent, &new);
    agent.quit();
    assert!(new.process.is_gone());
    scene.finish();
}

/// The old leader has ended, while the spawner that proves the new one is held at this point until the file is there.
#[track_caller]
fn ended_while_held(scene: &Scene, point: &str) -> (Agent, PathBuf, [Start; 2]) {
    let release = scene.path("release");
    let agent = Launch::of(agent_with_fail_points(), scene)
        .env("PROXYPROCESS_FAIL", &format!("{point}#1=hold"))
        .env("PROXYPROCESS_FAIL_RELEASE", release.to_str().expect("a path in UTF-8"))
        .start(&config(scene, &["successor", "exit 1"]));
    let old = ready(scene, &agent);
    next(scene, &old);
    let new = scene.reports.grandchild("web");
    next(scene, &old);
    old.process.wait();
    (agent, release, [old, new])
}

#[test]
fn old_leader_that_ends_while_the_new_one_is_proven_is_no_end_of_the_proxy() {
    let scene = Scene::new();
    let (agent, release, [old, new]) = ended_while_held(&scene, "leader:proven");
    // The agent has seen the end by then.
    agent.status();
    agent.status_running(&scene, "web", old.pid);
    fs::write(release, "").expect("release the spawner");
    leads(&scene, &agent, &new);
    agent.quit();
    assert!(new.process.is_gone());
    scene.finish();
}

/// It is refused, and the end that was held is told.
#[test]
fn old_leader_that_ends_while_the_named_one_ends_as_well_is_the_end_of_the_proxy() {
    let scene = Scene::new();
    let (agent, release, [_, new]) = ended_while_held(&scene, "leader:opened");
    new.process.kill();
    agent.status();
    fs::write(release, "").expect("release the spawner");
    let third = scene.reports.start("web");
    next(&scene, &third);
    let status = agent.status_running(&scene, "web", third.pid);
    assert_eq!((status["web"].restarts, status["web"].last_exit.as_deref()), (1, Some("exit code 1")));
    agent.quit();
    scene.finish();
}
