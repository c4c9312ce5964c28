// SPDX-License-Identifier: MPL-2.0
//! The data directory was emptied between two agents (`rm -rf data_dir/*`, or a RuntimeDirectory that is kept itself): it
//! is the same directory, and the processes say that they are of it.

use std::fs;
use std::path::Path;

use rustix::process::Signal;

use crate::support::{Agent, Config, Proxy, Scene, Start};

fn empty(dir: &Path) {
    for entry in fs::read_dir(dir).expect("list the directory").flatten() {
        let path = entry.path();
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }
}

fn with_token(token: &str) -> Proxy {
    Proxy::helper(&["graceful"]).set("token", token).grace_ms(5000)
}

#[track_caller]
fn starts(scene: &Scene, agent: &Agent, ids: &[&str]) -> Vec<Start> {
    let starts: Vec<Start> = ids.iter().map(|id| scene.reports.start(id)).collect();
    starts.iter().for_each(|start| drop(agent.status_running(scene, &start.id, start.pid)));
    starts
}

#[test]
fn processes_of_an_emptied_directory_are_found_by_their_origin() {
    let scene = Scene::new();
    let common = Config::new(&scene).proxy("web", with_token("declared"));
    let common = common.proxy("generated", Proxy::helper(&["graceful"])).proxy("a/b", Proxy::helper(&["graceful"]));
    let first = common.clone().proxy("undeclared", with_token("declared"));
    let first = first.proxy("changed", Proxy::helper(&["graceful"]).env(&["A=1"])).proxy("token", with_token("old"));
    let agent = Agent::start(&scene, &first);
    let kept = starts(&scene, &agent, &["web", "generated", "a/b"]);
    let gone = starts(&scene, &agent, &["undeclared", "changed", "token"]);
    agent.end_by(Signal::TERM);
    empty(&scene.data_dir());
    let next = common.clone().proxy("changed", Proxy::helper(&["graceful"]).env(&["A=2"]));
    let next = next.proxy("token", with_token("new"));
    let agent = Agent::start(&scene, &next);
    for start in &kept {
        let status = agent.status_running(&scene, &start.id, start.pid);
        assert!(status[&start.id].adopted, "{status:?}");
    }
    for start in &gone {
        assert_eq!(scene.reports.signal(start), "SIGINT");
    }
    starts(&scene, &agent, &["changed", "token"]);
    agent.status_when(&scene, "the undeclared one is gone", |status| status.proxies.len() == 5);
    assert!(gone.iter().all(|start| start.process.is_gone()));
    // From now on they are known by their records.
    agent.kill();
    let agent = Agent::start(&scene, &next);
    kept.iter().for_each(|start| drop(agent.status_running(&scene, &start.id, start.pid)));
    agent.quit();
    scene.reports.forget_signals();
    scene.finish();
}

/// The next agent wants none of them, and is ended before it has looked at anything but its directory.
#[test]
fn processes_of_an_emptied_directory_that_are_not_declared_are_stopped() {
    let scene = Scene::new();
    let agent = Agent::start(&scene, &Config::new(&scene).proxy("web", with_token("declared")));
    let web = starts(&scene, &agent, &["web"]);
    agent.kill();
    empty(&scene.data_dir());
    let agent = Agent::start(&scene, &Config::new(&scene));
    web[0].process.wait();
    agent.status_when(&scene, "it is gone", |status| status.proxies.is_empty());
    agent.quit();
    assert_eq!(scene.reports.signal(&web[0]), "SIGINT");
    scene.finish();
}

/// Another inode or time of birth: nothing proves that it is the place of the old one.
#[test]
fn processes_of_a_directory_that_was_made_anew_are_left_alone() {
    let scene = Scene::new();
    let agent = Agent::start(&scene, &Config::new(&scene).proxy("web", with_token("declared")));
    let web = starts(&scene, &agent, &["web"]);
    agent.kill();
    fs::remove_dir_all(scene.data_dir()).unwrap();
    Agent::start(&scene, &Config::new(&scene)).quit();
    assert!(!web[0].process.is_gone());
    assert_eq!(scene.reports.unread(), [""; 0]);
    web[0].process.kill();
    scene.finish();
}
