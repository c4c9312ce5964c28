// SPDX-License-Identifier: MPL-2.0
//! Groups that do not go as they are told.

use std::time::{Duration, Instant};

use crate::stops::common::{KERNELS, Whose, wait_for_state};
use crate::support::{Agent, Config, HELPER, Launch, Proxy, Scene, Start};

const GRACE: Duration = Duration::from_millis(500);

fn in_grace(role: &[&str]) -> Proxy {
    Proxy::helper(role).grace_ms(GRACE.as_millis().try_into().unwrap())
}

/// The leaders end at the first signal, the other members of their groups never.
fn leaders_that_leave_at_once(whose: Whose) {
    let scene = Scene::new();
    let ids = ["a", "b", "c"];
    let config = ids.iter().fold(Config::new(&scene), |config, id| config.proxy(id, in_grace(&["leader-exits"])));
    let agent = Agent::start(&scene, &config);
    let leaders = ids.map(|id| scene.reports.start(id));
    let members = ids.map(|id| scene.reports.grandchild(id));
    let agent = whose.agent(&scene, &config, agent, &leaders);

    let begun = Instant::now();
    agent.quit();
    let took = begun.elapsed();
    assert!(leaders.iter().chain(&members).all(|start| start.process.is_gone()), "the agent ended before them");
    assert!(took >= GRACE, "the members had only {took:?}");
    assert!(took < GRACE * 5, "{took:?} is more than one grace period");
    for member in &members {
        assert_eq!(scene.reports.signal(member), "SIGINT");
    }
    assert_eq!(scene.pid_files(), [""; 0]);
    scene.finish();
}

#[test]
fn leaders_that_leave_at_once_do_not_end_the_stop_of_their_groups() {
    leaders_that_leave_at_once(Whose::Own);
}

#[test]
fn adopted_leaders_that_leave_at_once_do_not_end_the_stop_of_their_groups() {
    leaders_that_leave_at_once(Whose::Adopted);
}

/// Each kernel has another way to a group. To many programs a second stop signal means "at once".
fn one_stop_signal(whose: Whose, kernel: &str) {
    let scene = Scene::new();
    let ids = ["leaves", "stays", "alone"];
    let proxy = |role: &[&str]| in_grace(role).set("stop_signal", "40").grace_ms(1000);
    let config = Config::new(&scene)
        .proxy("leaves", proxy(&["leader-exits"]))
        .proxy("stays", proxy(&["grandchild", "stubborn"]))
        .proxy("alone", proxy(&["stubborn"]));
    let start = || Launch::new(&scene).under(&[*HELPER, "sandbox", kernel]).start(&config);
    let mut agent = start();
    let leaders = ids.map(|id| scene.reports.start(id));
    let members = ["leaves", "stays"].map(|id| scene.reports.grandchild(id));
    if whose == Whose::Adopted {
        leaders.iter().for_each(|leader| drop(agent.status_running(&scene, &leader.id, leader.pid)));
        agent.kill();
        agent = start();
    }
    leaders.iter().for_each(|leader| drop(agent.status_running(&scene, &leader.id, leader.pid)));
    agent.quit();
    for told in members.iter().chain([&leaders[2]]) {
        assert!(told.process.is_gone());
        assert_eq!(scene.reports.signal(told), "40");
    }
    assert_eq!(scene.reports.unread(), [""; 0], "{kernel:?}");
    scene.finish();
}

#[test]
fn stop_signal_is_sent_once_on_every_kernel() {
    KERNELS.iter().for_each(|kernel| one_stop_signal(Whose::Own, kernel));
}

#[test]
fn adopted_group_is_sent_the_stop_signal_once_on_every_kernel() {
    KERNELS.iter().for_each(|kernel| one_stop_signal(Whose::Adopted, kernel));
}

/// No stopped process can obey before it is continued, and one does not even then.
fn stopped_ones(whose: Whose) {
    let scene = Scene::new();
    let config = Config::new(&scene)
        .proxy("leader", in_grace(&["stopped"]).grace_ms(600_000))
        .proxy("member", in_grace(&["grandchild", "stopped"]).grace_ms(600_000))
        .proxy("relapses", in_grace(&["grandchild", "relapses"]));
    let agent = Agent::start(&scene, &config);
    let leaders = ["leader", "member", "relapses"].map(|id| scene.reports.start(id));
    let members = ["member", "relapses"].map(|id| scene.reports.grandchild(id));
    let stopped: [&Start; 3] = [&leaders[0], &members[0], &members[1]];
    stopped.iter().for_each(|start| wait_for_state(start, "T"));
    let agent = whose.agent(&scene, &config, agent, &leaders);

    let begun = Instant::now();
    agent.quit();
    assert!(begun.elapsed() >= GRACE, "the one that stopped itself again had its time");
    assert!(leaders.iter().chain(&members).all(|start| start.process.is_gone()), "the agent ended before them");
    scene.finish();
}

#[test]
fn stopped_processes_are_continued_to_obey_and_killed_if_they_stop_again() {
    stopped_ones(Whose::Own);
}

#[test]
fn adopted_stopped_processes_are_continued_to_obey_and_killed_if_they_stop_again() {
    stopped_ones(Whose::Adopted);
}
