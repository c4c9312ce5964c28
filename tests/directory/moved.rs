// SPDX-License-Identifier: MPL-2.0
//! A data directory that is moved.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::directory::tell::wait_for_files;
use crate::support::{Agent, Changes, Config, Deadline, Launch, Proxy, Scene};

/// Starts an agent whose data directory is another than the scene's.
#[track_caller]
pub(crate) fn start_in(scene: &Scene, data_dir: &Path, config: Config) -> Agent {
    let changes = Changes::of(data_dir);
    let agent = Launch::new(scene).spawn(&config.set("data_dir", data_dir.to_str().expect("a path in UTF-8")));
    let deadline = Deadline::of("the agent to come up");
    while !agent.is_ready(data_dir) {
        assert!(!agent.process().is_gone(), "the agent has ended:\n{}", agent.log());
        changes.wait(deadline.left().min(std::time::Duration::from_millis(5)));
    }
    agent
}

#[test]
fn a_directory_that_is_moved_is_used_where_it_is_and_found_where_it_is_named() {
    let scene = Scene::new();
    let (data_dir, elsewhere) = (scene.data_dir(), scene.path("deep/else where"));
    fs::create_dir(scene.path("deep")).unwrap();
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["run"])).proxy("other", Proxy::helper(&["run"]));
    let agent = Agent::start(&scene, &config);
    let (web, other) = (scene.reports.start("web"), scene.reports.start("other"));
    wait_for_files(&data_dir, &[&web, &other]);

    fs::rename(&data_dir, &elsewhere).unwrap();
    web.process.kill();
    let web = scene.reports.start("web");
    wait_for_files(&elsewhere, &[&web, &other]);
    agent.reload(&config.clone().proxy("new", Proxy::helper(&["run"])));
    let new = scene.reports.start("new");
    wait_for_files(&elsewhere, &[&web, &other, &new]);
    assert!(!data_dir.exists());
    agent.kill();

    let config = config.proxy("new", Proxy::helper(&["run"]));
    let agent = start_in(&scene, &elsewhere, config.clone());
    for start in [&web, &other, &new] {
        agent.status_running(&scene, &start.id, start.pid);
    }
    agent.end_by(rustix::process::Signal::TERM);
    fs::rename(&elsewhere, &data_dir).unwrap();
    let agent = Agent::start(&scene, &config);
    for start in [&web, &other, &new] {
        agent.status_running(&scene, &start.id, start.pid);
    }
    agent.quit();
    scene.finish();
}

/// A link is moved, so to speak, when it is made to lead elsewhere: what counts is where it led.
#[test]
fn a_link_to_the_directory_may_be_changed_while_it_is_used() {
    let scene = Scene::new();
    let link = scene.path("link");
    fs::create_dir_all(scene.path("one")).unwrap();
    fs::create_dir_all(scene.path("two")).unwrap();
    std::os::unix::fs::symlink("one", &link).unwrap();
    let web = Proxy::helper(&["run"]).set("restart", json!({"max_wait_ms": 50}));
    let agent = start_in(&scene, &link, Config::new(&scene).proxy("web", web));
    let web = scene.reports.start("web");
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("two", &link).unwrap();
    web.process.kill();
    let web = scene.reports.start("web");
    wait_for_files(&scene.path("one"), &[&web]);
    agent.quit();
    assert_eq!(fs::read_dir(scene.path("two")).unwrap().count(), 0);
    scene.finish();
}
