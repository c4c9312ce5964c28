// SPDX-License-Identifier: MPL-2.0
//! The agent is killed while it waits for readiness: the next one waits on, for the same process.

use rustix::process::Signal;
use serde_json::json;

use super::address;
use crate::support::{Agent, Config, Proxy, Scene};

#[test]
fn next_agent_waits_on_for_the_process_that_the_last_one_started() {
    let scene = Scene::new();
    let (at, path) = (address().to_string(), scene.path("socket").to_str().unwrap().to_owned());
    let tcp = Proxy::helper(&["ready", "tcp", &at]).set("ready", json!({"tcp": at}));
    let unix = Proxy::helper(&["ready", "unix", &path]).set("ready", json!({"unix": path}));
    let config = Config::new(&scene).proxy("tcp", tcp).proxy("unix", unix);
    let agent = Agent::start(&scene, &config);
    let starts = ["tcp", "unix"].map(|id| scene.reports.start(id));
    agent.kill();

    let agent = Agent::start(&scene, &config);
    for start in &starts {
        let status = agent.status_when(&scene, "it is adopted", |status| {
            status.is(&start.id, "starting") && status[&start.id].pid == Some(start.pid)
        });
        assert!(status[&start.id].adopted && !status[&start.id].ready);
        start.process.signal(Signal::USR1);
        scene.reports.signal(start);
        let status = agent.status_running(&scene, &start.id, start.pid);
        assert!(status[&start.id].ready);
    }
    agent.kill();

    // What is ready is found to be so.
    let agent = Agent::start(&scene, &config);
    for start in &starts {
        let status = agent.status_running(&scene, &start.id, start.pid);
        assert!(status[&start.id].adopted && status[&start.id].ready, "{status:?}");
    }
    agent.quit();
    scene.finish();
}

#[test]
fn process_that_reports_is_taken_as_ready_by_the_next_agent_and_may_still_report() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["ready", "fd", "3"]).set("ready", json!({"fd": 3})));
    let agent = Agent::start(&scene, &config);
    let start = scene.reports.start("web");
    agent.status_when(&scene, "it is started", |status| status.is("web", "starting"));
    agent.kill();
    // No process reads the pipe now: the newline is written nevertheless, and is no SIGPIPE.
    start.process.signal(Signal::USR1);
    assert_eq!(scene.reports.signal(&start), "SIGUSR1");

    let agent = Agent::start(&scene, &config);
    let status = agent.status_running(&scene, "web", start.pid);
    assert!(status["web"].ready && status["web"].adopted);
    agent.wait_for_log("proxy web: taken as ready: only the agent that started it could read descriptor 3");
    agent.quit();
    scene.finish();
}
