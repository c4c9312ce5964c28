// SPDX-License-Identifier: MPL-2.0
//! `"on_exit": "auto"`: proxies are left at a restart of the agent, and stopped with their machine or container.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use rustix::process::{Signal, geteuid};

use crate::support::{Config, Deadline, Launch, Proxy, Scene, example_agent};

#[test]
fn proxies_are_stopped_when_systemd_stops_the_machine_and_left_otherwise() {
    let scene = Scene::new();
    let systemctl = scene.path("systemctl");
    let path = format!("{}:{}", scene.path("").display(), std::env::var("PATH").unwrap());
    let config = Config::new(&scene).set("on_exit", "auto").proxy("web", Proxy::helper(&["run"]));
    let run_while = |state: &str, then: &str| {
        let script = format!("#!/bin/sh\n[ \"$*\" = is-system-running ] && echo {state}\n{then}\n");
        fs::write(&systemctl, script).unwrap();
        fs::set_permissions(&systemctl, Permissions::from_mode(0o755)).unwrap();
        let agent = Launch::of(example_agent(), &scene).env("PATH", &path).start(&config);
        agent.wait_for_log("running ");
        agent
    };
    let agent = run_while("degraded", "");
    let web = scene.reports.start("web");
    agent.end_by(Signal::TERM);
    // What it does after its answer is not waited for.
    let agent = run_while("stopping", "exec sleep 3600 >&-");
    agent.status_running(&scene, "web", web.pid);
    agent.end_by(Signal::TERM);
    assert!(web.process.is_gone());
    scene.finish();
}

/// The agent asks systemd meanwhile.
#[test]
fn stop_that_is_asked_for_while_the_agent_is_about_to_leave_its_proxies_stops_them() {
    let scene = Scene::new();
    let (systemctl, asked, answer) = (scene.path("systemctl"), scene.path("asked"), scene.path("answer"));
    rustix::fs::mknodat(rustix::fs::CWD, &answer, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let script = format!("#!/bin/sh\necho >{}; read state <{} && echo $state\n", asked.display(), answer.display());
    fs::write(&systemctl, script).unwrap();
    fs::set_permissions(&systemctl, Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", scene.path("").display(), std::env::var("PATH").unwrap());
    let config = Config::new(&scene).set("on_exit", "auto").proxy("web", Proxy::helper(&["run"]));
    let mut agent = Launch::of(example_agent(), &scene).env("PATH", &path).start(&config);
    agent.wait_for_log("running ");
    let web = scene.reports.start("web");
    super::ask(&scene.data_dir(), &["quit", "--no-wait"]).ok();
    let deadline = Deadline::of("the question");
    while !asked.exists() {
        deadline.left();
        std::thread::yield_now();
    }
    super::ask(&scene.data_dir(), &["quit", "--stop", "--no-wait"]).ok();
    // What is written stays there until it is read, for this is a reader too.
    let mut answer = fs::OpenOptions::new().read(true).write(true).open(&answer).unwrap();
    answer.write_all(b"running\n").unwrap();
    assert!(agent.end().success());
    assert!(web.process.is_gone());
    scene.finish();
}

/// What is left in a container is killed with its PID 1.
#[test]
fn proxies_are_stopped_by_an_agent_that_is_pid_1_of_its_container() {
    if !geteuid().is_root() {
        return println!("skipped: only root can make a pid namespace");
    }
    let scene = Scene::new();
    let said = scene.path("said");
    let script = "trap 'echo stopped >\"$0\"; exit' INT; echo started >\"$0\"; while :; do /bin/sleep 0.01; done";
    let web = Proxy::command(&["/bin/sh", "-c", script, said.to_str().unwrap()]);
    let file = scene.path("agent.json");
    Config::new(&scene).set("on_exit", "auto").proxy("web", web).write(&file);
    let mut container = Command::new("unshare");
    // Without a systemctl, as in most images.
    container.args(["--pid", "--fork", "--mount-proc", "--kill-child", "env", "PATH=/nowhere"]);
    let mut container = container.arg(example_agent()).arg(&file).stderr(Stdio::null()).spawn().expect("run unshare");
    let deadline = Deadline::of("the proxy to run");
    while fs::read_to_string(&said).unwrap_or_default() != "started\n" {
        deadline.left();
        std::thread::yield_now();
    }
    super::ask(&scene.data_dir(), &["quit", "--no-wait"]).ok();
    assert!(container.wait().expect("the end of the container").success());
    assert_eq!(fs::read_to_string(&said).unwrap(), "stopped\n");
    scene.finish();
}
