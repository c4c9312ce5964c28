// SPDX-License-Identifier: MPL-2.0
//! The end of the agent, and of its proxies as far as it is asked for.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::support::{Agent, Config, Launch, Proxy, Scene};

#[test]
fn sigquit_stops_all_and_leaves_nothing() {
    let scene = Scene::new();
    let config = Config::new(&scene)
        .set("on_exit", "leave")
        .proxy("plain", Proxy::helper(&["run"]))
        .proxy("polite", Proxy::helper(&["graceful"]).set("stop_signal", "SIGUSR1"))
        .proxy("stopped", Proxy::helper(&["stopped"]))
        .proxy("group", Proxy::helper(&["grandchild"]));
    let agent = Agent::start(&scene, &config);
    let polite = scene.reports.start("polite");
    let rest = [scene.reports.start("plain"), scene.reports.start("stopped"), scene.reports.start("group")];
    let grandchild = scene.reports.grandchild("group");

    agent.quit();
    let gone = rest.iter().chain([&polite, &grandchild]).all(|start| start.process.is_gone());
    assert!(gone, "the agent ended before them");
    assert_eq!(scene.reports.signal(&polite), "SIGUSR1");
    assert_eq!(scene.pid_files(), [""; 0]);
    scene.finish();
}

#[test]
fn stubborn_ones_are_killed_together_when_the_grace_period_ends() {
    const GRACE: Duration = Duration::from_millis(500);
    let scene = Scene::new();
    let stubborn = |role: &[&str]| Proxy::helper(role).grace_ms(GRACE.as_millis().try_into().unwrap());
    let mut config = Config::new(&scene);
    for number in 0..30 {
        config = config.proxy(&format!("stubborn-{number}"), stubborn(&["stubborn"]));
    }
    config = config.proxy("group", stubborn(&["grandchild", "stubborn"]));
    config = config.proxy("leaver", stubborn(&["leader-exits"]));
    let agent = Agent::start(&scene, &config);
    let starts: Vec<_> = (0..32).map(|_| scene.reports.any_start()).collect();
    let grandchildren = [scene.reports.grandchild("group"), scene.reports.grandchild("leaver")];

    let begun = Instant::now();
    agent.quit();
    let took = begun.elapsed();
    assert!(took >= GRACE, "they had {took:?}");
    assert!(took < GRACE * 10, "{took:?}, one after the other");
    for start in starts.iter().chain(&grandchildren) {
        assert!(start.process.is_gone(), "{}", start.id);
        if start.role == "stubborn" || start.role == "grandchild" {
            assert_eq!(scene.reports.signal(start), "SIGINT", "{}", start.id);
        }
    }
    scene.reports.forget_signals();
    assert_eq!(scene.pid_files(), [""; 0]);
    scene.finish();
}

#[test]
fn on_exit_stop_stops_them_on_sigterm_and_sigint() {
    for signal in [Signal::TERM, Signal::INT] {
        let scene = Scene::new();
        let config = Config::new(&scene).set("on_exit", "stop").proxy("web", Proxy::helper(&["graceful"]));
        let agent = Agent::start(&scene, &config);
        let web = scene.reports.start("web");
        agent.end_by(signal);
        assert!(web.process.is_gone());
        assert_eq!(scene.reports.signal(&web), "SIGINT");
        assert_eq!(scene.pid_files(), [""; 0]);
        scene.finish();
    }
}

/// What an agent says when it is told to wait no longer.
const SAID: &str = "during the stop: what is left gets SIGKILL now";

#[test]
fn another_sigint_or_sigquit_kills_at_once_what_has_an_hour_of_grace() {
    for (first, another) in [(Signal::INT, Signal::INT), (Signal::QUIT, Signal::QUIT), (Signal::TERM, Signal::INT)] {
        let scene = Scene::new();
        let config = Config::new(&scene)
            .set("on_exit", "stop")
            .proxy("alone", Proxy::helper(&["stubborn"]).grace_ms(3_600_000))
            .proxy("group", Proxy::helper(&["grandchild", "stubborn"]).grace_ms(3_600_000));
        let agent = Agent::start(&scene, &config);
        let leaders = ["alone", "group"].map(|id| scene.reports.start(id));
        let member = scene.reports.grandchild("group");
        leaders.iter().for_each(|leader| drop(agent.status_running(&scene, &leader.id, leader.pid)));
        // The next agent, which has adopted them.
        agent.kill();
        let mut agent = Agent::start(&scene, &config);
        leaders.iter().for_each(|leader| drop(agent.status_running(&scene, &leader.id, leader.pid)));
        agent.signal(first);
        for told in [&leaders[0], &member] {
            assert_eq!(scene.reports.signal(told), "SIGINT");
        }
        agent.signal(another);
        assert!(agent.end().success(), "{}", agent.log());
        assert!(leaders.iter().chain([&member]).all(|start| start.process.is_gone()));
        let name = if another == Signal::INT { "SIGINT" } else { "SIGQUIT" };
        assert_eq!(agent.log().matches(&format!("{name} {SAID}")).count(), 1, "{}", agent.log());
        assert_eq!(scene.pid_files(), [""; 0]);
        scene.finish();
    }
}

/// Service managers send it more than once.
#[test]
fn another_sigterm_leaves_the_grace_as_it_is() {
    let scene = Scene::new();
    let config = Config::new(&scene)
        .set("on_exit", "stop")
        .proxy("web", Proxy::helper(&["stubborn"]).set("stop_signal", "SIGTERM").grace_ms(3_600_000));
    let mut agent = Agent::start(&scene, &config);
    let web = scene.reports.start("web");
    agent.signal(Signal::TERM);
    assert_eq!(scene.reports.signal(&web), "SIGTERM");
    agent.signal(Signal::TERM);
    agent.signal(Signal::INT);
    assert!(agent.end().success(), "{}", agent.log());
    let log = agent.log();
    let said: Vec<&str> = log.lines().filter(|line| line.contains(SAID)).collect();
    assert!(matches!(said[..], [line] if line.contains("SIGINT during")), "{log}");
    scene.finish();
}

#[test]
fn on_exit_leave_leaves_them_running_and_is_the_default() {
    for on_exit in [None, Some("leave")] {
        let scene = Scene::new();
        let config = Config::new(&scene).proxy("web", Proxy::helper(&["graceful"]));
        let config = on_exit.into_iter().fold(config, |config, on_exit| config.set("on_exit", on_exit));
        let agent = Agent::start(&scene, &config);
        let web = scene.reports.start("web");
        agent.status_running(&scene, "web", web.pid);
        agent.end_by(Signal::TERM);
        assert!(!web.process.is_gone());
        assert_eq!(scene.pid_file("web").unwrap(), format!("{}\n", web.pid));
        // The next agent, which may have another opinion, has it stopped.
        let agent = Agent::start(&scene, &config.set("on_exit", "stop"));
        agent.status_running(&scene, "web", web.pid);
        agent.end_by(Signal::TERM);
        assert!(web.process.is_gone());
        assert_eq!(scene.reports.signal(&web), "SIGINT");
        scene.finish();
    }
}

/// They are orphans: the next agent cannot know of them, and starts the same once more.
#[test]
fn who_leaves_processes_without_a_data_directory_is_warned() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("a", Proxy::helper(&["run"])).proxy("b", Proxy::helper(&["run"]));
    for (data_dir, warned) in [(json!(null), true), (json!(scene.data_dir()), false)] {
        let mut agent = Launch::new(&scene).spawn(&config.clone().set("data_dir", data_dir));
        let left = [scene.reports.start("a"), scene.reports.start("b")];
        agent.signal(Signal::TERM);
        assert!(agent.end().success(), "{}", agent.log());
        let log = agent.log();
        let warning = log.lines().find(|line| line.contains("WARN") && line.contains("2 processes run on"));
        assert_eq!(warning.is_some_and(|line| line.contains("without a data directory")), warned, "{log}");
        for start in left {
            assert!(!start.process.is_gone());
            start.process.kill();
        }
    }
    scene.finish();
}

#[test]
fn the_end_does_not_wait_for_a_backoff_or_a_start_that_never_succeeds() {
    let scene = Scene::new();
    let waiting = json!({"attempts_before_backoff": 0, "max_wait_ms": 600_000});
    let config = Config::new(&scene)
        .proxy("crashing", Proxy::helper(&["exit", "1"]).set("restart", waiting))
        .proxy("missing", Proxy::command(&["/nonexistent/program"]));
    let agent = Agent::start(&scene, &config);
    scene.reports.start("crashing");
    agent.status_when(&scene, "both wait", |status| ["crashing", "missing"].iter().all(|id| status.is(id, "waiting")));
    let begun = Instant::now();
    agent.quit();
    assert!(begun.elapsed() < Duration::from_secs(600));
    scene.finish();
}

#[test]
fn an_agent_killed_while_it_stops_its_proxies_leaves_them_to_the_next() {
    let scene = Scene::new();
    let config = Config::new(&scene)
        .proxy("slow", Proxy::helper(&["stubborn"]).grace_ms(600_000))
        .proxy("quick", Proxy::helper(&["graceful"]));
    let agent = Agent::start(&scene, &config);
    let (slow, quick) = (scene.reports.start("slow"), scene.reports.start("quick"));
    agent.signal(Signal::QUIT);
    assert_eq!((scene.reports.signal(&slow), scene.reports.signal(&quick)), ("SIGINT".into(), "SIGINT".into()));
    quick.process.wait();
    agent.kill();

    // It is wanted again, so the one that lives is taken over, and the other started.
    let agent = Agent::start(&scene, &config);
    let again = scene.reports.start("quick");
    agent.status_running(&scene, "quick", again.pid);
    assert!(agent.status_running(&scene, "slow", slow.pid)["slow"].adopted);

    let config = config.proxy("slow", Proxy::helper(&["stubborn"]).grace_ms(50)).without("quick");
    agent.reload(&config);
    assert_eq!(scene.reports.signal(&again), "SIGINT");
    agent.status_when(&scene, "quick is gone", |status| !status.proxies.contains_key("quick"));
    agent.quit();
    assert!(slow.process.is_gone());
    assert_eq!(scene.reports.signal(&slow), "SIGINT");
    scene.finish();
}

/// The leader is gone when the next agent comes, and with it all that its record could prove.
#[test]
fn an_agent_killed_while_it_ends_a_group_leaves_the_rest_of_it_to_the_next() {
    let scene = Scene::new();
    let leader = |grace_ms| Proxy::helper(&["leader-exits"]).grace_ms(grace_ms);
    let agent = Agent::start(&scene, &Config::new(&scene).proxy("web", leader(600_000)));
    let (web, left) = (scene.reports.start("web"), scene.reports.grandchild("web"));
    agent.signal(Signal::QUIT);
    web.process.wait();
    assert_eq!(scene.reports.signal(&left), "SIGINT");
    agent.kill();
    assert!(!left.process.is_gone());

    let agent = Agent::start(&scene, &Config::new(&scene).proxy("web", leader(50)));
    let again = scene.reports.start("web");
    assert!(left.process.is_gone(), "it runs beside the next leader, and nothing will ever end it");
    scene.reports.grandchild("web");
    agent.status_running(&scene, "web", again.pid);
    agent.quit();
    scene.reports.forget_signals();
    scene.finish();
}

#[test]
fn an_agent_killed_while_it_replaces_a_proxy_leaves_the_change_to_the_next() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["stubborn"]).grace_ms(600_000));
    let agent = Agent::start(&scene, &config);
    let old = scene.reports.start("web");
    let changed = |grace_ms| Config::new(&scene).proxy("web", Proxy::helper(&["run"]).grace_ms(grace_ms));
    agent.reload(&changed(600_000));
    assert_eq!(scene.reports.signal(&old), "SIGINT");
    agent.kill();
    assert!(!old.process.is_gone());

    let agent = Agent::start(&scene, &changed(50));
    let new = scene.reports.start("web");
    assert!(old.process.is_gone(), "two at a time");
    agent.status_running(&scene, "web", new.pid);
    agent.quit();
    scene.reports.forget_signals();
    scene.finish();
}
