// SPDX-License-Identifier: MPL-2.0
//! The socket in the data directory.

use std::fs::{self, DirEntry};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;

use rustix::process::{Pid, Resource, Rlimit, geteuid, getrlimit, prlimit};

use super::{Ran, ask, run, start};
use crate::support::{Config, Deadline, Launch, Proxy, Scene, example_agent};

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
fn socket_and_directory_that_were_removed_are_made_anew() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["run"]));
    let agent = start(&scene, &config);
    scene.reports.start("web");
    // A command waits for the socket of an agent that runs.
    fs::remove_file(scene.data_dir().join("agent.sock")).unwrap();
    ask(&scene.data_dir(), &["version"]).ok();
    fs::remove_dir_all(scene.data_dir()).unwrap();
    // The directory is made anew when something is to be written there.
    agent.reload(&config.proxy("next", Proxy::helper(&["run"])));
    scene.reports.start("next");
    // As long as there is no lock, no agent can be seen.
    let deadline = Deadline::of("the agent to answer again");
    loop {
        let asked = ask(&scene.data_dir(), &["version"]);
        if asked.code == Some(0) {
            break;
        }
        assert_eq!(asked.code, Some(3), "{asked:?}");
        deadline.left();
    }
    agent.quit();
    assert_eq!(ask(&scene.data_dir(), &["version"]).code, Some(3));
    scene.finish();
}

/// Each connection that cannot be accepted for want of descriptors is one pause of the thread that accepts them.
#[test]
fn agent_without_descriptors_says_so_once_and_answers_when_it_has_some() {
    let scene = Scene::new();
    let agent = start(&scene, &Config::new(&scene).proxy("web", Proxy::helper(&["run"])));
    // What the agent has to open for its proxies is open then.
    let web = scene.reports.start("web");
    agent.status_running(&scene, "web", web.pid);
    let pid = Pid::from_raw(agent.pid().cast_signed());
    let limit = |current| Rlimit { current: Some(current), ..getrlimit(Resource::Nofile) };
    prlimit(pid, Resource::Nofile, limit(1)).unwrap();
    let asking = UnixStream::connect(scene.data_dir().join("agent.sock")).unwrap();
    agent.wait_for_log("accept a command: ");
    let tasks = || fs::read_dir(format!("/proc/{}/task", agent.pid())).unwrap().flatten();
    let is_control = |task: &DirEntry| fs::read_to_string(task.path().join("comm")).is_ok_and(|it| it == "control\n");
    let control = tasks().find(is_control).unwrap().path().join("status");
    let pauses = || {
        let status = fs::read_to_string(&control).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.unwrap().trim().parse::<u64>().unwrap()
    };
    let (before, deadline) = (pauses(), Deadline::of("some more connections not to be accepted"));
    while pauses() < before + 4 {
        deadline.left();
        std::thread::yield_now();
    }
    prlimit(pid, Resource::Nofile, limit(1024)).unwrap();
    ask(&scene.data_dir(), &["version"]).ok();
    drop(asking);
    assert_eq!(agent.log().matches("accept a command: ").count(), 1);
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
