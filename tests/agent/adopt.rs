// SPDX-License-Identifier: MPL-2.0
//! The agent ends, in whatever way, and the next one has the same processes.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::support::{Agent, Config, Inspection, Launch, Proxy, Scene};

#[test]
fn the_processes_of_a_killed_agent_are_adopted() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("a", Proxy::helper(&["run"])).proxy("b", Proxy::helper(&["log", "a line"]));
    let agent = Agent::start(&scene, &config);
    let (a, b) = (scene.reports.start("a"), scene.reports.start("b"));
    agent.kill();
    assert!(!a.process.is_gone() && !b.process.is_gone());

    let agent = Agent::start(&scene, &config);
    agent.status_running(&scene, "a", a.pid);
    let status = agent.status_running(&scene, "b", b.pid);
    assert!(status["a"].adopted && status["b"].adopted, "{status:?}");
    agent.quit();
    assert!(a.process.is_gone() && b.process.is_gone());
    scene.finish();
}

/// An agent can be killed when a process runs and its pid file is not written yet, or is still that of the one before.
#[test]
fn the_pid_files_of_adopted_processes_are_put_right() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("a", Proxy::helper(&["run"])).proxy("b", Proxy::helper(&["run"]));
    let agent = Agent::start(&scene, &config);
    let (a, b) = (scene.reports.start("a"), scene.reports.start("b"));
    agent.status_running(&scene, "a", a.pid);
    agent.status_running(&scene, "b", b.pid);
    agent.kill();
    fs::remove_file(scene.data_dir().join("pids/a.pid")).unwrap();
    fs::write(scene.data_dir().join("pids/b.pid"), "1\n").unwrap();

    let agent = Agent::start(&scene, &config);
    for start in [&a, &b] {
        agent.status_running(&scene, &start.id, start.pid);
        assert_eq!(scene.pid_file(&start.id).as_deref(), Some(format!("{}\n", start.pid).as_str()), "{}", start.id);
    }
    agent.quit();
    scene.finish();
}

#[test]
fn an_adopted_proxy_that_crashes_is_restarted_with_its_logs() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["log", "a line"]));
    let agent = Agent::start(&scene, &config);
    let first = scene.reports.start("web");
    agent.kill();
    let agent = Agent::start(&scene, &config);
    agent.status_running(&scene, "web", first.pid);

    first.process.kill();
    let second = scene.reports.start("web");
    assert_eq!(second.ppid, agent.pid());
    let status = agent.status_running(&scene, "web", second.pid);
    assert_eq!((status["web"].adopted, status["web"].restarts), (false, 1));
    for stream in ["stdout", "stderr"] {
        assert_eq!(scene.log("web", stream), "a line\na line\n");
    }
    agent.quit();
    scene.finish();
}

#[test]
fn the_processes_of_an_agent_that_left_are_adopted_again_and_again() {
    let scene = Scene::new();
    let config = Config::new(&scene).set("on_exit", "leave").proxy("web", Proxy::helper(&["run"]));
    let mut agent = Agent::start(&scene, &config);
    let start = scene.reports.start("web");
    for signal in [Signal::TERM, Signal::INT, Signal::TERM] {
        agent.status_running(&scene, "web", start.pid);
        agent.end_by(signal);
        assert!(!start.process.is_gone());
        agent = Agent::start(&scene, &config);
        assert!(agent.status_running(&scene, "web", start.pid)["web"].adopted);
    }
    agent.quit();
    scene.finish();
}

#[test]
fn an_agent_killed_before_it_has_done_anything_leaves_what_it_found() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["run"]));
    let agent = Agent::start(&scene, &config);
    let start = scene.reports.start("web");
    agent.kill();
    // Killed at ever later moments of its own start.
    for _ in 0..5 {
        Launch::new(&scene).spawn(&config).kill();
        Agent::start(&scene, &config).kill();
    }
    let agent = Agent::start(&scene, &config);
    agent.status_running(&scene, "web", start.pid);
    agent.quit();
    scene.finish();
}

#[test]
fn a_proxy_that_died_unattended_is_started_once() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["run"]));
    let agent = Agent::start(&scene, &config);
    let first = scene.reports.start("web");
    agent.kill();
    first.process.kill();

    let agent = Agent::start(&scene, &config);
    let second = scene.reports.start("web");
    let status = agent.status_running(&scene, "web", second.pid);
    assert!(!status["web"].adopted);
    let said = "web: not adopted: ended while no agent was there: ";
    agent.wait_for_log(said);
    let log = agent.log();
    assert!(log.lines().any(|line| line.contains("INFO") && line.contains(said)), "{log}");
    agent.quit();
    scene.finish();
}

#[test]
fn what_is_not_declared_any_more_is_stopped() {
    let scene = Scene::new();
    let both = Config::new(&scene).proxy("a", Proxy::helper(&["run"])).proxy("b", Proxy::helper(&["graceful"]));
    let agent = Agent::start(&scene, &both);
    let (a, b) = (scene.reports.start("a"), scene.reports.start("b"));
    agent.kill();

    let agent = Agent::start(&scene, &both.without("b"));
    assert_eq!(scene.reports.signal(&b), "SIGINT");
    b.process.wait();
    agent.status_running(&scene, "a", a.pid);
    agent.quit();
    scene.finish();
}

/// Nothing but its record knows of it.
#[test]
fn what_is_not_declared_any_more_is_stopped_as_it_was_declared() {
    let scene = Scene::new();
    let config = Config::new(&scene)
        .proxy("signal", Proxy::helper(&["graceful"]).set("stop_signal", "SIGUSR1"))
        .proxy("changed", Proxy::helper(&["graceful"]))
        .proxy("grace", Proxy::helper(&["stubborn"]).grace_ms(600_000));
    let agent = Agent::start(&scene, &config);
    let [signal, changed, grace] = ["signal", "changed", "grace"].map(|id| scene.reports.start(id));
    for start in [&signal, &changed, &grace] {
        agent.status_running(&scene, &start.id, start.pid);
    }
    let config = config
        .proxy("changed", Proxy::helper(&["graceful"]).set("stop_signal", "SIGTERM"))
        .proxy("grace", Proxy::helper(&["stubborn"]).grace_ms(1));
    agent.reload(&config);
    let recorded = |id: &str, text: &str| {
        let record = fs::read_to_string(scene.data_dir().join(format!("records/{id}.json")));
        record.is_ok_and(|record| record.contains(text))
    };
    agent.status_when(&scene, "the records to say it", |_| {
        recorded("changed", "\"SIGTERM\"") && recorded("grace", "\"grace_period_ms\":1,")
    });
    agent.kill();
    fs::remove_file(scene.data_dir().join("snapshot.json")).unwrap();

    let begun = Instant::now();
    let agent = Agent::start(&scene, &Config::new(&scene));
    assert_eq!(scene.reports.signal(&signal), "SIGUSR1");
    assert_eq!(scene.reports.signal(&changed), "SIGTERM");
    grace.process.wait();
    assert!(begun.elapsed() < Duration::from_secs(5), "that is the default");
    agent.quit();
    scene.reports.forget_signals();
    scene.finish();
}

#[test]
fn what_is_declared_otherwise_is_replaced() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("a", Proxy::helper(&["run"])).proxy("b", Proxy::helper(&["run"]));
    let agent = Agent::start(&scene, &config);
    let (a, b) = (scene.reports.start("a"), scene.reports.start("b"));
    agent.kill();

    let agent = Agent::start(&scene, &config.proxy("b", Proxy::helper(&["run", "otherwise"])));
    let other = scene.reports.start("b");
    assert!(b.process.is_gone());
    agent.status_running(&scene, "b", other.pid);
    agent.status_running(&scene, "a", a.pid);
    agent.quit();
    scene.finish();
}

#[test]
fn another_environment_of_the_agent_replaces_nothing() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["run"]));
    let agent = Launch::new(&scene).env("A", "1").start(&config);
    let start = scene.reports.start("web");
    agent.kill();
    let agent = Launch::new(&scene).env("A", "2").env("B", "3").start(&config);
    agent.status_running(&scene, "web", start.pid);
    agent.quit();
    scene.finish();
}

#[test]
fn a_corrupt_snapshot_is_set_aside_and_loses_no_process() {
    let scene = Scene::new();
    let config = Config::new(&scene)
        .proxy("declared", Proxy::helper(&["run"]).set("token", "secret"))
        .proxy("drawn", Proxy::helper(&["inspect"]))
        .proxy("unwanted", Proxy::helper(&["run"]));
    let agent = Agent::start(&scene, &config);
    let [declared, drawn, unwanted] = ["declared", "drawn", "unwanted"].map(|id| scene.reports.start(id));
    for start in [&declared, &drawn, &unwanted] {
        agent.status_running(&scene, &start.id, start.pid);
    }
    agent.kill();
    let snapshot = scene.data_dir().join("snapshot.json");
    let whole = fs::read(&snapshot).unwrap();
    fs::write(&snapshot, &whole[..whole.len() / 2]).unwrap();

    let agent = Agent::start(&scene, &config.without("unwanted"));
    agent.status_running(&scene, "declared", declared.pid);
    agent.status_running(&scene, "drawn", drawn.pid);
    unwanted.process.wait();
    assert!(scene.data_dir().join("snapshot.json.corrupt-1").exists());
    agent.wait_for_log("snapshot");

    drawn.process.kill();
    let token = |inspection: Option<Box<Inspection>>| inspection.unwrap().env["CONNECT_PROXY_TOKEN"].clone();
    let again = scene.reports.start("drawn");
    assert_eq!(token(again.inspection), token(drawn.inspection), "the token that was not declared is known still");
    agent.quit();
    scene.finish();
}

/// Some inits take their time to reap what they have inherited. The zombie is not reaped here until the end.
#[test]
fn exit_of_an_adopted_proxy_that_stays_a_zombie_is_seen() {
    let scene = Scene::of_library();
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    let restart = json!({"attempts_before_backoff": 5});
    let proxy = Proxy::helper(&["run"]).set("restart", restart).grace_ms(60_000);
    let config = Config::new(&scene).proxy("web", proxy);
    let agent = Agent::start(&scene, &config);
    let first = scene.reports.start("web");
    agent.kill();

    let agent = Agent::start(&scene, &config);
    agent.status_running(&scene, "web", first.pid);
    first.process.kill();
    let second = scene.reports.start("web");
    agent.kill();
    let agent = Agent::start(&scene, &config);
    agent.status_running(&scene, "web", second.pid);
    agent.quit();
    assert!(second.process.is_gone());
    assert!(!first.process.is_reaped() && !second.process.is_reaped(), "the test is about zombies");
    assert!(first.process.reap() && second.process.reap());
    scene.finish();
}
