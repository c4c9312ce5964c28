// SPDX-License-Identifier: MPL-2.0
//! An agent that stood still for longer than a grace period, as in a freezer or under a debugger.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;

use crate::stops::common::wait_for_state_of;
use crate::support::{Config, Launch, Proxy, Scene};

/// Long enough for a loaded machine to stop the agent before it is over.
const GRACE: Duration = Duration::from_secs(2);

#[test]
fn who_ended_while_the_agent_stood_still_is_seen_before_anybody_is_killed() {
    let scene = Scene::new();
    let with_it = Config::new(&scene).proxy("a", Proxy::helper(&["stubborn"]).grace_ms(GRACE.as_millis() as u64));
    let agent = Launch::new(&scene).env("RUST_LOG", "debug").start(&with_it);
    let process = scene.reports.start("a");
    agent.reload(&with_it.without("a"));
    scene.reports.signal(&process);

    agent.signal(Signal::STOP);
    wait_for_state_of(agent.pid(), "T");
    process.process.kill();
    process.process.wait();
    std::thread::sleep(GRACE);
    agent.signal(Signal::CONT);
    agent.wait_for_log("proxy a: stopped");
    let log = agent.log();
    let (seen, _) = log.split_once("ended: signal SIGKILL").expect("its end is told");
    assert!(!seen.contains("sending SIGKILL"), "{log}");
    agent.quit();
    assert!(fs::read_dir(scene.data_dir().join("pids")).unwrap().next().is_none());
    scene.finish();
}
