// SPDX-License-Identifier: MPL-2.0
//! The watchdog of a process that outlives its agent, and one whose agent stands still.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::{Agent, Config, Deadline, Proxy, Scene, Start, readable};

/// One that feeds its watchdog until it is told to be silent.
fn feeds(scene: &Scene, texts: &[&str], watchdog_ms: u64, grace_ms: u64) -> Config {
    let role = [&["notifies", "feeds"], texts].concat();
    let proxy = Proxy::helper(&role).set("watchdog_ms", watchdog_ms).set("ready", "notify");
    // So that the reason stays in the status.
    let restart = serde_json::json!({"attempts_before_backoff": 0, "max_wait_ms": 3_600_000});
    Config::new(scene).proxy("web", proxy.set("restart", restart).grace_ms(grace_ms))
}

/// The agent of such a process, which is ready.
#[track_caller]
fn ready(scene: &Scene, config: &Config) -> (Agent, Start) {
    let agent = Agent::start(scene, config);
    let start = scene.reports.start("web");
    next(scene, &start);
    agent.status_running(scene, "web", start.pid);
    (agent, start)
}

/// Has it do the next thing.
#[track_caller]
fn next(scene: &Scene, start: &Start) {
    start.process.signal(Signal::USR1);
    assert_eq!(scene.reports.signal(start), "SIGUSR1");
}

/// Its watchdog may expire before it says so.
fn falls_silent(start: &Start) {
    start.process.signal(Signal::USR1);
}

#[track_caller]
fn expires(scene: &Scene, agent: &Agent, error: &str) {
    let status = agent.status_when(scene, "its watchdog expires", |status| status.is("web", "waiting"));
    assert_eq!((status.error("web"), status["web"].restarts), (Some(error), 0), "{status:?}");
    // How a process has ended that is no child is not told by every kernel.
    let exit = status["web"].last_exit.as_deref().unwrap_or_default();
    let is_unknown = status["web"].adopted && exit == "unknown status";
    assert!(exit.starts_with("signal SIGABRT") || is_unknown, "{status:?}");
}

#[test]
fn next_agent_ends_a_process_that_does_not_feed_its_watchdog_any_more() {
    let scene = Scene::new();
    let config = feeds(&scene, &["READY=1", "silent"], 5000, 5000);
    let (agent, start) = ready(&scene, &config);
    agent.kill();
    let agent = Agent::start(&scene, &config);
    agent.status_running(&scene, "web", start.pid);
    falls_silent(&start);
    expires(&scene, &agent, "watchdog: no message for 5000 ms");
    agent.quit();
    scene.reports.forget_signals();
    scene.finish();
}

#[test]
fn period_that_the_process_has_asked_for_is_known_to_the_next_agents() {
    let scene = Scene::new();
    let texts = ["READY=1\nWATCHDOG_USEC=5000000\nSTATUS=asked", "silent"];
    let agent = Agent::start(&scene, &feeds(&scene, &texts, 3_600_000, 5000));
    let start = scene.reports.start("web");
    next(&scene, &start);
    let wait_for_record = |grace: &str| {
        let deadline = Deadline::of("the period to be in the record");
        let is_recorded = || {
            let records = fs::read_dir(scene.data_dir().join("records")).expect("list the records");
            let texts = records.map(|entry| fs::read_to_string(entry.expect("an entry").path()).unwrap_or_default());
            texts.into_iter().any(|text| text.contains("\"watchdog_us\":5000000,") && text.contains(grace))
        };
        while !is_recorded() {
            deadline.left();
            std::thread::yield_now();
        }
    };
    wait_for_record("\"grace_period_ms\":5000,");
    agent.kill();
    // The record is written again for another grace period, and read by one more agent.
    let agent = Agent::start(&scene, &feeds(&scene, &texts, 3_600_000, 5001));
    agent.status_running(&scene, "web", start.pid);
    wait_for_record("\"grace_period_ms\":5001,");
    agent.kill();
    let agent = Agent::start(&scene, &feeds(&scene, &texts, 3_600_000, 5001));
    agent.status_running(&scene, "web", start.pid);
    falls_silent(&start);
    expires(&scene, &agent, "watchdog: no message for 5000 ms");
    agent.quit();
    scene.reports.forget_signals();
    scene.finish();
}

/// What the process has sent meanwhile is read before it is judged.
#[test]
fn agent_that_stood_still_for_longer_than_the_period_ends_no_process_that_fed_its_watchdog() {
    let scene = Scene::new();
    let (agent, start) = ready(&scene, &feeds(&scene, &["READY=1", "STATUS=heard", "silent"], 4000, 5000));
    for _ in 0..2 {
        agent.signal(Signal::STOP);
        let _ = readable(start.process.fd(), Duration::from_millis(4500));
        agent.signal(Signal::CONT);
        agent.status();
    }
    start.process.signal(Signal::USR1);
    let is_heard = |status: &crate::support::Status| status["web"].status_text.as_deref() == Some("heard");
    let status = agent.status_when(&scene, "it is heard", is_heard);
    assert!(status.runs("web", start.pid) && status["web"].restarts == 0, "{status:?}");
    assert!(!agent.log().contains("watchdog"), "{}", agent.log());
    falls_silent(&start);
    expires(&scene, &agent, "watchdog: no message for 4000 ms; its status is \"heard\"");
    agent.quit();
    scene.reports.forget_signals();
    scene.finish();
}

/// Both stood still, as in a container that is frozen: the agent has not observed a silence.
#[test]
fn process_that_stood_still_with_its_agent_is_not_ended_for_that() {
    let scene = Scene::new();
    let (agent, start) = ready(&scene, &feeds(&scene, &["READY=1", "STATUS=thawed", "silent"], 8000, 5000));
    agent.signal(Signal::STOP);
    start.process.signal(Signal::STOP);
    let _ = readable(agent.process().fd(), Duration::from_millis(8500));
    agent.signal(Signal::CONT);
    // It has judged what there is to judge when it answers.
    agent.status();
    start.process.signal(Signal::CONT);
    next(&scene, &start);
    assert!(agent.status().runs("web", start.pid));
    assert!(!agent.log().contains("watchdog"), "{}", agent.log());
    falls_silent(&start);
    expires(&scene, &agent, "watchdog: no message for 8000 ms; its status is \"thawed\"");
    agent.quit();
    scene.reports.forget_signals();
    scene.finish();
}
