// SPDX-License-Identifier: MPL-2.0
//! Stops of several steps: which process gets which signal, how often, and when the stop is over.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::stops::common::{KERNELS, Whose};
use crate::support::{Agent, Config, HELPER, Launch, Proxy, Scene, Start};

const STEP: Duration = Duration::from_millis(500);
const HOUR_MS: u64 = 3_600_000;

/// Signal 40 is told as often as it was sent. A process that did not run meanwhile tells of SIGTERM first.
fn steps(first_for_ms: u64, second_for_ms: u64) -> Value {
    json!([{"signal": "SIGTERM", "for_ms": first_for_ms}, {"signal": 40, "for_ms": second_for_ms}])
}

fn of_leader(mut steps: Value, which: &[usize]) -> Value {
    for step in which {
        steps[*step]["leader_only"] = true.into();
    }
    steps
}

fn short() -> Value {
    let ms = STEP.as_millis().try_into().unwrap();
    steps(ms, ms)
}

/// The signals that each of them is told, in this order, and no other.
#[track_caller]
fn are_told(scene: &Scene, starts: &[&Start], signals: &[&str]) {
    for start in starts {
        assert!(start.process.is_gone());
        for signal in signals {
            assert_eq!(scene.reports.signal(start), *signal, "{} {}", start.id, start.pid);
        }
    }
    let unread = scene.reports.unread();
    assert!(unread.is_empty(), "{unread:?}");
}

/// Leader and member of `both` stay; of `leaves`, the leader ends at the first signal.
fn signals_of_each_step(whose: Whose, kernel: &str) {
    let scene = Scene::new();
    let both = Proxy::helper(&["starts-and-becomes", *HELPER, "stubborn"]).set("stop", short());
    let leaves = Proxy::helper(&["leader-exits"]).set("stop", short());
    let config = Config::new(&scene).proxy("both", both).proxy("leaves", leaves);
    let start = || Launch::new(&scene).under(&[*HELPER, "sandbox", kernel]).start(&config);
    let mut agent = start();
    let leaders = ["both", "leaves"].map(|id| scene.reports.start(id));
    let members = ["both", "leaves"].map(|id| scene.reports.grandchild(id));
    leaders.iter().for_each(|leader| drop(agent.status_running(&scene, &leader.id, leader.pid)));
    if whose == Whose::Adopted {
        agent.kill();
        agent = start();
        leaders.iter().for_each(|leader| drop(agent.status_running(&scene, &leader.id, leader.pid)));
    }
    let begun = Instant::now();
    agent.quit();
    assert!(begun.elapsed() >= 2 * STEP, "each step has its time");
    are_told(&scene, &[&leaders[0], &members[0], &members[1]], &["SIGTERM", "40"]);
    scene.finish();
}

#[test]
fn each_step_signals_the_group_once_on_every_kernel() {
    KERNELS.iter().for_each(|kernel| signals_of_each_step(Whose::Own, kernel));
}

#[test]
fn each_step_signals_an_adopted_group_once_on_every_kernel() {
    KERNELS.iter().for_each(|kernel| signals_of_each_step(Whose::Adopted, kernel));
}

fn step_for_the_leader(whose: Whose) {
    let scene = Scene::new();
    let proxy = Proxy::helper(&["starts-and-becomes", *HELPER, "stubborn"]).set("stop", of_leader(short(), &[0]));
    let config = Config::new(&scene).proxy("web", proxy);
    let agent = Agent::start(&scene, &config);
    let (leader, member) = (scene.reports.start("web"), scene.reports.grandchild("web"));
    agent.status_running(&scene, "web", leader.pid);
    let agent = whose.agent(&scene, &config, agent, std::slice::from_ref(&leader));
    agent.quit();
    assert_eq!(scene.reports.signal(&leader), "SIGTERM");
    are_told(&scene, &[&leader, &member], &["40"]);
    scene.finish();
}

#[test]
fn step_for_the_leader_only_signals_no_other_member() {
    step_for_the_leader(Whose::Own);
}

#[test]
fn step_for_the_leader_only_signals_no_other_member_of_an_adopted_group() {
    step_for_the_leader(Whose::Adopted);
}

#[test]
fn step_for_a_leader_that_is_gone_signals_what_it_left() {
    let scene = Scene::new();
    let proxy = Proxy::helper(&["leader-exits"]).set("stop", of_leader(short(), &[0, 1]));
    let agent = Agent::start(&scene, &Config::new(&scene).proxy("web", proxy));
    let (leader, member) = (scene.reports.start("web"), scene.reports.grandchild("web"));
    agent.status_running(&scene, "web", leader.pid);
    let begun = Instant::now();
    agent.quit();
    assert!(leader.process.is_gone() && begun.elapsed() >= 2 * STEP, "the member had the time of both steps");
    are_told(&scene, &[&member], &["40"]);
    scene.finish();
}

#[test]
fn stop_is_over_in_the_step_in_which_the_group_has_ended() {
    let scene = Scene::new();
    // No handler is told of SIGWINCH, which does nothing by default.
    let ignored = json!([{"signal": "SIGWINCH", "for_ms": 50}, {"signal": "SIGTERM", "for_ms": HOUR_MS}]);
    let config = Config::new(&scene)
        .proxy("first", Proxy::helper(&["graceful"]).set("stop", json!([{"signal": "SIGUSR1", "for_ms": HOUR_MS}])))
        .proxy("second", Proxy::helper(&["graceful"]).set("stop", ignored));
    let agent = Agent::start(&scene, &config);
    let starts = ["first", "second"].map(|id| scene.reports.start(id));
    starts.iter().for_each(|start| drop(agent.status_running(&scene, &start.id, start.pid)));
    agent.quit();
    assert_eq!(scene.reports.signal(&starts[0]), "SIGUSR1");
    assert_eq!(scene.reports.signal(&starts[1]), "SIGTERM");
    scene.finish();
}

#[test]
fn what_left_the_group_gets_the_signals_from_the_step_on_in_which_it_is_found() {
    let scene = Scene::new();
    let proxy = Proxy::helper(&["escaped", "stubborn"]).set("stop", of_leader(short(), &[0]));
    let agent = Agent::start(&scene, &Config::new(&scene).proxy("web", proxy));
    let (leader, escaped) = (scene.reports.start("web"), scene.reports.grandchild("web"));
    agent.status_running(&scene, "web", leader.pid);
    agent.quit();
    assert!(leader.process.is_gone());
    are_told(&scene, &[&escaped], &["SIGTERM", "40"]);
    scene.finish();
}

/// The agent dies in the first step of the stop of a proxy that was removed. What is known of it then is in its record.
#[test]
fn next_agent_begins_the_stop_of_a_removed_proxy_with_the_first_step() {
    let scene = Scene::new();
    let with = |stop: Value| Config::new(&scene).proxy("web", Proxy::helper(&["stubborn"]).set("stop", stop));
    let without = with(steps(HOUR_MS, HOUR_MS)).without("web");
    let agent = Agent::start(&scene, &with(steps(HOUR_MS, HOUR_MS)));
    let start = scene.reports.start("web");
    agent.status_running(&scene, "web", start.pid);
    agent.reload(&without);
    assert_eq!(scene.reports.signal(&start), "SIGTERM");
    agent.kill();
    let next = Agent::start(&scene, &without);
    assert_eq!(scene.reports.signal(&start), "SIGTERM");
    start.process.kill();
    next.quit();
    assert!(start.process.is_gone());
    scene.finish();
}

#[test]
fn proxy_that_is_still_declared_when_the_agent_dies_in_a_step_lives_on() {
    let scene = Scene::new();
    let with = |stop: Value| Config::new(&scene).proxy("web", Proxy::helper(&["stubborn"]).set("stop", stop));
    let agent = Agent::start(&scene, &with(steps(HOUR_MS, HOUR_MS)));
    let start = scene.reports.start("web");
    agent.status_running(&scene, "web", start.pid);
    agent.signal(rustix::process::Signal::QUIT);
    assert_eq!(scene.reports.signal(&start), "SIGTERM");
    agent.kill();
    let next = Agent::start(&scene, &with(steps(HOUR_MS, HOUR_MS)));
    assert!(next.status_running(&scene, "web", start.pid)["web"].adopted);
    // Other steps need no new process.
    let changed = json!([{"signal": "40", "for_ms": 500}]);
    next.reload(&with(changed.clone()));
    let record = scene.data_dir().join("records/web.json");
    crate::inside::wait_until(&scene.data_dir().join("records"), "the record", || {
        crate::inside::json(&record)["stop"] == changed
    });
    next.status_running(&scene, "web", start.pid);
    next.quit();
    are_told(&scene, &[&start], &["40"]);
    scene.finish();
}
