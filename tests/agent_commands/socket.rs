// SPDX-License-Identifier: MPL-2.0
//! The socket in the data directory.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

use rustix::process::geteuid;

use super::{Ran, ask, run, start};
use crate::support::{Config, Launch, Proxy, Scene, example_agent};

#[test]
fn socket_is_there_for_its_user_alone_and_that_of_a_killed_agent_is_replaced() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["run"]));
    let agent = start(&scene, &config);
    let web = scene.reports.start("web");
    let path = scene.data_dir().join("agent.sock");
    let first = fs::symlink_metadata(&path).unwrap();
    assert!(first.file_type().is_socket() && first.permissions().mode() & 0o777 == 0o600);
    agent.kill();
    assert_eq!(ask(&scene.data_dir(), &["status"]).code, Some(3));
    // What an agent leaves that is killed while it makes the socket.
    fs::write(scene.data_dir().join(".agent.sock.tmp"), "").unwrap();

    let agent = start(&scene, &config);
    assert_ne!(fs::symlink_metadata(&path).unwrap().ino(), first.ino());
    assert!(ask(&scene.data_dir(), &["status", "web"]).ok().contains(&format!("\t{}\t", web.pid)));
    assert!(!scene.data_dir().join(".agent.sock.tmp").exists());
    agent.quit();
    scene.finish();
}

#[test]
fn data_directory_may_have_a_longer_path_than_a_socket() {
    let scene = Scene::new();
    let data_dir = scene.path(&format!("{}/{}", "a".repeat(150), "b".repeat(150)));
    fs::create_dir(data_dir.parent().unwrap()).unwrap();
    let config = Config::new(&scene).set("data_dir", data_dir.to_str().unwrap());
    let agent = Launch::of(example_agent(), &scene).spawn(&config);
    agent.wait_for_log("running ");
    assert_eq!(ask(&data_dir, &["status"]).ok().lines().count(), 1);
    agent.quit();
    scene.finish();
}

/// One that could enter the directory and open the socket by its capabilities.
#[test]
fn another_user_than_the_agents_and_root_is_refused() {
    if !geteuid().is_root() {
        return println!("skipped: only root can become another user");
    }
    let scene = Scene::new();
    let agent = start(&scene, &Config::new(&scene));
    let words = "--reuid=65534 --regid=65534 --clear-groups --inh-caps=+dac_override --ambient-caps=+dac_override";
    let program = example_agent().to_str().unwrap();
    let data_dir = scene.data_dir();
    let mut other = std::process::Command::new("setpriv");
    other.args(words.split(' ')).args([program, "version", "--data-dir", data_dir.to_str().unwrap()]);
    let said = Ran::of(other.output().expect("run setpriv(1)")).failed(1);
    assert!(said.contains("expected the agent's user or root"), "{said}");
    ask(&data_dir, &["version"]).ok();
    agent.quit();
    scene.finish();
}

#[test]
fn agent_without_a_data_directory_cannot_be_asked_and_says_so() {
    let scene = Scene::new();
    let file = scene.path("agent.json");
    fs::write(&file, "{\"proxies\": {}}").unwrap();
    let said = run(&["status", "--config", file.to_str().unwrap()]).failed(1);
    assert!(said.contains("data_dir: expected a path, got nothing"), "{said}");
    scene.finish();
}
