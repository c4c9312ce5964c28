// SPDX-License-Identifier: MPL-2.0
//! A proxy that ends is started again, at once or after a wait.

use std::fs;
use std::os::unix::fs::symlink;

use rustix::process::Signal;
use serde_json::json;

use crate::support::{Agent, Config, HELPER, Proxy, Scene};

const SECOND_NS: u64 = 1_000_000_000;

#[test]
fn a_killed_proxy_is_back_and_appends_to_its_logs() {
    let scene = Scene::new();
    let agent = Agent::start(&scene, &Config::new(&scene).proxy("web", Proxy::helper(&["log", "a line"])));
    let mut last = scene.reports.start("web");
    for killed in 1..=3 {
        last.process.kill();
        let next = scene.reports.start("web");
        assert_ne!(next.pid, last.pid);
        last = next;
        let status = agent.status_running(&scene, "web", last.pid);
        assert_eq!((status["web"].restarts, status["web"].last_exit.as_deref()), (killed, Some("signal SIGKILL")));
        assert_eq!(scene.pid_file("web").unwrap(), format!("{}\n", last.pid));
        for stream in ["stdout", "stderr"] {
            assert_eq!(scene.log("web", stream), "a line\n".repeat(killed as usize + 1));
        }
    }
    agent.quit();
    scene.finish();
}

/// The path is the same, and so is the declaration: a reload alone changes nothing.
#[test]
fn a_new_program_at_the_same_path_comes_with_the_next_start() {
    let scene = Scene::new();
    let program = scene.path("program");
    symlink(*HELPER, &program).unwrap();
    let command = [program.to_str().unwrap(), "run"];
    let config = Config::new(&scene).proxy("web", Proxy::command(&command));
    let agent = Agent::start(&scene, &config);
    let first = scene.reports.start("web");
    let executes = |pid: u32| fs::read_link(format!("/proc/{pid}/exe")).unwrap();
    assert_ne!(executes(first.pid), program);

    let new = scene.path("new");
    fs::copy(*HELPER, &new).unwrap();
    fs::rename(&new, &program).unwrap();
    agent.reload(&config.clone().proxy("other", Proxy::helper(&["run"])));
    let other = scene.reports.start("other");
    agent.status_running(&scene, "other", other.pid);
    agent.status_running(&scene, "web", first.pid);

    first.process.signal(Signal::TERM);
    let second = scene.reports.start("web");
    assert_eq!(executes(second.pid), program);
    agent.reload(&config.proxy("web", Proxy::command(&command).env(&["GENERATION=2"])));
    let third = scene.reports.start("web");
    assert!(second.process.is_gone() && third.pid != second.pid);
    agent.status_when(&scene, "other is gone", |status| !status.proxies.contains_key("other"));
    agent.quit();
    scene.finish();
}

#[test]
fn a_log_that_was_moved_is_written_on_until_the_next_start() {
    let scene = Scene::new();
    let agent = Agent::start(&scene, &Config::new(&scene).proxy("web", Proxy::helper(&["log", "a line"])));
    let first = scene.reports.start("web");
    let log = fs::canonicalize(scene.data_dir()).unwrap().join("logs/web-stdout.log");
    let moved = log.with_extension("1");
    fs::rename(&log, &moved).unwrap();
    let stdout = |pid: u32| fs::read_link(format!("/proc/{pid}/fd/1")).unwrap();
    assert_eq!(stdout(first.pid), moved);
    first.process.kill();
    let second = scene.reports.start("web");
    assert_eq!(stdout(second.pid), log);
    assert_eq!([fs::read_to_string(&moved).unwrap(), scene.log("web", "stdout")], ["a line\n"; 2]);
    agent.quit();
    scene.finish();
}

#[test]
fn a_crash_loop_is_slowed_down() {
    let scene = Scene::new();
    let restart = json!({"attempts_before_backoff": 2, "max_wait_ms": 300});
    let crashing = Proxy::helper(&["exit", "3"]).set("restart", restart);
    let agent = Agent::start(&scene, &Config::new(&scene).proxy("web", crashing));

    let starts: Vec<u64> = (0..6).map(|_| scene.reports.start("web").at_ns).collect();
    let gaps: Vec<u64> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps[2..].iter().all(|gap| *gap >= 300_000_000), "waits after two free attempts: {gaps:?}");

    let status = agent.status_when(&scene, "it waits", |status| status.is("web", "waiting"));
    let web = &status["web"];
    assert_eq!((web.pid, web.last_exit.as_deref()), (None, Some("exit code 3")));
    assert!(web.next_start_ms.is_some_and(|ms| ms <= 300), "{web:?}");
    agent.quit();
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn the_first_attempts_are_free_and_then_there_is_no_pid_while_it_waits() {
    let scene = Scene::new();
    let restart = json!({"attempts_before_backoff": 3, "max_wait_ms": 60_000});
    let crashing = Proxy::helper(&["crash", "SIGABRT"]).set("restart", restart);
    let agent = Agent::start(&scene, &Config::new(&scene).proxy("web", crashing));
    let first = scene.reports.start("web").at_ns;
    let fourth = (0..3).map(|_| scene.reports.start("web").at_ns).last().unwrap();
    assert!(fourth - first < 2 * SECOND_NS, "one wait would be of 2 s");

    let status = agent.status_when(&scene, "it waits", |status| status.is("web", "waiting"));
    let web = &status["web"];
    assert_eq!((web.pid, web.restarts, web.last_exit.as_deref()), (None, 3, Some("signal SIGABRT")));
    assert!(web.next_start_ms.is_some_and(|ms| (1..=2000).contains(&ms)), "{web:?}");
    scene.wait_for_pid_files(&[]);
    // It need not be waited for: an agent that is asked to end need not replace it any more.
    agent.quit();
    scene.finish();
}

#[test]
fn a_proxy_that_ran_well_is_always_back_at_once() {
    let scene = Scene::new();
    let restart = json!({"healthy_after_ms": 1, "attempts_before_backoff": 1, "max_wait_ms": 60_000});
    let proxy = Proxy::helper(&["run"]).set("restart", restart);
    let agent = Agent::start(&scene, &Config::new(&scene).proxy("web", proxy));
    let mut starts = vec![scene.reports.start("web")];
    for _ in 0..5 {
        let last = starts.last().unwrap();
        agent.status_running(&scene, "web", last.pid);
        last.process.kill();
        starts.push(scene.reports.start("web"));
    }
    // Were they counted in a row, it would have waited 2, 4, 8 and 16 seconds.
    let took = starts[5].at_ns - starts[0].at_ns;
    assert!(took < 15 * SECOND_NS, "{took} ns");
    agent.quit();
    scene.finish();
}

#[test]
fn what_a_crashed_leader_leaves_is_killed_before_the_next_starts() {
    let scene = Scene::new();
    let proxy = Proxy::helper(&["grandchild", "stubborn"]).grace_ms(100);
    let agent = Agent::start(&scene, &Config::new(&scene).proxy("web", proxy));
    let (leader, grandchild) = (scene.reports.start("web"), scene.reports.grandchild("web"));
    assert_eq!(grandchild.ppid, leader.pid);
    leader.process.kill();

    let next = scene.reports.start("web");
    assert!(grandchild.process.is_gone(), "it ran beside the next leader");
    let unread = scene.reports.unread();
    assert!(unread.iter().all(|report| !report.contains("Signal")), "it was asked first: {unread:?}");
    agent.status_running(&scene, "web", next.pid);
    scene.reports.grandchild("web");
    agent.quit();
    scene.reports.forget_signals();
    scene.finish();
}

#[test]
fn a_proxy_that_obeys_a_strangers_signal_is_back() {
    let scene = Scene::new();
    let agent = Agent::start(&scene, &Config::new(&scene).proxy("web", Proxy::helper(&["graceful"])));
    let first = scene.reports.start("web");
    first.process.signal(Signal::TERM);
    assert_eq!(scene.reports.signal(&first), "SIGTERM");
    let second = scene.reports.start("web");
    let status = agent.status_running(&scene, "web", second.pid);
    assert_eq!(status["web"].last_exit.as_deref(), Some("exit code 0"));
    agent.quit();
    assert_eq!(scene.reports.signal(&second), "SIGINT");
    scene.finish();
}
