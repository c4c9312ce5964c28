// SPDX-License-Identifier: MPL-2.0
//! What never comes to an end, as on a file system that hangs, or where a stranger holds up reads of its /proc files.

use std::fs;
use std::process::Command;

use rustix::process::Signal;

use crate::support::{
    Agent, Config, Deadline, Launch, Process, Proxy, Scene, Start, agent_with_fail_points, example_agent,
};

fn config(scene: &Scene, grace_ms: u64, ids: &[&str]) -> Config {
    let proxy = || Proxy::helper(&["graceful"]).grace_ms(grace_ms);
    ids.iter().fold(Config::scanning(scene), |config, id| config.proxy(id, proxy()))
}

#[test]
fn a_process_that_cannot_be_read_to_its_end_makes_no_stop_untrue_and_is_passed_over() {
    let scene = Scene::new();
    // Every scan for processes that left their group reads it, if nothing else does.
    let stranger = scene.stranger();
    // The grace period is longer than all of it takes.
    let config = |ids: &[&str]| config(&scene, 20_000, ids);
    // An agent that finds no records scans when it begins.
    let earlier = Launch::new(&scene).start(&config(&["c"]));
    let c = scene.reports.start("c");
    earlier.status_running(&scene, "c", c.pid);
    earlier.kill();
    let launch = Launch::of(agent_with_fail_points(), &scene).env("PROXYPROCESS_FAIL", "scan:reads#1=stall");
    let mut agent = launch.start(&config(&["a", "b", "c"]));
    let [a, b] = ["a", "b"].map(|id| scene.reports.start(id));

    agent.reload(&config(&["b", "c"]));
    a.process.wait();
    agent.wait_for_log("does not return: the scan skips it");
    let status = agent.status_when(&scene, "a is gone", |status| !status.proxies.contains_key("a"));
    assert!(status.runs("b", b.pid) && status.runs("c", c.pid));
    // Who comes later does not wait at all for it.
    agent.reload(&config(&["c"]));
    agent.status_when(&scene, "b is gone", |status| !status.proxies.contains_key("b"));
    assert!(b.process.is_gone());

    agent.signal(Signal::QUIT);
    assert!(agent.end().success(), "all were stopped");
    assert!(c.process.is_gone());
    let log = agent.log();
    assert_eq!(log.matches("the scan skips it").count(), 1, "{log}");
    assert!(!log.contains("still running"), "{log}");
    assert!(log.contains("stuck in a file system, the user database or an exec: left behind"), "{log}");
    assert!(!stranger.process.is_gone());
    stranger.process.kill();
    scene.reports.forget_unread();
    scene.finish();
}

/// A program can ask to be killed when the thread that started it ends.
#[test]
fn threads_that_were_stuck_do_not_end_while_their_children_live() {
    let scene = Scene::new();
    // One more than there are spawners, as long as none is stuck.
    let cores = std::thread::available_parallelism().expect("count processors").get();
    let ids: Vec<String> = (0..=cores.min(3)).map(|number| format!("p{number}")).collect();
    let config = ids.iter().fold(Config::scanning(&scene), |config, id| config.proxy(id, Proxy::helper(&["bound"])));
    let (held, release) = (format!("start:prepared#1-{}=hold", ids.len()), scene.path("release"));
    let agent = Launch::of(agent_with_fail_points(), &scene)
        .env("PROXYPROCESS_FAIL", &held)
        .env("PROXYPROCESS_FAIL_RELEASE", release.to_str().expect("a path in UTF-8"))
        .start(&config);
    let deadline = Deadline::of("threads in place of those that are stuck");
    while spawners(&agent) < ids.len() {
        deadline.left();
        std::thread::yield_now();
    }
    fs::write(release, "").expect("release the threads");
    let starts: Vec<Start> = ids.iter().map(|id| scene.reports.start(id)).collect();
    for start in &starts {
        agent.status_running(&scene, &start.id, start.pid);
    }
    // They go on working.
    starts[0].process.kill();
    let next = scene.reports.start(&starts[0].id);
    agent.status_running(&scene, &next.id, next.pid);
    // On a slow machine there may be one more, in place of one that was taken for stuck.
    assert!(spawners(&agent) >= ids.len());
    assert!(starts[1..].iter().all(|start| !start.process.is_gone()));
    agent.quit();
    scene.finish();
}

/// How many threads of the agent start processes.
fn spawners(agent: &Agent) -> usize {
    let threads = fs::read_dir(format!("/proc/{}/task", agent.pid())).expect("list threads").flatten();
    let names = threads.filter_map(|thread| fs::read_to_string(thread.path().join("comm")).ok());
    names.filter(|name| name.starts_with("proxy-spawner")).count()
}

#[test]
fn starts_that_hang_hold_up_only_their_own_proxies_and_not_the_end() {
    let scene = Scene::new();
    // More than there are spawners.
    let launch = Launch::of(agent_with_fail_points(), &scene).env("PROXYPROCESS_FAIL", "start:prepared#1-4=stall");
    let ids = ["a", "b", "c", "d", "e", "f"];
    let mut agent = launch.start(&config(&scene, 10, &ids));
    let [one, other] = [(); 2].map(|()| scene.reports.any_start());
    one.process.kill();
    let again = scene.reports.start(&one.id);
    let status = agent
        .status_when(&scene, "both run", |status| status.runs(&one.id, again.pid) && status.runs(&other.id, other.pid));
    let hung = status.proxies.values().filter(|proxy| proxy.state == "starting").count();
    assert_eq!(hung, 4);

    agent.signal(Signal::QUIT);
    let ended = agent.end();
    assert!(!ended.success(), "{ended}");
    assert!(again.process.is_gone() && other.process.is_gone());
    let log = agent.log();
    assert_eq!(log.matches("left behind").count(), 4, "{log}");
    for id in ["a", "b", "c", "d"] {
        assert!(log.contains(&format!("proxy {id}: its start has not come to an end")), "{log}");
    }
    scene.reports.forget_unread();
    scene.finish();
}

/// An agent a thread of which stands still at a point, once it has passed that.
fn held_at(scene: &Scene, point: &str, ids: &[&str], do_it: impl FnOnce(&Agent)) -> Agent {
    let trace = scene.path("passed");
    let agent = Launch::of(agent_with_fail_points(), scene)
        .env("PROXYPROCESS_FAIL", &format!("{point}=stall"))
        .env("PROXYPROCESS_FAIL_TRACE", trace.to_str().expect("a path in UTF-8"))
        .start(&config(scene, 20_000, ids));
    let (name, time) = point.split_once('#').expect("a point and which time");
    let time: usize = time.parse().expect("a number");
    do_it(&agent);
    let deadline = Deadline::of("the agent at the point");
    let passed =
        || fs::read_to_string(&trace).is_ok_and(|text| text.lines().filter(|line| *line == name).count() >= time);
    while !passed() {
        deadline.left();
        std::thread::yield_now();
    }
    agent
}

#[test]
fn status_is_answered_while_a_sync_waits_for_the_disk() {
    let scene = Scene::new();
    let agent = held_at(&scene, "sync:planned#2", &["a"], |agent| {
        let a = scene.reports.start("a");
        agent.status_running(&scene, "a", a.pid);
        agent.reload(&config(&scene, 20_000, &["a", "b"]));
    });
    let status = agent.status();
    assert!(status.is("b", "idle"), "the sync is about to begin it: {status:?}");
    let mut of_one = Command::new(example_agent());
    let told = of_one.args(["status", "b", "--json", "--data-dir"]).arg(scene.data_dir()).output().expect("run agent");
    let told = String::from_utf8_lossy(&told.stdout);
    assert!(told.contains("\"state\":\"idle\""), "{told}");
    // What runs is supervised and shown meanwhile.
    Process::open(status.proxies["a"].pid.expect("it runs")).expect("it lives").kill();
    let again = scene.reports.start("a");
    agent.status_running(&scene, "a", again.pid);
    agent.kill();
    again.process.kill();
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn status_is_answered_while_a_look_at_the_data_directory_hangs() {
    let scene = Scene::new();
    let agent = held_at(&scene, "status:look#1", &["a"], |agent| {
        let a = scene.reports.start("a");
        agent.status_running(&scene, "a", a.pid);
    });
    // Removed, which no status finds out now.
    fs::remove_dir_all(scene.data_dir()).expect("remove the data directory");
    let status = agent.status();
    assert_eq!((status.error("a"), &*status.proxies["a"].state), (None, "running"));
    agent.kill();
    Process::open(status.proxies["a"].pid.expect("it runs")).expect("it lives").kill();
    scene.reports.forget_unread();
    scene.finish();
}
