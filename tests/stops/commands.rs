// SPDX-License-Identifier: MPL-2.0
//! Stops with steps that are commands: which of them are run, how long they live, and what follows when they fail.

use rustix::process::Signal;
use serde_json::{Value, json};

use proxyprocess::{StopSettings, StopStep};
use std::path::Path;
use std::time::Duration;

use crate::inside::{Host, helper, quick};
use crate::stops::common::{KERNELS, Whose};
use crate::support::{Agent, Config, Deadline, HELPER, Launch, Process, Proxy, Scene, Start, alone};

const HOUR_MS: u64 = 3_600_000;

fn shell(script: &str, for_ms: u64) -> Value {
    json!({"command": ["/bin/sh", "-c", script], "for_ms": for_ms})
}

fn signal(name: &str) -> Value {
    json!({"signal": name, "for_ms": HOUR_MS})
}

fn graceful(stop: Value) -> Proxy {
    Proxy::helper(&["graceful"]).set("stop", stop)
}

#[track_caller]
fn wait_for_output(scene: &Scene, text: &str) {
    let deadline = Deadline::of(format!("{text} in the log of the proxy"));
    while !scene.log("web", "stdout").contains(text) {
        deadline.left();
        std::thread::yield_now();
    }
}

/// The one process of this test that is neither the agent nor the leader.
#[track_caller]
fn command_beside(scene: &Scene, agent: &Agent, leader: &Start) -> Process {
    let known = [agent.pid(), leader.pid];
    let alive: Vec<Process> = scene.alive().into_iter().filter(|process| !known.contains(&process.pid())).collect();
    match &alive[..] {
        [command] => command.clone(),
        others => panic!("agent, leader and command live, and nothing else: {others:?}"),
    }
}

fn command_for_each_kernel(whose: Whose) {
    for kernel in KERNELS {
        let scene = Scene::new();
        let tells = shell("echo $MAINPID $CONNECT_PROXY_ID $OWN; kill -USR1 $MAINPID; exec sleep 1000", HOUR_MS);
        let proxy = graceful(json!([tells, signal("SIGTERM")])).env(&["OWN=own", "MAINPID=1"]);
        let config = Config::new(&scene).proxy("web", proxy);
        let start = || Launch::new(&scene).under(&[*HELPER, "sandbox", kernel]).start(&config);
        let agent = start();
        let leader = scene.reports.start("web");
        agent.status_running(&scene, "web", leader.pid);
        let agent = match whose {
            Whose::Own => agent,
            Whose::Adopted => {
                agent.kill();
                let next = start();
                assert!(next.status_running(&scene, "web", leader.pid)["web"].adopted);
                next
            }
        };
        agent.quit();
        assert_eq!(scene.reports.signal(&leader), "SIGUSR1");
        assert_eq!(scene.log("web", "stdout"), format!("{} web own\n", leader.pid));
        scene.finish();
    }
}

#[test]
fn command_is_run_for_the_leader_and_killed_when_that_has_ended_on_every_kernel() {
    command_for_each_kernel(Whose::Own);
}

#[test]
fn command_is_run_for_an_adopted_leader_and_killed_when_that_has_ended_on_every_kernel() {
    command_for_each_kernel(Whose::Adopted);
}

#[test]
fn command_that_fails_is_told_and_begins_the_next_step_at_once() {
    let scene = Scene::new();
    let missing = json!({"command": ["/is/not/there"], "for_ms": HOUR_MS});
    let failing = [shell("exit 3", HOUR_MS), missing, shell("kill -9 $$", HOUR_MS)];
    let steps: Vec<Value> = failing.into_iter().chain([signal("SIGTERM")]).collect();
    let mut agent = Agent::start(&scene, &Config::new(&scene).proxy("web", graceful(steps.into())));
    let leader = scene.reports.start("web");
    agent.status_running(&scene, "web", leader.pid);
    agent.signal(Signal::QUIT);
    assert_eq!(scene.reports.signal(&leader), "SIGTERM");
    assert!(agent.end().success());
    let log = agent.log();
    for told in ["stop[0]: /bin/sh: exit code 3", "stop[1]: /is/not/there: ", "stop[2]: /bin/sh: signal SIGKILL"] {
        assert!(log.contains(&format!("proxy web: {told}")), "{told}: {log}");
    }
    scene.finish();
}

#[test]
fn command_that_succeeds_leaves_the_rest_of_its_time_to_the_process() {
    let scene = Scene::new();
    // The process obeys what is sent after the command has ended.
    let succeeds = shell("(sleep 0.2; kill -USR1 $MAINPID) & exit 0", HOUR_MS);
    let agent = Agent::start(&scene, &Config::new(&scene).proxy("web", graceful(json!([succeeds]))));
    let leader = scene.reports.start("web");
    agent.status_running(&scene, "web", leader.pid);
    agent.quit();
    assert_eq!(scene.reports.signal(&leader), "SIGUSR1");
    scene.finish();
}

#[test]
fn command_that_outlives_its_step_is_killed_with_its_group() {
    let scene = Scene::new();
    let endless = || shell("sleep 1000 & exec sleep 1000", 100);
    let mut agent = Agent::start(
        &scene,
        &Config::new(&scene).proxy("web", graceful(json!([endless(), endless(), signal("SIGTERM")]))),
    );
    let leader = scene.reports.start("web");
    agent.status_running(&scene, "web", leader.pid);
    agent.signal(Signal::QUIT);
    assert_eq!(scene.reports.signal(&leader), "SIGTERM");
    assert!(agent.end().success());
    let log = agent.log();
    for step in 0..2 {
        assert!(log.contains(&format!("proxy web: stop[{step}]: /bin/sh: killed before it has ended")), "{log}");
    }
    scene.finish();
}

#[test]
fn process_that_outlives_a_command_alone_is_killed() {
    let scene = Scene::new();
    let proxy = Proxy::helper(&["stubborn"]).set("stop", json!([shell("exec sleep 1000", 100)]));
    let agent = Agent::start(&scene, &Config::new(&scene).proxy("web", proxy));
    let leader = scene.reports.start("web");
    agent.status_running(&scene, "web", leader.pid);
    agent.quit();
    assert!(leader.process.is_gone());
    scene.finish();
}

#[test]
fn replaced_process_is_stopped_by_its_command_before_its_successor_starts() {
    let scene = Scene::new();
    let with = |value: &str| {
        let stop = json!([shell("kill -USR1 $MAINPID; exec sleep 1000", HOUR_MS)]);
        Config::new(&scene).proxy("web", graceful(stop).env(&[value]))
    };
    let agent = Agent::start(&scene, &with("A=1"));
    let first = scene.reports.start("web");
    agent.status_running(&scene, "web", first.pid);
    agent.reload(&with("A=2"));
    let second = scene.reports.start("web");
    assert_eq!(scene.reports.signal(&first), "SIGUSR1");
    agent.status_running(&scene, "web", second.pid);
    agent.quit();
    assert_eq!(scene.reports.signal(&second), "SIGUSR1");
    scene.finish();
}

/// The command fails when it is run again.
fn endless_once(scene: &Scene) -> Value {
    let marker = scene.path("marker");
    shell(&format!("mkdir '{}' || exit 1; echo began; exec sleep 1000", marker.display()), HOUR_MS)
}

/// An agent that leaves its proxies, in the middle of the command for one that was removed.
#[test]
fn agent_that_is_closed_kills_the_command_and_leaves_the_process() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", graceful(json!([endless_once(&scene), signal("SIGTERM")])));
    let agent = Agent::start(&scene, &config);
    let leader = scene.reports.start("web");
    agent.status_running(&scene, "web", leader.pid);
    let removed = config.without("web");
    agent.reload(&removed);
    wait_for_output(&scene, "began");
    let command = command_beside(&scene, &agent, &leader);
    agent.end_by(Signal::TERM);
    assert!(command.is_gone() && !leader.process.is_gone());
    let next = Agent::start(&scene, &removed);
    assert_eq!(scene.reports.signal(&leader), "SIGTERM");
    next.quit();
    scene.finish();
}

fn agent_dies_while_the_command_runs(is_removed: bool) {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", graceful(json!([endless_once(&scene), signal("SIGTERM")])));
    let agent = Agent::start(&scene, &config);
    let leader = scene.reports.start("web");
    agent.status_running(&scene, "web", leader.pid);
    let later = if is_removed { config.without("web") } else { config };
    if is_removed {
        agent.reload(&later);
    } else {
        agent.signal(Signal::QUIT);
    }
    wait_for_output(&scene, "began");
    let command = command_beside(&scene, &agent, &leader);
    agent.kill();
    // It lost its parent, as the proxy did, and is this process's to reap.
    scene.reports.adopt(&command);
    let next = Agent::start(&scene, &later);
    if !is_removed {
        assert!(next.status_running(&scene, "web", leader.pid)["web"].adopted);
        assert!(!command.is_gone());
        next.signal(Signal::QUIT);
    }
    assert_eq!(scene.reports.signal(&leader), "SIGTERM");
    next.quit();
    assert!(leader.process.is_gone() && command.is_gone());
    scene.finish();
}

#[test]
fn next_agent_ends_a_removed_process_and_the_command_of_the_agent_that_died() {
    agent_dies_while_the_command_runs(true);
}

#[test]
fn command_of_an_agent_that_died_ends_with_the_process_that_is_still_declared() {
    agent_dies_while_the_command_runs(false);
}

#[test]
fn commands_of_stops_leave_no_descriptor() {
    let name = "stops::commands::commands_of_stops_leave_no_descriptor";
    alone(name, || {
        let scene = Scene::of_library();
        let mut host = Host::new(quick(&scene.data_dir()));
        let command = StopStep::command(["/bin/sh", "-c", "kill -USR1 $MAINPID"], Duration::MAX);
        let stop = StopSettings::default().with_steps([command]);
        host.set("web", helper(&scene, &["graceful"]).with_stop(stop));
        host.run();
        let mut start = scene.reports.start("web");
        assert_eq!(host.events.started("web"), start.pid);
        let mut restart = || {
            host.manager.restart("web").unwrap();
            assert_eq!(scene.reports.signal(&start), "SIGUSR1");
            start = scene.reports.start("web");
            assert_eq!(host.events.started("web"), start.pid);
        };
        (0..20).for_each(|_| restart());
        // Of commands there could be pidfds and logs. The test has a pidfd of each process that has reported, and the library
        // one of that which runs; other descriptors come with its threads.
        let of_commands = || {
            let open = std::fs::read_dir("/proc/self/fd").unwrap();
            let targets = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
            let is_of_commands =
                |target: &Path| target.to_string_lossy().contains("pidfd") || target.ends_with("web-stdout.log");
            targets.filter(|target| is_of_commands(target)).count()
        };
        let deadline = Deadline::of("the descriptors to be closed");
        while of_commands() > scene.reports.processes().len() + 1 {
            deadline.left();
            std::thread::yield_now();
        }
        host.kill();
        assert_eq!(scene.reports.signal(&start), "SIGUSR1");
        scene.finish();
    });
}
