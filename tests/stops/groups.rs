//! Groups that do not go as they are told.

use std::time::{Duration, Instant};

use crate::common::{Whose, wait_for_state};
use crate::support::{Agent, Config, Proxy, Scene, Start};

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
    if cfg!(proxyprocess_no_pidfd) {
        // The members of an adopted group are looked for then, and told once more.
        scene.reports.forget_signals();
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

/// Nobody who is stopped can obey before it is continued, and one does not even then.
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
