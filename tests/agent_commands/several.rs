// SPDX-License-Identifier: MPL-2.0
//! What commands for several proxies say of their starts and stops, which proxies `--all` means, and the end of the agent.

use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use serde_json::{Value, json};

use super::{ask, start};
use crate::support::{Config, Deadline, Proxy, Scene, example_agent};

fn status(data_dir: &Path, id: &str) -> Value {
    serde_json::from_str(&ask(data_dir, &["status", id, "--json"]).ok()).expect("an object")
}

#[test]
fn start_of_a_program_that_ends_at_once_fails_with_its_end_and_what_it_said() {
    let scene = Scene::new();
    let config = Config::new(&scene)
        .proxy("ends", Proxy::command(&["/bin/sh", "-c", "echo one >&2; echo two >&2; exit 3"]))
        .proxy("missing", Proxy::command(&["/no/such/program"]));
    let agent = start(&scene, &config);
    let data_dir = scene.data_dir();
    agent.status_when(&scene, "both wait", |status| status.is("ends", "waiting") && status.is("missing", "waiting"));
    for command in ["restart", "start"] {
        let missing = ask(&data_dir, &[command, "missing"]).failed(1);
        let error =
            "agent: proxy missing: execute /no/such/program: no such file: No such file or directory (os error 2)\n";
        assert!(missing.starts_with(error), "{missing}");
        // The lines of a process are read a moment after its end.
        let deadline = Deadline::of("the lines");
        loop {
            let ended = ask(&data_dir, &[command, "ends"]).failed(1);
            assert!(ended.starts_with("agent: proxy ends: ended soon after its start: exit code 3\n"), "{ended}");
            if ended.contains("\n    stderr: one\n    stderr: two\n") {
                break;
            }
            deadline.left();
        }
    }
    // What is only begun is not waited for.
    assert_eq!(ask(&data_dir, &["restart", "ends", "--no-wait"]).ok(), "");
    agent.quit();
    scene.finish();
}

#[test]
fn start_of_a_repaired_program_fails_with_its_end_and_not_with_the_error_of_an_earlier_start() {
    let scene = Scene::new();
    let program = scene.path("sh");
    let web =
        Proxy::command(&[program.to_str().unwrap(), "-c", "exit 1"]).set("ready", json!({ "command": ["/bin/false"] }));
    let agent = start(&scene, &Config::new(&scene).proxy("web", web));
    agent.status_when(&scene, "web waits", |status| status.is("web", "waiting"));
    symlink("/bin/sh", &program).unwrap();
    let said = ask(&scene.data_dir(), &["start", "web"]).failed(1);
    assert!(said.starts_with("agent: proxy web: ended soon after its start: exit code 1\n"), "{said}");
    agent.quit();
    scene.finish();
}

#[test]
fn next_generation_that_ends_at_once_is_shown_beside_the_current_one_that_serves() {
    let scene = Scene::new();
    let serves = Proxy::helper(&["run"]).set("replace", "overlap");
    let config = Config::new(&scene).proxy("web", serves);
    let agent = start(&scene, &config);
    let web = scene.reports.start("web");
    let data_dir = scene.data_dir();
    ask(&data_dir, &["wait", "web"]).ok();
    // One that is ready once it is started would take over.
    let ends = Proxy::command(&["/bin/sh", "-c", "echo why >&2; exit 3"]).set("replace", "overlap");
    agent.reload(&config.proxy("web", ends.set("ready", json!({ "command": ["/bin/false"] }))));
    let deadline = Deadline::of("the end of the next generation");
    let says = |text: &str, parts: &[&str]| parts.iter().all(|part| text.contains(part));
    let shown =
        ["\nweb\trunning\t", "\tyes\t", ": waiting, next start in ", ", last exit: exit code 3", "\tstderr: why\n"];
    while !says(&ask(&data_dir, &["status"]).ok(), &shown) {
        deadline.left();
    }
    let late = ask(&data_dir, &["wait", "web", "--timeout", "1ms"]).failed(5);
    let awaited =
        "agent: proxy web: not ready after 1ms\n    its process is ready, and the next one of a handover is awaited\n";
    assert!(late.starts_with(awaited), "{late}");
    let failed = ask(&data_dir, &["restart", "web"]).failed(1);
    assert!(failed.starts_with("agent: proxy web: its next process ended soon: exit code 3\n"), "{failed}");
    assert!(agent.status().runs("web", web.pid));
    agent.quit();
    scene.finish();
}

#[test]
fn program_that_has_completed_is_started_again_by_its_id_alone() {
    let scene = Scene::new();
    let once = json!({ "policy": "never" });
    let config = Config::new(&scene)
        .proxy("job", Proxy::command(&["/bin/true"]).set("restart", once.clone()))
        .proxy("fails", Proxy::command(&["/bin/false"]).set("restart", once))
        .proxy("web", Proxy::helper(&["run"]));
    let agent = start(&scene, &config);
    scene.reports.start("web");
    let data_dir = scene.data_dir();
    ask(&data_dir, &["wait", "job", "completed"]).ok();
    assert_eq!(ask(&data_dir, &["wait", "web", "completed", "--timeout", "1ms"]).code, Some(5));
    assert_eq!(status(&data_dir, "job")["generation"], 1);
    assert_eq!(ask(&data_dir, &["start", "job"]).ok(), "job: had completed, and is started again\n");
    ask(&data_dir, &["wait", "job", "completed"]).ok();
    for command in ["start", "restart"] {
        let said = ask(&data_dir, &[command, "--all"]).failed(1);
        assert!(said.contains("proxy fails: ") && said.contains("exit code 1"), "{said}");
    }
    scene.reports.start("web");
    ask(&data_dir, &["stop", "--all"]).ok();
    let job = status(&data_dir, "job");
    assert_eq!((&job["generation"], &job["state"]), (&2.into(), &"completed".into()));
    agent.quit();
    scene.finish();
}

#[test]
fn stop_that_took_sigkill_says_so_once() {
    let scene = Scene::new();
    // One that is always stopped by it is not said to be late.
    let by_sigkill = Proxy::helper(&["run"]).set("stop_signal", "SIGKILL");
    let config =
        Config::new(&scene).proxy("web", Proxy::helper(&["stubborn"]).grace_ms(1)).proxy("by-sigkill", by_sigkill);
    let agent = start(&scene, &config);
    let [web, _] = ["web", "by-sigkill"].map(|id| scene.reports.start(id));
    let data_dir = scene.data_dir();
    ask(&data_dir, &["wait", "web"]).ok();
    ask(&data_dir, &["wait", "by-sigkill"]).ok();
    let killed = ask(&data_dir, &["stop", "by-sigkill", "web"]);
    let said = "agent: proxy web: did not end in its time, and was killed (SIGKILL)\n";
    assert_eq!((killed.code, killed.stderr.as_str()), (Some(0), said));
    web.process.wait();
    assert_eq!(ask(&data_dir, &["stop", "web"]).ok(), "");
    scene.reports.forget_signals();
    agent.quit();
    scene.finish();
}

#[test]
fn stop_that_waits_says_on_a_terminal_when_sigkill_comes() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["stubborn"]).grace_ms(3_600_000));
    let agent = start(&scene, &config);
    let web = scene.reports.start("web");
    let data_dir = scene.data_dir();
    ask(&data_dir, &["wait", "web"]).ok();
    let command = format!("{} stop web --timeout 1h --data-dir {}", example_agent().display(), data_dir.display());
    let mut script = Command::new("script");
    script.args(["-qec", &command, "/dev/null"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut stopping = script.spawn().expect("run script(1)");
    let mut said = String::new();
    let mut output = stopping.stdout.take().unwrap();
    while !said.contains("\r\u{1b}[Kweb: SIGKILL in 3") {
        let mut part = [0; 256];
        let length = output.read(&mut part).unwrap();
        assert!(length > 0, "{said:?}");
        said += str::from_utf8(&part[..length]).unwrap();
    }
    ask(&data_dir, &["signal", "web", "KILL"]).ok();
    output.read_to_string(&mut said).unwrap();
    assert!(stopping.wait().unwrap().success(), "{said:?}");
    web.process.wait();
    scene.reports.forget_signals();
    agent.quit();
    scene.finish();
}

#[test]
fn all_proxies_are_stopped_and_started_but_those_that_are_not_declared_to_run() {
    let scene = Scene::new();
    let run = || Proxy::helper(&["run"]);
    let config = Config::new(&scene)
        .proxy("a", run())
        .proxy("b", run())
        .proxy("disabled", run().set("enabled", false))
        .proxy("noop", Proxy::command(&[]).set("mode", "noop"));
    let agent = start(&scene, &config);
    let first = ["a", "b"].map(|id| scene.reports.start(id));
    let data_dir = scene.data_dir();
    assert_eq!(ask(&data_dir, &["stop", "--all"]).ok(), "");
    first.iter().for_each(|start| start.process.wait());
    assert_eq!(ask(&data_dir, &["start", "a"]).ok(), "");
    let a = scene.reports.start("a");
    // One that is stopped stays so.
    assert_eq!(ask(&data_dir, &["restart", "--all"]).ok(), "");
    a.process.wait();
    let a = scene.reports.start("a");
    assert_eq!(ask(&data_dir, &["start", "--all"]).ok(), "");
    let b = scene.reports.start("b");
    let now = agent.status();
    assert!(now.runs("a", a.pid) && now.runs("b", b.pid) && now.is("disabled", "paused"), "{now:?}");
    agent.quit();
    scene.finish();
}

#[test]
fn quit_ends_the_agent_and_with_stop_its_proxies() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["run"]));
    let mut agent = start(&scene, &config);
    let web = scene.reports.start("web");
    let data_dir = scene.data_dir();
    ask(&data_dir, &["wait", "web"]).ok();
    assert_eq!(ask(&data_dir, &["quit"]).ok(), "");
    assert_eq!(ask(&data_dir, &["status"]).code, Some(3));
    assert!(agent.end().success());
    assert!(!web.process.is_gone());
    let mut agent = start(&scene, &config);
    ask(&data_dir, &["wait", "web"]).ok();
    assert!(agent.status().runs("web", web.pid));
    assert_eq!(ask(&data_dir, &["quit", "--stop"]).ok(), "");
    web.process.wait();
    assert!(agent.end().success());
    scene.finish();
}

/// Nothing of the agent is in /proc there.
#[test]
fn quit_in_another_pid_namespace_returns_when_the_agent_has_ended() {
    if !geteuid().is_root() {
        return println!("skipped: only root can make a pid namespace");
    }
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["stubborn"]).grace_ms(300));
    let mut agent = start(&scene, &config);
    let web = scene.reports.start("web");
    let data_dir = scene.data_dir();
    let mut quit = Command::new("unshare");
    quit.args(["--pid", "--fork", "--mount-proc", "--kill-child"]).arg(example_agent()).args(["quit", "--stop"]);
    let quit = quit.arg("--data-dir").arg(&data_dir).output().expect("run unshare");
    assert!(quit.status.success(), "{quit:?}");
    assert_eq!(ask(&data_dir, &["version"]).code, Some(3));
    web.process.wait();
    assert!(agent.end().success());
    scene.reports.forget_signals();
    scene.finish();
}

#[test]
fn quit_of_an_agent_that_does_not_answer_fails_after_its_timeout() {
    let scene = Scene::new();
    let mut agent = start(&scene, &Config::new(&scene));
    let pid = Pid::from_raw(agent.pid().cast_signed()).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    let begun = Instant::now();
    let said = ask(&scene.data_dir(), &["quit", "--timeout", "50ms"]).failed(5);
    assert!(said.ends_with(" does not answer\n"), "{said}");
    // Other commands wait for a minute.
    assert!(begun.elapsed() < Duration::from_secs(50));
    kill_process(pid, Signal::CONT).unwrap();
    // It has been asked.
    assert!(agent.end().success());
    scene.finish();
}
