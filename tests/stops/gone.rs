// SPDX-License-Identifier: MPL-2.0
//! A leader that is gone, while what it has left is being ended: neither its pid file nor the status names it. Its number
//! may be another process's by then. Its record stays, by which the next agent knows what it left.

use std::fs;
use std::time::Duration;

use proxyprocess::{Daemon, ProxyState};
use rustix::process::{Signal, getpid, set_child_subreaper};

use crate::inside::helper;
use crate::stops::common::Whose;
use crate::support::{Agent, Config, Proxy, Scene, Start, alone};

/// No test waits for so long.
const FOREVER: Duration = Duration::from_secs(600);

fn patient(role: &[&str]) -> Proxy {
    let forever = u64::try_from(FOREVER.as_millis()).unwrap();
    Proxy::helper(role).grace_ms(forever).set("leftover_grace_ms", forever)
}

fn start(scene: &Scene, config: &Config) -> (Agent, Start, Start) {
    let agent = Agent::start(scene, config);
    (agent, scene.reports.start("web"), scene.reports.grandchild("web"))
}

/// Waits until the status names no process, and there is no pid file.
#[track_caller]
fn is_named_no_more(scene: &Scene, agent: &Agent, state: &str) {
    let what = format!("{state}, and neither status nor pid file names a process");
    agent.status_when(scene, &what, |status| {
        status.is("web", state) && status["web"].pid.is_none() && scene.pid_files().is_empty()
    });
    assert!(scene.data_dir().join("records/web.json").exists(), "what it left cannot be known any more");
}

fn crash(whose: Whose) {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", patient(&["grandchild", "stubborn"]));
    let (agent, leader, member) = start(&scene, &config);
    let agent = whose.agent(&scene, &config, agent, std::slice::from_ref(&leader));
    leader.process.kill();
    assert_eq!(scene.reports.signal(&member), "SIGINT");
    is_named_no_more(&scene, &agent, "clearing");
    next_agent_knows_it(scene, agent, &member);
}

/// An agent that is killed while it ends a group leaves that to the next one, which knows it by the record.
#[track_caller]
fn next_agent_knows_it(scene: Scene, agent: Agent, member: &Start) {
    agent.kill();
    assert!(!member.process.is_gone());
    let agent = Agent::start(&scene, &Config::new(&scene).proxy("web", Proxy::helper(&["run"]).grace_ms(10)));
    let next = scene.reports.start("web");
    assert!(member.process.is_gone(), "the successor runs beside it");
    agent.status_running(&scene, "web", next.pid);
    scene.wait_for_pid_files(&["web.pid"]);
    agent.quit();
    scene.reports.forget_signals();
    scene.finish();
}

#[test]
fn a_crashed_leader_is_not_named_while_its_group_is_ended() {
    crash(Whose::Own);
}

#[test]
fn an_adopted_leader_that_crashed_is_not_named_while_its_group_is_ended() {
    crash(Whose::Adopted);
}

#[test]
fn a_leader_that_obeyed_a_stop_is_not_named_while_its_group_is_ended() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", patient(&["leader-exits"]));
    let (agent, leader, member) = start(&scene, &config);
    agent.reload(&config.without("web"));
    leader.process.wait();
    is_named_no_more(&scene, &agent, "stopping");
    assert_eq!(scene.reports.signal(&member), "SIGINT");
    next_agent_knows_it(scene, agent, &member);
}

#[test]
fn a_leader_that_died_without_an_agent_is_not_named_while_what_it_left_is_ended() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", patient(&["escaped", "stubborn"]));
    let (agent, leader, escaped) = start(&scene, &config);
    agent.status_running(&scene, "web", leader.pid);
    agent.kill();
    leader.process.kill();
    let agent = Agent::start(&scene, &config);
    assert_eq!(scene.reports.signal(&escaped), "SIGINT");
    is_named_no_more(&scene, &agent, "clearing");
    agent.kill();
    escaped.process.kill();
    scene.reports.forget_signals();
    scene.finish();
}

#[test]
fn a_pid_file_that_cannot_be_removed_is_told_and_removed_later() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", patient(&["grandchild", "stubborn"]));
    let (agent, leader, member) = start(&scene, &config);
    agent.status_running(&scene, "web", leader.pid);
    // A directory cannot be removed like a file.
    let path = scene.data_dir().join("pids/web.pid");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    leader.process.kill();
    agent.status_when(&scene, "the failure is told", |status| {
        status.error("web").is_some_and(|error| error.contains("remove pid file") && error.contains("pids/web.pid"))
    });
    fs::remove_dir(&path).unwrap();
    fs::write(&path, format!("{}\n", leader.pid)).unwrap();
    is_named_no_more(&scene, &agent, "clearing");
    agent.kill();
    member.process.kill();
    scene.reports.forget_signals();
    scene.finish();
}

#[test]
fn a_pid_path_of_a_daemon_is_removed_with_its_leader() {
    alone("stops::gone::a_pid_path_of_a_daemon_is_removed_with_its_leader", || {
        set_child_subreaper(Some(getpid())).unwrap();
        let scene = Scene::of_library();
        let path = scene.path("pid");
        let mut config = helper(&scene, &["grandchild", "stubborn"]);
        (config.stop.grace_period, config.stop.leftover_grace) = (Duration::from_millis(50), FOREVER);
        let daemon = Daemon::new("web", config).with_pid_path(&path);
        daemon.start().unwrap();
        let (leader, member) = (scene.reports.start("web"), scene.reports.grandchild("web"));
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", leader.pid));
        leader.process.signal(Signal::KILL);
        assert_eq!(scene.reports.signal(&member), "SIGINT");
        crate::inside::wait_until(&scene.path(""), "the pid file is removed", || !path.exists());
        let status = daemon.status();
        assert_eq!((status.state, status.pid), (ProxyState::Clearing, None));
        // A stop has its own grace period, which is shorter.
        daemon.stop().unwrap();
        assert!(member.process.is_gone() && member.process.reap());
        scene.reports.forget_signals();
        scene.finish();
    });
}
