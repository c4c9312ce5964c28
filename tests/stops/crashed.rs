// SPDX-License-Identifier: MPL-2.0
//! What a leader that ended by itself has left: it is in the way of the successor, and was not told to end.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::stops::common::Whose;
use crate::support::{Agent, Config, Proxy, Scene, Start};

/// No test waits for so long.
const FOREVER_MS: u64 = 600_000;
const LEFTOVER_GRACE: Duration = Duration::from_millis(500);

/// One that has, beside its leader, a process that handles the stop signal and stays.
fn stubborn(role: &str) -> Proxy {
    Proxy::helper(&[role, "stubborn"]).grace_ms(FOREVER_MS)
}

fn with_leftover_grace(proxy: Proxy) -> Proxy {
    proxy.set("leftover_grace_ms", u64::try_from(LEFTOVER_GRACE.as_millis()).unwrap())
}

/// One that waits before its first restart, for then what left the group is looked for.
fn waiting(proxy: Proxy) -> Proxy {
    proxy.set("restart", serde_json::json!({"attempts_before_backoff": 0, "max_wait_ms": 10}))
}

/// Kills all: a stop would take as long as the grace period.
fn end(scene: Scene, agent: Agent, processes: &[Start; 2]) {
    agent.kill();
    processes.iter().for_each(|start| start.process.kill());
    scene.finish();
}

/// The leader has ended, and the member handles no signal before it is killed.
#[track_caller]
fn killed_at_once(scene: &Scene, [leader, member]: &[Start; 2]) -> [Start; 2] {
    let next = scene.reports.start("web");
    assert!(leader.process.is_gone() && member.process.is_gone(), "the successor runs beside it");
    // A signal that it had handled would be among these, and this returns nothing of it.
    let unread = scene.reports.unread();
    assert!(unread.iter().all(|report| !report.contains("Signal")), "{unread:?}");
    [next, scene.reports.grandchild("web")]
}

fn processes(scene: &Scene) -> [Start; 2] {
    [scene.reports.start("web"), scene.reports.grandchild("web")]
}

fn leftovers_are_killed_at_once(whose: Whose) {
    for (role, wait) in [("grandchild", false), ("grandchild", true), ("escaped", true)] {
        let scene = Scene::new();
        let proxy = if wait { waiting(stubborn(role)) } else { stubborn(role) };
        let config = Config::new(&scene).proxy("web", proxy);
        let agent = Agent::start(&scene, &config);
        let first = processes(&scene);
        let agent = whose.agent(&scene, &config, agent, &first[..1]);
        first[0].process.kill();
        let second = killed_at_once(&scene, &first);
        // And again, of one that this agent has started.
        second[0].process.kill();
        let third = killed_at_once(&scene, &second);
        end(scene, agent, &third);
    }
}

#[test]
fn leftovers_of_a_crash_are_killed_at_once() {
    leftovers_are_killed_at_once(Whose::Own);
}

#[test]
fn leftovers_of_an_adopted_process_that_crashes_are_killed_at_once() {
    leftovers_are_killed_at_once(Whose::Adopted);
}

#[test]
fn leftovers_of_a_leader_that_exits_with_0_are_killed_at_once() {
    let scene = Scene::new();
    let proxy = Proxy::helper(&["leader-exits"]).grace_ms(FOREVER_MS);
    let agent = Agent::start(&scene, &Config::new(&scene).proxy("web", proxy));
    let first = processes(&scene);
    first[0].process.signal(Signal::INT);
    let second = killed_at_once(&scene, &first);
    assert_eq!(agent.status()["web"].last_exit.as_deref(), Some("exit code 0"));
    end(scene, agent, &second);
}

#[test]
fn leftovers_found_by_the_next_agent_are_killed_at_once() {
    for role in ["grandchild", "escaped"] {
        let scene = Scene::new();
        let config = Config::new(&scene).proxy("web", stubborn(role));
        let agent = Agent::start(&scene, &config);
        let first = processes(&scene);
        agent.kill();
        first[0].process.kill();
        let agent = Agent::start(&scene, &config);
        let second = killed_at_once(&scene, &first);
        end(scene, agent, &second);
    }
}

/// What has time gets the stop signal first, and SIGKILL when the time is over.
#[track_caller]
fn had_time(scene: &Scene, crashed_at: Instant, member: &Start) -> [Start; 2] {
    assert_eq!(scene.reports.signal(member), "SIGINT");
    let next = scene.reports.start("web");
    let took = crashed_at.elapsed();
    assert!(member.process.is_gone(), "the successor runs beside it");
    assert!(took >= LEFTOVER_GRACE && took < LEFTOVER_GRACE * 10, "{took:?}");
    [next, scene.reports.grandchild("web")]
}

fn leftovers_have_their_time(whose: Whose) {
    for (role, wait) in [("grandchild", false), ("escaped", true)] {
        let scene = Scene::new();
        let proxy = with_leftover_grace(if wait { waiting(stubborn(role)) } else { stubborn(role) });
        let config = Config::new(&scene).proxy("web", proxy);
        let agent = Agent::start(&scene, &config);
        let first = processes(&scene);
        let agent = whose.agent(&scene, &config, agent, &first[..1]);
        let crashed_at = Instant::now();
        first[0].process.kill();
        let second = had_time(&scene, crashed_at, &first[1]);
        end(scene, agent, &second);
    }
}

#[test]
fn leftovers_with_a_leftover_grace_get_the_stop_signal_first() {
    leftovers_have_their_time(Whose::Own);
}

#[test]
fn leftovers_of_an_adopted_process_with_a_leftover_grace_get_the_stop_signal_first() {
    leftovers_have_their_time(Whose::Adopted);
}

#[test]
fn leftovers_found_by_the_next_agent_with_a_leftover_grace_get_the_stop_signal_first() {
    for role in ["grandchild", "escaped"] {
        let scene = Scene::new();
        let config = Config::new(&scene).proxy("web", with_leftover_grace(stubborn(role)));
        let agent = Agent::start(&scene, &config);
        let first = processes(&scene);
        agent.kill();
        first[0].process.kill();
        let restarted_at = Instant::now();
        let agent = Agent::start(&scene, &config);
        let second = had_time(&scene, restarted_at, &first[1]);
        end(scene, agent, &second);
    }
}
