// SPDX-License-Identifier: MPL-2.0
//! Proxies that hand over to another one of their processes, and name it as the leader (MAINPID= of sd_notify(3)).

use std::fs;

use proxyprocess::{ExitStatus, ProxyState, Ready, Replace};
use rustix::process::{Signal, getpid, set_child_subreaper};
use serde_json::{Value, json};

use super::notifications::status_when;
use crate::inside::{Host, helper, quick};
use crate::support::{Agent, Config, Deadline, OVERLAPS, Proxy, Scene, Start, Status, alone};

/// A proxy that does these things one after the other.
pub(super) fn config(scene: &Scene, list: &[&str]) -> Config {
    Config::new(scene).proxy("web", hands_over(list))
}

fn hands_over(list: &[&str]) -> Proxy {
    Proxy::helper(&[&["hands-over", "READY=1"], list].concat()).set("ready", "notify").grace_ms(60_000)
}

/// Has the process do the next thing.
#[track_caller]
pub(super) fn next(scene: &Scene, start: &Start) {
    start.process.signal(Signal::USR1);
    assert_eq!(scene.reports.signal(start), "SIGUSR1");
}

/// The leader of a proxy that is ready.
#[track_caller]
pub(super) fn ready(scene: &Scene, agent: &Agent) -> Start {
    let start = scene.reports.start("web");
    next(scene, &start);
    agent.status_running(scene, "web", start.pid);
    start
}

/// Such a leader, and the successor to which it has handed over then.
#[track_caller]
pub(super) fn handed_over(scene: &Scene, agent: &Agent) -> [Start; 2] {
    let old = ready(scene, agent);
    next(scene, &old);
    let new = scene.reports.grandchild("web");
    leads(scene, agent, &new);
    [old, new]
}

/// Has a process hand over and end.
#[track_caller]
fn succeeded(scene: &Scene, old: &Start) -> Start {
    next(scene, old);
    let new = scene.reports.grandchild("web");
    next(scene, old);
    old.process.wait();
    new
}

/// Waits until this is the process of the proxy, which was started once alone and has not ended.
#[track_caller]
pub(super) fn leads(scene: &Scene, agent: &Agent, start: &Start) {
    let status = agent.status_running(scene, "web", start.pid);
    assert_eq!((status["web"].restarts, &status["web"].last_exit), (0, &None), "{status:?}");
    is_recorded(scene, start);
}

#[track_caller]
fn is_recorded(scene: &Scene, start: &Start) {
    let path = scene.data_dir().join("records/web.json");
    let deadline = Deadline::of(format!("a record of {}", start.pid));
    let pid = || serde_json::from_slice::<Value>(&fs::read(&path).ok()?).ok().map(|record| record["pid"].clone());
    while pid() != Some(json!(start.pid)) || scene.pid_file("web") != Some(format!("{}\n", start.pid)) {
        deadline.left();
        std::thread::yield_now();
    }
}

/// Has the process send a status text, after all that it has sent before.
#[track_caller]
fn says(scene: &Scene, agent: &Agent, start: &Start, text: &str) -> Status {
    next(scene, start);
    agent.status_when(scene, "it is heard", |status| status["web"].status_text.as_deref() == Some(text))
}

#[test]
fn successor_in_the_group_or_with_the_tag_leads_however_the_old_leader_ends() {
    for how in ["successor", "session", "untagged"] {
        for end in ["exit 0", "exit 1", "killed"] {
            let scene = Scene::new();
            let agent = Agent::start(&scene, &config(&scene, &[how, end, "/", "STATUS=goes on"]));
            let old = ready(&scene, &agent);
            next(&scene, &old);
            let new = scene.reports.grandchild(if how == "untagged" { "" } else { "web" });
            // Whether the agent has heard of it by then or not; of one that has lost its parent only the group tells whose it is.
            if how == "session" {
                leads(&scene, &agent, &new);
            }
            match end {
                "killed" => old.process.kill(),
                _ => next(&scene, &old),
            }
            old.process.wait();
            leads(&scene, &agent, &new);
            agent.wait_for_log(&format!("pid {} leads in place of pid {}, as MAINPID= says", new.pid, old.pid));
            let status = says(&scene, &agent, &new, "goes on");
            assert!(status["web"].ready && status["web"].last_error.is_none(), "{status:?}");
            agent.quit();
            assert!(new.process.is_gone());
            scene.finish();
        }
    }
}

/// The new one leads, under the agent that heard of it or, if it is adopted, under the next one.
#[track_caller]
fn led(scene: &Scene, how: &str, adopted: bool) -> (Agent, [Start; 2]) {
    let list = config(scene, &[how]);
    let mut agent = Agent::start(scene, &list);
    let both = handed_over(scene, &agent);
    if adopted {
        agent.kill();
        agent = Agent::start(scene, &list);
        leads(scene, &agent, &both[1]);
    }
    (agent, both)
}

#[test]
fn old_leader_that_lives_on_is_stopped_with_the_new_one() {
    for how in ["successor", "session"] {
        for adopted in [false, true] {
            let scene = Scene::new();
            let (agent, [old, new]) = led(&scene, how, adopted);
            agent.quit();
            assert!(old.process.is_gone() && new.process.is_gone(), "{how} {adopted}");
            assert_eq!(scene.pid_files(), [""; 0]);
            scene.finish();
        }
    }
}

#[test]
fn end_of_the_new_leader_is_that_of_the_proxy_and_the_old_one_is_ended_before_the_next_start() {
    for how in ["successor", "session"] {
        for adopted in [false, true] {
            let scene = Scene::new();
            let (agent, [old, new]) = led(&scene, how, adopted);
            if adopted && how == "session" {
                // A crash has the next start at once, beside what left the group.
                old.process.kill();
            }
            new.process.kill();
            // It would say so if it ran beside the old one.
            let third = scene.reports.start("web");
            assert!(old.process.is_gone());
            next(&scene, &third);
            let status = agent.status_running(&scene, "web", third.pid);
            assert_eq!(status["web"].restarts, 1);
            assert!(!status["web"].adopted, "{status:?}");
            agent.quit();
            scene.finish();
        }
    }
}

#[test]
fn what_is_no_other_process_of_the_proxy_is_refused_and_named_once() {
    let scene = Scene::new();
    let dead = scene.stranger();
    dead.process.kill();
    dead.process.wait();
    let stranger = scene.stranger();
    let named = [
        ("strange", stranger.pid.to_string(), format!("pid {} ", stranger.pid)),
        ("dead", dead.pid.to_string(), format!("no process with pid {} lives", dead.pid)),
        ("zero", "0".to_owned(), "what follows MAINPID= is no pid".to_owned()),
        ("init", "1".to_owned(), "pid 1 is init".to_owned()),
        ("garbage", "x".to_owned(), "what follows MAINPID= is no pid".to_owned()),
    ];
    let mut config = Config::new(&scene);
    for (id, pid, _) in &named {
        let text = format!("MAINPID={pid}");
        config = config.proxy(id, hands_over(&[&text, &text, "MAINPID={pid}\nSTATUS=all"]));
    }
    let agent = Agent::start(&scene, &config);
    for (id, _, why) in &named {
        let start = scene.reports.start(id);
        (0..4).for_each(|_| next(&scene, &start));
        let status =
            agent.status_when(&scene, "all is heard", |status| status[id].status_text.as_deref() == Some("all"));
        assert!(status.runs(id, start.pid), "{status:?}");
        agent.wait_for_log(&format!("MAINPID= is refused: {why}"));
        assert_eq!(scene.pid_file(id), Some(format!("{}\n", start.pid)));
        let (log, proxy) = (agent.log(), format!("proxy {id}: "));
        let refused = log.lines().filter(|line| line.contains(&proxy) && line.contains("MAINPID="));
        assert_eq!(refused.count(), 1, "{log}");
    }
    assert!(!stranger.process.is_gone());
    agent.quit();
    stranger.process.kill();
    scene.finish();
}

#[test]
fn agent_and_process_that_is_not_proven_are_refused_and_the_leader_stays() {
    let scene = Scene::new();
    let agent = Agent::start(&scene, &config(&scene, &["stranger"]));
    let old = ready(&scene, &agent);
    next(&scene, &old);
    let stranger = scene.reports.grandchild("");
    agent.wait_for_log(&format!("MAINPID= is refused: pid {} is neither of its session or group", stranger.pid));
    agent.status_running(&scene, "web", old.pid);
    agent.quit();
    stranger.process.kill();
    scene.finish();
}

#[test]
fn signals_and_files_are_of_the_new_leader_and_the_old_one_is_not_heard() {
    let scene = Scene::new();
    let list = ["successor", "STOPPING=1\nSTATUS=old", "/", "STATUS=new"];
    let agent = Agent::start(&scene, &config(&scene, &list));
    let [old, new] = handed_over(&scene, &agent);
    next(&scene, &old);
    let status = says(&scene, &agent, &new, "new");
    assert!(status["web"].ready, "{status:?}");
    agent.quit();
    scene.finish();
}

#[test]
fn leader_that_is_named_again_leads_again() {
    let scene = Scene::new();
    let list = ["successor", "MAINPID={pid}", "MAINPID={pid}", "exit 1", "/", "MAINPID={pid}", "STATUS=new"];
    let agent = Agent::start(&scene, &config(&scene, &list));
    let [old, new] = handed_over(&scene, &agent);
    for _ in 0..2 {
        next(&scene, &old);
        leads(&scene, &agent, &old);
    }
    next(&scene, &new);
    leads(&scene, &agent, &new);
    next(&scene, &old);
    old.process.wait();
    says(&scene, &agent, &new, "new");
    leads(&scene, &agent, &new);
    agent.quit();
    scene.finish();
}

#[test]
fn watchdog_is_that_of_the_new_leader() {
    let scene = Scene::new();
    let list = ["successor", "/", "STATUS=hangs", "WATCHDOG=trigger"];
    let restart = json!({"attempts_before_backoff": 0, "max_wait_ms": 3_600_000});
    let proxy = hands_over(&list).set("watchdog_ms", 3_600_000).set("restart", restart);
    let agent = Agent::start(&scene, &Config::new(&scene).proxy("web", proxy));
    let [old, new] = handed_over(&scene, &agent);
    says(&scene, &agent, &new, "hangs");
    // It may be aborted before it says so.
    new.process.signal(Signal::USR1);
    let status = agent.status_when(&scene, "its watchdog expires", |status| status.is("web", "waiting"));
    let error = "watchdog: triggered by the process with WATCHDOG=trigger; its status is \"hangs\"";
    assert_eq!(status.error("web"), Some(error), "{status:?}");
    let exit = status["web"].last_exit.as_deref().unwrap_or_default();
    assert!(exit.starts_with("signal SIGABRT") || exit == "unknown status", "{status:?}");
    assert!(new.process.is_gone() && old.process.is_gone());
    agent.quit();
    scene.reports.forget_signals();
    scene.finish();
}

#[test]
fn new_leader_that_becomes_a_child_of_the_agent_gets_its_signals_and_is_reaped() {
    let name = "readiness::leader_changes::new_leader_that_becomes_a_child_of_the_agent_gets_its_signals_and_is_reaped";
    alone(name, || {
        set_child_subreaper(Some(getpid())).unwrap();
        let scene = Scene::of_library();
        let mut host = Host::new(quick(&scene.data_dir()));
        let list = ["hands-over", "successor", "exit 1", "/", "READY=1", "exit 7"];
        host.set("web", helper(&scene, &list).with_ready(Ready::Notify));
        host.run();
        let old = scene.reports.start("web");
        host.events.started("web");
        let new = succeeded(&scene, &old);
        status_when(&host, "web", |status| status.pid == Some(new.pid));
        let signal = || {
            host.manager.signal("web", "SIGUSR1".parse().unwrap()).unwrap();
            assert_eq!(scene.reports.signal(&new), "SIGUSR1");
        };
        signal();
        status_when(&host, "web", |status| status.ready);
        signal();
        assert_eq!(host.events.exited("web"), ExitStatus::Exited(7));
        scene.reports.start("web");
        host.kill();
        scene.finish();
    });
}

#[test]
fn leader_of_either_generation_can_change_in_a_handover() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let version = |version: &str| {
        let config = helper(&scene, &["hands-over", "successor", "exit 1", "/", "READY=1", "STATUS=serves"]);
        let mut config = config.with_ready(Ready::Notify).with_replace(Replace::Overlap);
        config.command = config.command.env("VERSION", version).env(OVERLAPS, "1");
        config
    };
    host.set("web", version("1"));
    host.run();
    let first = succeeded(&scene, &scene.reports.start("web"));
    status_when(&host, "web", |status| status.pid == Some(first.pid) && status.state == ProxyState::Starting);
    next(&scene, &first);
    status_when(&host, "web", |status| status.ready);
    host.set("web", version("2"));
    let second = succeeded(&scene, &scene.reports.start("web"));
    let status =
        status_when(&host, "web", |status| status.other.as_ref().is_some_and(|other| other.pid == Some(second.pid)));
    assert_eq!((status.pid, status.restarts), (Some(first.pid), 0), "{status:?}");
    next(&scene, &second);
    let status = status_when(&host, "web", |status| status.pid == Some(second.pid) && status.other.is_none());
    assert!(status.ready && status.restarts == 1 && first.process.is_gone(), "{status:?}");
    next(&scene, &second);
    status_when(&host, "web", |status| status.status_text.as_deref() == Some("serves"));
    is_recorded(&scene, &second);
    host.kill();
    assert!(second.process.is_gone());
    scene.finish();
}
