// SPDX-License-Identifier: MPL-2.0
//! What the next agent finds in the cgroups of its proxies.

use std::path::Path;

use proxyprocess::{Command, ManagerOptions, Output, ProxyConfig, Ready, Replace, WaitFor};
use rustix::process::Signal;

use super::{base, contained, contained_at, home_of};
use crate::directory::mounts::{Mount, with_mounts};
use crate::inside::{Host, Part, Place, Stage, helper, inherited, park, stage, wait_until};
use crate::support::{
    Agent, Config, Launch, OVERLAPS, Proxy, Scene, Start, WATCHDOG, agent_under_test, agent_with_fail_points,
    cgroup_of, until,
};

fn agent(place: &Place) {
    let mut host = Host::new(contained_at(&place.data_dir()).unwrap());
    host.set("web", inherited(&["grandchild", "cleared"]));
    host.run();
    host.events.started("web");
    park();
}

/// What an agent has left that was killed: a process, and one that this has started for another session and without an environment.
struct Left {
    stage: Stage,
    /// Of the next agent.
    options: ManagerOptions,
    leader: Start,
    left: Start,
}

/// `None` in the agent, whose part this then was, and where no cgroups can be made.
fn left_by_an_agent(name: &'static str) -> Option<Left> {
    let stage = stage(name, &[("agent", agent)])?;
    let Some(options) = contained(&stage.scene) else {
        stage.scene.finish();
        return None;
    };
    let first = stage.begin("agent", &[]);
    let (leader, left) = (stage.scene.reports.start("web"), stage.scene.reports.grandchild("web"));
    first.kill();
    Some(Left { stage, options, leader, left })
}

#[test]
fn next_agent_ends_with_an_adopted_process_what_cleared_its_environment() {
    let name = "cgroups::adoption::next_agent_ends_with_an_adopted_process_what_cleared_its_environment";
    let Some(Left { stage, options, leader, left }) = left_by_an_agent(name) else { return };
    let home = home_of(&leader.process);
    let mut next = Host::new(options);
    next.restore().unwrap();
    next.set("web", helper(&stage.scene, &["grandchild", "cleared"]));
    next.run();
    assert_eq!(next.events.adopted("web"), leader.pid);
    leader.process.signal(Signal::KILL);
    let again = stage.scene.reports.start("web");
    assert!(left.process.is_gone(), "the successor runs beside it");
    assert_eq!(home_of(&again.process), home);
    next.kill();
    assert!(!home.exists());
    stage.scene.reports.forget_unread();
    stage.scene.finish();
}

/// Neither its environment nor its session says whose it is, and what it was started by has ended while there was no agent.
#[test]
fn what_an_ended_leader_has_left_in_its_cgroup_is_ended_before_the_next_start() {
    let name = "cgroups::adoption::what_an_ended_leader_has_left_in_its_cgroup_is_ended_before_the_next_start";
    let Some(Left { stage, options, leader, left }) = left_by_an_agent(name) else { return };
    leader.process.kill();
    let cgroup = cgroup_of(left.pid);
    let mut next = Host::new(options);
    next.restore().unwrap();
    next.set("web", helper(&stage.scene, &["grandchild", "cleared"]));
    next.run();
    let again = stage.scene.reports.start("web");
    assert!(left.process.is_gone(), "the successor runs beside it");
    assert_eq!(cgroup_of(again.pid), cgroup);
    next.kill();
    stage.scene.reports.forget_unread();
    stage.scene.finish();
}

#[test]
fn what_an_ended_leader_has_left_in_its_cgroup_is_ended_with_a_proxy_that_is_not_declared_any_more() {
    let name = "cgroups::adoption::what_an_ended_leader_has_left_in_its_cgroup_is_ended_with_a_proxy_that_is_not_declared_any_more";
    let Some(Left { stage, options, leader, left }) = left_by_an_agent(name) else { return };
    let home = home_of(&left.process);
    leader.process.kill();
    let mut next = Host::new(options);
    next.restore().unwrap();
    next.run();
    next.events.stopped("web");
    assert!(left.process.is_gone());
    next.kill();
    assert!(!home.exists());
    stage.scene.finish();
}

/// Its record was lost, and no scan can know it: only its cgroup says that it is of the proxy.
#[test]
fn process_without_record_and_environment_is_ended_before_another_one_is_started() {
    let name = "cgroups::adoption::process_without_record_and_environment_is_ended_before_another_one_is_started";
    let Some(Left { stage, options, leader, left }) = left_by_an_agent(name) else { return };
    leader.process.kill();
    let data_dir = stage.scene.data_dir();
    for lost in ["snapshot.json", "snapshot.json.ahead"] {
        let _ = std::fs::remove_file(data_dir.join(lost));
    }
    for lost in ["records", "pids"] {
        std::fs::remove_dir_all(data_dir.join(lost)).unwrap();
    }
    let mut next = Host::new(options);
    next.restore().unwrap();
    next.set("web", helper(&stage.scene, &["run"]));
    next.run();
    let again = stage.scene.reports.start("web");
    assert!(left.process.is_gone(), "another one runs beside it");
    next.kill();
    assert!(again.process.is_gone());
    stage.scene.reports.forget_unread();
    stage.scene.finish();
}

/// As in a container whose runtime has mounted it so.
#[test]
fn cgroup_that_cannot_be_emptied_is_named_and_blocks_no_start() {
    // The root of a user namespace alone can mount, and make no cgroups.
    let Some(base) = base() else { return };
    with_mounts("cgroups::adoption::cgroup_that_cannot_be_emptied_is_named_and_blocks_no_start", || {
        let scene = Scene::new();
        let config = Config::new(&scene).set("cgroup_base", base.to_str().unwrap()).set("cgroup", "required");
        let config = config.proxy("web", Proxy::helper(&["grandchild", "cleared"]));
        let first = Agent::start(&scene, &config);
        let (leader, left) = (scene.reports.start("web"), scene.reports.grandchild("web"));
        first.kill();
        leader.process.kill();
        let cgroup = cgroup_of(left.pid).unwrap();
        if !cgroup.join("cgroup.kill").exists() {
            // Before Linux 5.14: what is in it is ended by signals, whatever may be written.
            left.process.kill();
            scene.reports.forget_unread();
            return scene.finish();
        }
        let read_only = Mount::bind(&cgroup, &cgroup);
        read_only.set_writable(false);
        let next = Agent::start(&scene, &config);
        let again = scene.reports.start("web");
        next.wait_for_log(&format!("end what is left in cgroup {}: ", cgroup.display()));
        assert!(!left.process.is_gone());
        assert_ne!(cgroup_of(again.pid), Some(cgroup));
        drop(read_only);
        left.process.kill();
        next.quit();
        scene.reports.forget_unread();
        scene.finish();
    });
}

fn agent_in_a_handover(place: &Place) {
    let mut host = Host::new(contained_at(&place.data_dir()).unwrap());
    for version in ["1", "2"] {
        let mut config = inherited(&["ready", "fd", "3"]).with_ready(Ready::Fd(3)).with_replace(Replace::Overlap);
        config.command = config.command.env("VERSION", version).env(OVERLAPS, "1");
        host.set("web", config);
        if version == "1" {
            host.run();
            host.manager.wait_until("web", WaitFor::Running, WATCHDOG).unwrap();
        }
    }
    host.events.until("the second start", |event| event.generation == Some(2));
    park();
}

/// It lives in a cgroup of the same proxy, and is not adopted yet.
#[test]
fn generation_that_lives_is_not_ended_with_what_the_other_one_has_left() {
    let name = "cgroups::adoption::generation_that_lives_is_not_ended_with_what_the_other_one_has_left";
    let parts: [Part; 1] = [("agent", agent_in_a_handover)];
    let Some(stage) = stage(name, &parts) else { return };
    let Some(base) = base() else { return stage.scene.finish() };
    let first = stage.begin("agent", &[]);
    let current = stage.scene.reports.start("web");
    current.process.signal(Signal::USR1);
    let next = stage.scene.reports.start("web");
    let data_dir = stage.scene.data_dir();
    wait_until(&data_dir, "the second record", || data_dir.join("records/web.json-next").exists());
    first.kill();
    current.process.kill();
    let nothing = Config::new(&stage.scene).set("cgroup_base", base.to_str().unwrap()).set("cgroup", "required");
    let launch = Launch::of(agent_with_fail_points(), &stage.scene);
    // It does not pass this point with the process that is gone.
    let mut stuck = launch.env("PROXYPROCESS_FAIL", "adopt:opened#1=stall").start(&nothing);
    stuck.wait_for_log("not adopted: ended while no agent was there");
    assert!(!next.process.is_gone(), "{}", stuck.log());
    stuck.signal(Signal::KILL);
    stuck.end();
    Agent::start(&stage.scene, &nothing).quit();
    assert!(next.process.is_gone());
    stage.scene.reports.forget_unread();
    stage.scene.finish();
}

/// What it has started is of that agent, and not of the proxy.
#[test]
fn proxies_of_an_agent_that_is_a_proxy_live_on_without_it() {
    if Path::new("/run/systemd/system").exists() || base().is_none() {
        return println!("skipped: without its word no agent makes cgroups where systemd manages them");
    }
    let scene = Scene::new();
    let auto = || Config::new(&scene).set("cgroup", "auto");
    let inner = auto().set("data_dir", scene.path("inner").to_str().unwrap()).proxy("deep", Proxy::helper(&["run"]));
    let file = scene.path("inner.json");
    inner.write(&file);
    let program = agent_under_test().to_str().unwrap();
    let outer =
        auto().proxy("inner", Proxy::command(&[program, "run", file.to_str().unwrap()]).set("stop_signal", "SIGKILL"));
    let agent = Agent::start(&scene, &outer);
    let deep = scene.reports.start("deep");
    agent.quit();
    assert!(!deep.process.is_gone(), "it is of another agent");
    deep.process.kill();
    scene.finish();
}

fn agent_of_a_silent_one(place: &Place) {
    let mut host = Host::new(contained_at(&place.data_dir()).unwrap());
    host.set("web", silent());
    host.run();
    host.events.started("web");
    park();
}

/// Neither its environment nor a log says whose it is.
fn silent() -> ProxyConfig {
    let command = Command::new("/usr/bin/env").args(["-i", "/bin/sleep", "1000"]);
    ProxyConfig::new(command.stdout(Output::Null).stderr(Output::Null))
}

#[test]
fn process_that_only_a_pid_file_names_is_adopted_by_its_cgroup() {
    let name = "cgroups::adoption::process_that_only_a_pid_file_names_is_adopted_by_its_cgroup";
    let parts: [Part; 1] = [("agent", agent_of_a_silent_one)];
    let Some(stage) = stage(name, &parts) else { return };
    let Some(options) = contained(&stage.scene) else { return stage.scene.finish() };
    let data_dir = stage.scene.data_dir();
    let first = stage.begin("agent", &[]);
    let pid_file = data_dir.join("pids/web.pid");
    wait_until(&data_dir, "the pid file", || pid_file.exists());
    let pid: u32 = std::fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
    let executed = || std::fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environ| environ.is_empty());
    until("the program to have no environment", executed);
    first.kill();
    std::fs::write(data_dir.join("records/web.json"), "damaged").unwrap();
    let mut next = Host::new(options);
    next.restore().unwrap();
    next.set("web", silent());
    next.run();
    assert_eq!(next.events.adopted("web"), pid);
    next.kill();
    assert!(!Path::new(&format!("/proc/{pid}/exe")).exists());
    stage.scene.finish();
}
