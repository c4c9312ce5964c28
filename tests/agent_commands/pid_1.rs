// SPDX-License-Identifier: MPL-2.0
//! The agent as PID 1 of a container: it is an init too.

use std::fs;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, geteuid, getpgid};

use super::ask;
use crate::support::{Config, Deadline, Process, Proxy, Scene, children_of, example_agent};

const ORPHANS: usize = 50;

/// A proxy that leaves orphans, and says by which signal it ends.
const SCRIPT: &str = "trap 'echo SIGINT >>\"$0\"; exit' INT
    # Of a signal without a name.
    (/bin/sh -c 'kill -34 $$' &)
    i=0; while [ $i -lt 50 ]; do (/bin/sh -c 'exec /bin/echo orphan >>\"$0\"' \"$0\" &); i=$((i + 1)); done
    while :; do /bin/sleep 0.01; done";

/// The first process of a pid namespace, and its only child, the agent.
struct Container {
    unshare: Child,
    outer: Process,
    init: Process,
    agent: Process,
}

impl Container {
    fn start(scene: &Scene, on_exit: &str) -> Container {
        let said = scene.path("said");
        let web = Proxy::command(&["/bin/sh", "-c", SCRIPT, said.to_str().expect("a path in UTF-8")]);
        let file = scene.path("agent.json");
        Config::new(scene).set("on_exit", on_exit).proxy("web", web).write(&file);
        let mut unshare = Command::new("unshare");
        unshare.args(["--pid", "--fork", "--mount-proc", "--kill-child"]).arg(example_agent()).arg("run").arg(&file);
        let unshare =
            unshare.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("run unshare");
        let outer = Process::open(unshare.id()).expect("a child that is not reaped");
        let deadline = Deadline::of("the orphans");
        while lines(scene).len() < ORPHANS {
            deadline.left();
            std::thread::yield_now();
        }
        let only_child = |of: &Process| children_of(of).pop().expect("a child");
        let init = only_child(&outer);
        // The first one that PID 1 has started: orphans come and go.
        let agent = children_of(&init).into_iter().min_by_key(Process::pid).expect("the agent");
        Container { unshare, outer, init, agent }
    }

    #[track_caller]
    fn exit_code(mut self) -> Option<i32> {
        self.outer.wait();
        self.unshare.wait().expect("the end of the container").code()
    }
}

/// That of a failed test: its init ends with it, and all that are in the namespace.
impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}

/// What the proxy and its orphans have written.
fn lines(scene: &Scene) -> Vec<String> {
    fs::read_to_string(scene.path("said")).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// How many children of a process are zombies.
fn zombies_of(parent: &Process) -> usize {
    let entries = fs::read_dir("/proc").expect("list /proc").flatten();
    let stats = entries.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    let is_zombie = |stat: &String| {
        let fields: Vec<&str> = stat.rsplit_once(") ").map_or(vec![], |(_, rest)| rest.split(' ').collect());
        fields.first() == Some(&"Z") && fields.get(1) == Some(&parent.pid().to_string().as_str())
    };
    stats.filter(is_zombie).count()
}

#[test]
fn agent_that_is_pid_1_reaps_orphans_of_its_proxies_and_hands_signals_on() {
    if !geteuid().is_root() {
        return println!("skipped: only root can make a pid namespace");
    }
    let scene = Scene::new();
    let container = Container::start(&scene, "stop");
    let deadline = Deadline::of("the end of all zombies");
    while zombies_of(&container.init) > 0 {
        deadline.left();
        std::thread::yield_now();
    }
    assert!(ask(&scene.data_dir(), &["status", "web"]).ok().contains("\trunning\t"));
    // A signal of a terminal goes to the group of PID 1.
    let group_of = |process: &Process| {
        let pid = Pid::from_raw(process.pid().try_into().expect("a pid")).expect("a pid");
        getpgid(Some(pid)).expect("the group of a living process")
    };
    assert_ne!(group_of(&container.agent), group_of(&container.init));
    // As a runtime of containers does.
    container.init.signal(Signal::TERM);
    assert_eq!(container.exit_code(), Some(0));
    assert_eq!(lines(&scene).last().map(String::as_str), Some("SIGINT"));
    scene.finish();
}

#[test]
fn container_ends_with_its_agent_and_says_how() {
    if !geteuid().is_root() {
        return println!("skipped: only root can make a pid namespace");
    }
    let scene = Scene::new();
    let container = Container::start(&scene, "auto");
    container.agent.kill();
    assert_eq!(container.exit_code(), Some(128 + 9));
    assert_eq!(lines(&scene).len(), ORPHANS, "the proxy was killed with its container");
    scene.finish();
}

#[test]
fn agent_that_is_pid_1_and_cannot_start_fails() {
    if !geteuid().is_root() {
        return println!("skipped: only root can make a pid namespace");
    }
    let mut container = Command::new("unshare");
    container.args(["--pid", "--fork", "--mount-proc", "--kill-child"]).arg(example_agent());
    let output = container.args(["run", "/no/such/file"]).output().expect("run unshare");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("agent: ") && said.lines().count() == 1, "{said}");
}
