// SPDX-License-Identifier: MPL-2.0
//! The agent is killed, and the next one hears the same processes.

use std::os::unix::net::UnixDatagram;

use rustix::process::Signal;

use super::notifications::socket_of;
use crate::support::{Agent, Config, Proxy, Scene, Start, Status};

const TEXTS: [&str; 4] = ["READY=1\nSTATUS=one", "STATUS=two", "RELOADING=1\nSTATUS=three", "READY=1\nSTATUS=four"];

fn config(scene: &Scene, grace_ms: u64) -> Config {
    let role = [&["notifies", "self"], &TEXTS[..]].concat();
    Config::new(scene).proxy("web", Proxy::helper(&role).set("ready", "notify").grace_ms(grace_ms))
}

/// Has it send the next one, and waits until the agent has heard it.
#[track_caller]
fn hears(scene: &Scene, agent: &Agent, start: &Start, text: &str) -> Status {
    start.process.signal(Signal::USR1);
    assert_eq!(scene.reports.signal(start), "SIGUSR1");
    agent.status_when(scene, "it is heard", |status| status["web"].status_text.as_deref() == Some(text))
}

#[test]
fn next_agent_takes_it_as_ready_and_hears_it_also_after_its_record_was_written_again() {
    let scene = Scene::new();
    let agent = Agent::start(&scene, &config(&scene, 5000));
    let start = scene.reports.start("web");
    assert!(hears(&scene, &agent, &start, "one")["web"].ready);
    agent.kill();

    let agent = Agent::start(&scene, &config(&scene, 5001));
    let status = agent.status_running(&scene, "web", start.pid);
    assert!(status["web"].ready && status["web"].adopted && status["web"].status_text.is_none(), "{status:?}");
    agent.wait_for_log("proxy web: taken as ready: only the agent that started it could hear its READY=1");
    assert!(hears(&scene, &agent, &start, "two")["web"].ready);
    agent.kill();

    let agent = Agent::start(&scene, &config(&scene, 5001));
    agent.status_running(&scene, "web", start.pid);
    assert!(!hears(&scene, &agent, &start, "three")["web"].ready);
    assert!(hears(&scene, &agent, &start, "four")["web"].ready);
    agent.quit();
    scene.finish();
}

#[test]
fn socket_that_another_process_has_by_then_is_named_and_the_proxy_taken_as_ready() {
    let scene = Scene::new();
    let agent = Agent::start(&scene, &config(&scene, 5000));
    let start = scene.reports.start("web");
    agent.status_when(&scene, "it is started", |status| status.is("web", "starting"));
    let address = socket_of(&start);
    agent.kill();
    let another = UnixDatagram::bind_addr(&address).unwrap();

    let agent = Agent::start(&scene, &config(&scene, 5000));
    let status = agent.status_running(&scene, "web", start.pid);
    assert!(status["web"].ready && status["web"].adopted);
    let error = status.error("web").expect("an error");
    assert!(error.starts_with("open @proxyprocess/") && error.contains("Address already in use"), "{error}");
    agent.kill();
    drop(another);

    // The name is in the record still.
    let agent = Agent::start(&scene, &config(&scene, 5000));
    agent.status_running(&scene, "web", start.pid);
    assert!(hears(&scene, &agent, &start, "one")["web"].ready);
    agent.quit();
    scene.finish();
}
