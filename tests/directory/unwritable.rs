// SPDX-License-Identifier: MPL-2.0
//! A data directory that cannot be written to, or not be reached by its name any more.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::process::{Signal, geteuid};
use serde_json::json;

use crate::directory::mounts::{Mount, with_mounts};
use crate::directory::tell::wait_for_files;
use crate::support::{Agent, Config, Proxy, Scene};

fn eager() -> Proxy {
    Proxy::helper(&["run"]).set("restart", json!({"max_wait_ms": 50}))
}

fn declared(scene: &Scene) -> Config {
    ["web", "other", "unwanted"].iter().fold(Config::new(scene), |config, id| config.proxy(id, eager()))
}

#[test]
fn what_cannot_be_recorded_is_not_started_before_it_can() {
    with_mounts("directory::unwritable::what_cannot_be_recorded_is_not_started_before_it_can", || {
        let scene = Scene::new();
        // Not the whole: where a file is open for writing, as the logs are, nothing is made read-only.
        let parts = ["records", "pids"].map(|part| scene.data_dir().join(part));
        let mounts = parts.each_ref().map(|part| Mount::bind(part, part));
        for dir in [scene.data_dir()].iter().chain(&parts) {
            fs::set_permissions(dir, PermissionsExt::from_mode(0o700)).unwrap();
        }
        let agent = Agent::start(&scene, &declared(&scene));
        let set_writable = |writable| mounts.iter().for_each(|mount| mount.set_writable(writable));
        let [web, other, unwanted] = ["web", "other", "unwanted"].map(|id| scene.reports.start(id));
        wait_for_files(&scene.data_dir(), &[&web, &other, &unwanted]);
        set_writable(false);
        web.process.kill();
        let record = parts[0].join("web.json");
        let status = agent.status_when(&scene, "it says why web does not run", |status| {
            let is_told =
                |error: &str| error.contains(record.to_str().unwrap()) && error.contains("Read-only file system");
            status.is("web", "waiting") && status.error("web").is_some_and(is_told)
        });
        assert!(status.runs("other", other.pid), "{status:?}");
        // A stop still stops.
        agent.reload(&declared(&scene).without("unwanted"));
        unwanted.process.wait();
        assert!(!other.process.is_gone());
        set_writable(true);
        let web = scene.reports.start("web");
        wait_for_files(&scene.data_dir(), &[&web, &other]);
        scene.wait_for_pid_files(&["other.pid", "web.pid"]);
        // An end stops everything even so; only what is left on disk is an error.
        set_writable(false);
        let mut agent = agent;
        agent.signal(Signal::QUIT);
        assert_eq!(agent.end().code(), Some(1), "{}", agent.log());
        assert!(agent.log().contains("remove pid file"), "{}", agent.log());
        drop(mounts);
        scene.finish();
    });
}

/// As root nothing is forbidden by its mode.
#[test]
fn modes_that_forbid_writing_are_lived_through() {
    if geteuid().is_root() {
        return;
    }
    let scene = Scene::new();
    let agent = Agent::start(&scene, &declared(&scene));
    let dirs = ["", "records", "pids", "logs"].map(|name| scene.data_dir().join(name));
    let set_mode =
        |mode| dirs.iter().for_each(|dir| fs::set_permissions(dir, PermissionsExt::from_mode(mode)).unwrap());
    let [web, other, unwanted] = ["web", "other", "unwanted"].map(|id| scene.reports.start(id));
    wait_for_files(&scene.data_dir(), &[&web, &other, &unwanted]);
    set_mode(0o500);
    // Record and pid file are written over. A pid of another length takes a new file: until then there is none, and that
    // is told.
    web.process.kill();
    let web = scene.reports.start("web");
    let is_told = |error: &str| error.contains("pids/web.pid") && error.contains("Permission denied");
    agent.status_when(&scene, "web runs, and has its pid file or misses it", |status| {
        let in_file = fs::read_to_string(scene.data_dir().join("pids/web.pid")).unwrap();
        let is_right = if in_file.is_empty() { status.error("web").is_some_and(is_told) } else { true };
        let is_named = in_file.is_empty() || in_file == format!("{}\n", web.pid);
        status.runs("web", web.pid) && is_named && is_right
    });
    // What is new cannot be recorded and is not started, and a stop still stops.
    let late = declared(&scene).without("unwanted").proxy("late", eager());
    agent.reload(&late);
    unwanted.process.wait();
    let is_told = |error: &str| error.contains("Permission denied");
    agent.status_when(&scene, "it says why late does not run", |status| status.error("late").is_some_and(is_told));
    assert!(agent.status().runs("other", other.pid));
    set_mode(0o700);
    let late = scene.reports.start("late");
    wait_for_files(&scene.data_dir(), &[&web, &other, &late]);
    scene.wait_for_pid_files(&["late.pid", "other.pid", "web.pid"]);
    agent.quit();
    scene.finish();
}

#[test]
fn a_parent_that_cannot_be_searched_any_more_is_no_obstacle() {
    if geteuid().is_root() {
        return;
    }
    let scene = Scene::new();
    let parent = scene.path("parent");
    let data_dir = parent.join("data");
    fs::create_dir_all(&data_dir).unwrap();
    let agent = crate::directory::moved::start_in(&scene, &data_dir, Config::new(&scene).proxy("web", eager()));
    let web = scene.reports.start("web");
    let set_mode = |path: &Path, mode| fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    set_mode(&parent, 0);
    web.process.kill();
    let web = scene.reports.start("web");
    let status = agent.status();
    assert_eq!(status.error("web"), None);
    set_mode(&parent, 0o700);
    wait_for_files(&data_dir, &[&web]);
    agent.quit();
    scene.finish();
}

/// Nothing has to be written to take over what runs, and taking it over is more urgent than the disk.
#[test]
fn an_agent_that_begins_on_a_read_only_directory_takes_over_what_runs() {
    with_mounts("directory::unwritable::an_agent_that_begins_on_a_read_only_directory_takes_over_what_runs", || {
        let scene = Scene::new();
        let config = Config::new(&scene).proxy("web", eager());
        let agent = Agent::start(&scene, &config);
        let web = scene.reports.start("web");
        wait_for_files(&scene.data_dir(), &[&web]);
        agent.kill();

        let readonly = Mount::bind(&scene.data_dir(), &scene.path("readonly"));
        readonly.set_writable(false);
        let path = scene.path("readonly");
        let agent = crate::support::Launch::new(&scene).spawn(&config.clone().set("data_dir", path.to_str().unwrap()));
        agent.wait_for_log("running");
        let status = agent.status_running(&scene, "web", web.pid);
        assert!(status["web"].adopted);
        agent.kill();
        drop(readonly);
        let agent = Agent::start(&scene, &config);
        agent.status_running(&scene, "web", web.pid);
        agent.quit();
        scene.finish();
    });
}
