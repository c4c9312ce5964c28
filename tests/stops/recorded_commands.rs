// SPDX-License-Identifier: MPL-2.0
//! Commands of the stop of a process of which the next agent knows by its record alone: its proxy was removed, or is declared
//! otherwise by now.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::stops::common::is_root;
use crate::support::{Agent, Config, Deadline, OVERLAPS, Process, Proxy, Scene, Start};

const HOUR_MS: u64 = 3_600_000;
const NOBODY: u32 = 65534;

/// A proxy that is drained by a command, which says for whom and with what it is run; then by SIGTERM.
fn drained(version: &str) -> Proxy {
    let script = "echo $1 $MAINPID $CONNECT_PROXY_ID $CONNECT_PROXY_GENERATION $CONNECT_SIDECAR_FOR $OWN $PWD $(id -u) \
                  $LISTEN_FDS; kill -USR1 $MAINPID; exec sleep 1000";
    let drain = json!(["/bin/sh", "-c", script, "drain", format!("{version}-{{generation}}")]);
    let overlaps = format!("{OVERLAPS}=1");
    Proxy::helper(&["graceful"])
        .set("stop", json!([{"command": drain, "for_ms": HOUR_MS}, {"signal": "SIGTERM", "for_ms": HOUR_MS}]))
        .env(&[&overlaps, &format!("OWN={version}")])
        .set("dir", "/usr")
        .set("target_service", "db")
        .set("replace", "overlap")
}

/// It runs, and its agent was killed.
fn left(scene: &Scene, proxy: Proxy) -> (Config, Start) {
    let config = Config::new(scene).proxy("web", proxy);
    let agent = Agent::start(scene, &config);
    let leader = scene.reports.start("web");
    agent.status_running(scene, "web", leader.pid);
    agent.kill();
    (config, leader)
}

/// Without it the records are all that is known.
fn remove_snapshot(scene: &Scene) {
    for name in ["snapshot.json", "snapshot.json.ahead"] {
        let _ = fs::remove_file(scene.data_dir().join(name));
    }
}

#[track_caller]
fn was_drained(scene: &Scene, leader: &Start, version: &str, generation: u64) {
    assert_eq!(scene.reports.signal(leader), "SIGUSR1");
    let told = format!("{version}-{generation} {} web {generation} db {version} /usr {}", leader.pid, user());
    let deadline = Deadline::of(told.clone());
    while !scene.log("web", "stdout").lines().any(|line| line == told) {
        assert!(!deadline.is_over(), "{}", scene.log("web", "stdout"));
        std::thread::yield_now();
    }
}

fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[test]
fn next_agent_runs_the_command_of_a_removed_proxy_that_is_in_no_snapshot() {
    let scene = Scene::new();
    // The sockets are the leader's alone.
    let listen = json!([format!("unix:{}", scene.path("socket").display())]);
    let (config, leader) = left(&scene, drained("v1").set("listen", listen));
    remove_snapshot(&scene);
    let next = Agent::start(&scene, &config.without("web"));
    was_drained(&scene, &leader, "v1", 1);
    leader.process.wait();
    next.quit();
    scene.finish();
}

#[test]
fn next_agent_runs_the_command_of_a_process_that_is_declared_otherwise() {
    let scene = Scene::new();
    let (config, first) = left(&scene, drained("v1"));
    remove_snapshot(&scene);
    let next = Agent::start(&scene, &config.proxy("web", drained("v2")));
    let second = scene.reports.start("web");
    was_drained(&scene, &first, "v1", 1);
    first.process.wait();
    next.status_running(&scene, "web", second.pid);
    next.quit();
    was_drained(&scene, &second, "v2", 2);
    scene.finish();
}

/// Its drain goes on when the agent comes back: the command is run again.
#[test]
fn next_agent_runs_the_command_of_a_predecessor_again_that_was_being_drained() {
    let scene = Scene::new();
    let drain = json!(["/bin/sh", "-c", "echo began; exec sleep 1000"]);
    let endless = json!([{"command": drain, "for_ms": HOUR_MS}, {"signal": "SIGTERM", "for_ms": HOUR_MS}]);
    let config = Config::new(&scene).proxy("web", drained("v1").set("stop", endless));
    let agent = Agent::start(&scene, &config);
    let first = scene.reports.start("web");
    agent.status_running(&scene, "web", first.pid);
    let changed = config.proxy("web", drained("v2"));
    agent.reload(&changed);
    let second = scene.reports.start("web");
    let began = |times: usize| {
        let deadline = Deadline::of(format!("{times} commands of the first process"));
        while scene.log("web", "stdout").lines().filter(|line| *line == "began").count() < times {
            deadline.left();
            std::thread::yield_now();
        }
    };
    began(1);
    let known = [agent.pid(), first.pid, second.pid];
    let commands: Vec<_> = scene.alive().into_iter().filter(|process| !known.contains(&process.pid())).collect();
    agent.kill();
    // It lost its parent, as the proxies did, and is this process's to reap.
    let [command] = &commands[..] else { panic!("{commands:?}") };
    scene.reports.adopt(command);
    command.kill();
    let next = Agent::start(&scene, &changed);
    began(2);
    first.process.signal(Signal::USR1);
    assert_eq!(scene.reports.signal(&first), "SIGUSR1");
    first.process.wait();
    next.status_running(&scene, "web", second.pid);
    next.quit();
    was_drained(&scene, &second, "v2", 2);
    scene.finish();
}

#[test]
fn command_of_a_record_is_run_as_the_user_of_the_proxy() {
    if !is_root() {
        return println!("skipped: only root can start processes of another user");
    }
    let scene = Scene::new();
    let script = "echo $(id -u) $(id -g) $(id -G); kill -TERM $MAINPID; exec sleep 1000";
    let stop = json!([{"command": ["/bin/sh", "-c", script], "for_ms": HOUR_MS}]);
    let credentials = json!({"uid": NOBODY, "gid": NOBODY, "groups": [NOBODY, 7]});
    let proxy =
        Proxy::command(&["/bin/sleep", "1000"]).set("stop", stop).set("credentials", credentials).set("dir", "/");
    let config = Config::new(&scene).proxy("web", proxy);
    let mut agent = Agent::start(&scene, &config);
    let status = agent.status_when(&scene, "it runs", |status| status.is("web", "running"));
    let pid = status["web"].pid.unwrap();
    let sleep = Process::open(pid).unwrap();
    scene.reports.adopt(&sleep);
    agent.kill();
    remove_snapshot(&scene);
    agent = Agent::start(&scene, &config.without("web"));
    sleep.wait();
    agent.quit();
    assert_eq!(scene.log("web", "stdout"), format!("{NOBODY} {NOBODY} {NOBODY} 7\n"));
    scene.finish();
}

/// Nothing shows that the command is the one that was written.
#[test]
fn command_of_a_record_without_a_digest_is_not_run() {
    let scene = Scene::new();
    let (config, leader) = left(&scene, drained("v1"));
    remove_snapshot(&scene);
    let path = scene.data_dir().join("records/web.json");
    let mut record: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert!(record.as_object_mut().unwrap().remove("check").is_some() && record["commands"]["stop"].is_array());
    fs::write(&path, record.to_string()).unwrap();
    let next = Agent::start(&scene, &config.without("web"));
    assert_eq!(scene.reports.signal(&leader), "SIGTERM");
    leader.process.wait();
    next.wait_for_log("commands of the stop of web: ");
    next.wait_for_log("records/web.json: commands: expected the digest of the record (check), got nothing");
    next.quit();
    assert_eq!(scene.log("web", "stdout"), "");
    scene.finish();
}

/// With what they are run with they would make the record one that is too large to be read.
#[test]
fn commands_that_are_too_long_for_a_record_are_left_out_and_the_log_says_so() {
    let scene = Scene::new();
    let [one, two] = ["ONE", "TWO"].map(|name| format!("{name}={}", "x".repeat(70_000)));
    let config = Config::new(&scene).proxy("web", drained("v1").env(&[&one, &two]));
    let agent = Agent::start(&scene, &config);
    let leader = scene.reports.start("web");
    agent.wait_for_log("its record is without the commands of its stop: ");
    agent.kill();
    remove_snapshot(&scene);
    let next = Agent::start(&scene, &config.without("web"));
    assert_eq!(scene.reports.signal(&leader), "SIGTERM");
    leader.process.wait();
    next.quit();
    scene.finish();
}
