// SPDX-License-Identifier: MPL-2.0
//! An agent without a working standard output goes on with its work.

use std::fs;

use rustix::process::Signal;

use crate::support::{Agent, Config, Launch, Proxy, Scene, Stdout};

/// Asks for the status when its output cannot be read, and has the agent do something after that.
fn works_on(scene: &Scene, agent: &Agent, config: &Config) {
    let web = scene.reports.start("web");
    agent.signal(Signal::USR1);
    agent.reload(&config.clone().proxy("next", Proxy::helper(&["run"])));
    scene.reports.start("next");
    agent.signal(Signal::USR1);
    web.process.kill();
    scene.reports.start("web");
    assert!(!agent.process().is_gone());
}

#[test]
fn a_reader_that_has_gone_does_not_end_the_agent() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["run"]));
    let agent = Launch::new(&scene).stdout(Stdout::Broken).start(&config);
    works_on(&scene, &agent, &config);
    agent.quit();
    scene.finish();
}

#[test]
fn a_closed_stdout_is_not_taken_for_the_next_file_that_is_opened() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["log", "a line"]));
    let agent = Launch::new(&scene).stdout(Stdout::Closed).start(&config);
    works_on(&scene, &agent, &config);
    assert_eq!(scene.log("web", "stdout"), "a line\na line\n");
    for name in ["lock", "snapshot.json"] {
        let text = fs::read_to_string(scene.data_dir().join(name)).unwrap();
        assert!(!text.contains("last_exit"), "{name}: {text}");
    }
    agent.quit();
    scene.finish();
}

#[test]
fn the_status_is_one_line_however_often_it_is_asked_for() {
    let scene = Scene::new();
    let agent = Agent::start(&scene, &Config::new(&scene).proxy("web", Proxy::helper(&["run"])));
    let web = scene.reports.start("web");
    agent.status_running(&scene, "web", web.pid);
    for _ in 0..200 {
        assert!(agent.status().runs("web", web.pid));
    }
    agent.quit();
    scene.finish();
}
