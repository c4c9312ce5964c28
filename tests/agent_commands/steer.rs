// SPDX-License-Identifier: MPL-2.0
//! Commands that have a running agent do something.

use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::json;

use super::{Ran, ask, run, spawn, start};
use crate::support::{Config, Proxy, Scene, example_agent};

#[test]
fn restart_returns_when_the_next_process_is_ready() {
    let scene = Scene::new();
    let agent =
        start(&scene, &Config::new(&scene).proxy("a", Proxy::helper(&["run"])).proxy("b", Proxy::helper(&["run"])));
    let before = ["a", "b"].map(|id| scene.reports.start(id));
    let data_dir = scene.data_dir();
    ask(&data_dir, &["wait", "a"]).ok();
    ask(&data_dir, &["wait", "b", "ready", "--timeout", "30s"]).ok();
    assert_eq!(ask(&data_dir, &["restart", "a", "b"]).ok(), "");
    let status = agent.status();
    let after = ["a", "b"].map(|id| scene.reports.start(id));
    for (id, (before, after)) in ["a", "b"].iter().zip(before.iter().zip(&after)) {
        assert!(status.runs(id, after.pid) && before.pid != after.pid, "{status:?}");
    }
    // One that is not there does not keep the other from its restart.
    let said = ask(&data_dir, &["restart", "nosuch", "a", "neither", "--no-wait"]).failed(4);
    assert!(said.contains("proxy nosuch: not managed") && said.contains("proxy neither: not managed"), "{said}");
    scene.reports.start("a");
    agent.quit();
    scene.finish();
}

#[test]
fn paused_proxy_stays_so_for_the_next_agent_until_it_is_started() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["run"])).proxy("other", Proxy::helper(&["run"]));
    let agent = start(&scene, &config);
    let (web, other) = (scene.reports.start("web"), scene.reports.start("other"));
    let data_dir = scene.data_dir();
    ask(&data_dir, &["wait", "web"]).ok();
    let said = ask(&data_dir, &["wait", "web", "paused", "--timeout", "1ms"]).failed(5);
    assert!(said.starts_with("agent: proxy web: not paused after 1ms\n"), "{said}");
    assert_eq!(ask(&data_dir, &["stop", "web"]).ok(), "");
    web.process.wait();
    assert!(ask(&data_dir, &["status", "web"]).ok().contains("\nweb\tpaused\t"));
    assert_eq!(ask(&data_dir, &["stop", "nosuch", "web"]).code, Some(4));
    for words in [&["restart", "web"] as &[&str], &["wait", "web"]] {
        assert_eq!(ask(&data_dir, words).failed(6), "agent: proxy web: it is paused: agent start ID runs it again\n");
    }
    agent.kill();

    let agent = start(&scene, &config);
    ask(&data_dir, &["wait", "other"]).ok();
    // The second is the word of earlier versions.
    for word in ["paused", "stopped"] {
        ask(&data_dir, &["wait", "web", word]).ok();
    }
    assert!(agent.status().runs("other", other.pid));
    assert_eq!(ask(&data_dir, &["start", "web"]).ok(), "");
    let web = scene.reports.start("web");
    assert!(agent.status().runs("web", web.pid));
    // One that runs stays as it is.
    ask(&data_dir, &["start", "web", "other"]).ok();
    let status = agent.status();
    assert!(status.runs("web", web.pid) && status.runs("other", other.pid), "{status:?}");
    agent.quit();
    scene.finish();
}

#[test]
fn wait_ends_when_the_proxy_is_ready_and_fails_when_it_is_not_in_time() {
    let scene = Scene::new();
    let ready = json!({ "unix": scene.path("socket") });
    let socket = scene.path("socket");
    let config = Config::new(&scene)
        .proxy("web", Proxy::helper(&["ready", "unix", socket.to_str().unwrap()]).set("ready", ready))
        .proxy("missing", Proxy::command(&["/no/such/program"]));
    let agent = start(&scene, &config);
    let web = scene.reports.start("web");
    let data_dir = scene.data_dir();
    let said = ask(&data_dir, &["wait", "web", "--timeout", "1500ms"]).failed(5);
    assert_eq!(said, "agent: proxy web: not ready after 1.5s\n    state: starting\n");
    agent.status_when(&scene, "missing waits", |status| status.is("missing", "waiting"));
    let said = ask(&data_dir, &["wait", "missing", "--timeout", "1ms"]).failed(5);
    assert!(said.contains("\n    error: execute /no/such/program: no such file: "), "{said}");
    assert_eq!(ask(&data_dir, &["wait", "nosuch"]).code, Some(4));
    let said = ask(&data_dir, &["wait", "--all", "--timeout", "300ms"]).failed(5);
    for proxy in ["missing", "web"] {
        assert!(said.contains(&format!("agent: proxy {proxy}: not ready after 300ms\n    ")), "{said}");
    }
    ask(&data_dir, &["signal", "web", "USR1"]).ok();
    ask(&data_dir, &["wait", "web"]).ok();
    // What is stopped meanwhile is not waited for.
    let waiting = spawn(&data_dir, &["wait", "--all"]);
    ask(&data_dir, &["stop", "missing"]).ok();
    assert_eq!(Ran::of(waiting.wait_with_output().unwrap()).ok(), "");
    // The agent that a variable names, where no option names one.
    let named = |variable: &Path, words: &[&str]| {
        let mut command = Command::new(example_agent());
        Ran::of(command.args(words).env("AGENT_CONFIG", variable).stdin(Stdio::null()).output().expect("run the agent"))
    };
    assert_eq!(named(&scene.path("agent.json"), &["wait", "--all"]).ok(), "");
    let nowhere = named(&scene.path("none.json"), &["wait", "--all"]).failed(1);
    assert!(nowhere.contains("none.json"), "{nowhere}");
    let by_option = ["wait", "--all", "--data-dir", data_dir.to_str().unwrap()];
    assert_eq!(named(&scene.path("none.json"), &by_option).ok(), "");
    let unnamed = named(Path::new(""), &["status"]).failed(2);
    assert!(unnamed.contains("expected --data-dir DIR, --config FILE or AGENT_CONFIG"), "{unnamed}");
    assert!(agent.status().runs("web", web.pid));
    scene.reports.signal(&web);
    agent.quit();
    scene.finish();
}

#[test]
fn wait_for_a_proxy_that_has_failed_names_the_proxy() {
    let scene = Scene::new();
    let config = Config::new(&scene).set("allow_root", false);
    let config = ["cache", "web"].iter().fold(config, |config, id| config.proxy(id, Proxy::helper(&["run"])));
    let agent = start(&scene, &config);
    if rustix::process::geteuid().is_root() {
        let both = "both have failed";
        agent.status_when(&scene, both, |status| ["cache", "web"].iter().all(|id| status.is(id, "failed")));
        let said = ask(&scene.data_dir(), &["wait", "web"]).failed(1);
        assert!(said.starts_with("agent: proxy web: refused to run a proxy as root: "), "{said}");
        // Not after 90 s, with another code.
        let said = ask(&scene.data_dir(), &["wait", "--all"]).failed(1);
        assert!(["cache", "web"].iter().all(|id| said.contains(&format!("proxy {id}: refused to run"))), "{said}");
    } else {
        ["cache", "web"].iter().for_each(|id| drop(scene.reports.start(id)));
    }
    agent.quit();
    scene.finish();
}

/// Unlike a second SIGQUIT, by which a person says that the stop takes too long.
#[test]
fn quit_that_is_asked_for_again_leaves_the_grace_as_it_is() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["stubborn"]).grace_ms(3_600_000));
    let mut agent = start(&scene, &config);
    let web = scene.reports.start("web");
    let data_dir = scene.data_dir();
    ask(&data_dir, &["quit", "--stop", "--no-wait"]).ok();
    assert_eq!(scene.reports.signal(&web), "SIGINT");
    ask(&data_dir, &["quit", "--stop", "--no-wait"]).ok();
    ask(&data_dir, &["quit", "--no-wait"]).ok();
    assert!(!web.process.is_gone());
    agent.signal(Signal::INT);
    assert!(agent.end().success(), "{}", agent.log());
    let log = agent.log();
    let said: Vec<&str> = log.lines().filter(|line| line.contains("during the stop")).collect();
    assert!(matches!(said[..], [line] if line.contains("SIGINT during")), "{log}");
    scene.finish();
}

#[test]
fn signal_goes_to_the_process_of_the_proxy() {
    let scene = Scene::new();
    let config = Config::new(&scene)
        .proxy("web", Proxy::helper(&["graceful"]))
        .proxy("missing", Proxy::command(&["/no/such/program"]));
    let agent = start(&scene, &config);
    let web = scene.reports.start("web");
    let data_dir = scene.data_dir();
    ask(&data_dir, &["wait", "web"]).ok();
    ask(&data_dir, &["signal", "web", "SIGUSR1"]).ok();
    assert_eq!(scene.reports.signal(&web), "SIGUSR1");
    let next = scene.reports.start("web");
    agent.status_when(&scene, "the other one waits", |status| status.is("missing", "waiting"));
    assert_eq!(ask(&data_dir, &["signal", "nosuch", "HUP"]).code, Some(4));
    assert_eq!(ask(&data_dir, &["signal", "missing", "HUP"]).code, Some(6));
    assert!(ask(&data_dir, &["signal", "web", "SIGNOTHING"]).failed(2).contains("SIGNOTHING"));
    agent.quit();
    assert_eq!(scene.reports.signal(&next), "SIGINT");
    scene.finish();
}

/// As when a package was removed, or its file is being replaced.
#[test]
fn restart_for_which_there_is_no_executable_says_so_and_the_process_serves_on() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["run"]));
    let agent = start(&scene, &config);
    let web = scene.reports.start("web");
    let data_dir = scene.data_dir();
    ask(&data_dir, &["wait", "web"]).ok();
    config.proxy("web", Proxy::command(&["/no/such/program"])).write(&scene.path("agent.json"));
    ask(&data_dir, &["reload"]).ok();
    let why = "not replaced: execute /no/such/program: no such file";
    agent.wait_for_log(why);
    let status = ask(&data_dir, &["status", "web"]).ok();
    assert!(status.contains("web\trunning\t") && status.contains(&format!("\terror: {why}")), "{status}");
    let said = ask(&data_dir, &["restart", "web"]).failed(1);
    assert!(said.starts_with(&format!("agent: proxy web: {why}")), "{said}");
    assert!(agent.status().runs("web", web.pid));
    agent.quit();
    scene.finish();
}

#[test]
fn reload_of_a_bad_file_fails_and_changes_nothing() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["run"]));
    let agent = start(&scene, &config);
    let web = scene.reports.start("web");
    let (data_dir, file) = (scene.data_dir(), scene.path("agent.json"));
    config.clone().proxy("next", Proxy::helper(&["run"])).write(&file);
    assert_eq!(ask(&data_dir, &["reload"]).ok(), "");
    scene.reports.start("next");
    config.clone().proxy("web", Proxy::helper(&["run"]).set("comand", "x")).write(&file);
    let said = ask(&data_dir, &["reload"]).failed(1);
    assert!(said.contains("agent.json:1:") && said.contains(": proxies.web.comand: unknown field"), "{said}");
    agent.wait_for_log("reload, nothing changed");
    let other = config.clone().set("data_dir", scene.path("other").to_str().unwrap());
    other.write(&file);
    assert!(ask(&data_dir, &["reload"]).failed(1).contains("data_dir: expected no change"));
    let status = agent.status_running(&scene, "web", web.pid);
    assert_eq!(status.proxies.len(), 2, "{status:?}");
    agent.quit();
    scene.finish();
}

#[test]
fn reload_of_a_proxy_is_what_it_declares() {
    let scene = Scene::new();
    let command = |words: &[&str]| json!({ "command": words });
    let config = Config::new(&scene)
        .proxy("good", Proxy::helper(&["run"]).set("reload", command(&["true"])))
        .proxy("bad", Proxy::helper(&["run"]).set("reload", command(&["sh", "-c", "exit 7"])))
        .proxy("none", Proxy::helper(&["run"]));
    let agent = start(&scene, &config);
    let data_dir = scene.data_dir();
    for id in ["good", "bad", "none"] {
        scene.reports.start(id);
        ask(&data_dir, &["wait", id]).ok();
    }
    ask(&data_dir, &["reload", "good"]).ok();
    assert!(ask(&data_dir, &["reload", "bad"]).failed(1).contains("exit code 7"));
    assert!(ask(&data_dir, &["reload", "none"]).failed(1).contains("reload"));
    assert_eq!(ask(&data_dir, &["reload", "nosuch"]).code, Some(4));
    agent.quit();
    scene.finish();
}

#[test]
fn command_without_an_agent_says_so_by_its_exit_code() {
    let scene = Scene::new();
    let config = Config::new(&scene);
    let nowhere = scene.path("nowhere");
    let said = ask(&nowhere, &["status"]).failed(3);
    assert!(said.starts_with(&format!("agent: no agent runs in {}: ", nowhere.display())), "{said}");
    // A relative directory is told by its whole path.
    let relative = ["status", "--data-dir", "nowhere"];
    let ran = Command::new(example_agent()).args(relative).current_dir(scene.path("")).output().expect("run the agent");
    assert_eq!(Ran::of(ran).failed(3), said);
    let file = scene.path("agent.json");
    let by_file = ["status", "--config", file.to_str().unwrap()];
    assert!(run(&by_file).failed(1).contains("agent.json"), "there is no file yet");
    let agent = start(&scene, &config);
    assert_eq!(run(&by_file).ok().lines().count(), 1);
    // A mistake elsewhere in the file does not hide where the agent is.
    config.set("alow_root", true).write(&file);
    assert_eq!(run(&by_file).ok().lines().count(), 1);
    agent.quit();
    // The socket is there, and nothing listens.
    assert_eq!(run(&by_file).code, Some(3));
    scene.finish();
}

#[test]
fn wrong_arguments_are_exit_code_2() {
    for words in [
        &["status"] as &[&str],
        &["status", "--data-dir", "a", "--config", "b"],
        &["--nosuch"],
        &["restart", "--data-dir", "a"],
        &["stop", "web", "--all", "--data-dir", "a"],
        &["check", "a", "--config", "b"],
        &["statu", "web"],
        &[],
    ] {
        let ran = run(words);
        assert_eq!(ran.code, Some(2), "{words:?}: {ran:?}");
        assert!(ran.stdout.is_empty() && ran.stderr.contains("Usage: agent"), "{words:?}: {ran:?}");
    }
}

#[test]
fn word_that_is_neither_a_command_nor_a_file_is_answered_with_the_command_that_is_like_it() {
    for (word, hint) in
        [("statu", "; is `agent status` meant?"), ("comp", "; is `agent completions` meant?"), ("xyzzyx", "")]
    {
        let said = run(&[word]).failed(2);
        assert!(said.contains(&format!("no such command or file: {word}{hint}\n")), "{said}");
    }
    // A path is a configuration.
    assert!(run(&["./statu"]).failed(1).contains("read ./statu: No such file"));
}

#[test]
fn version_is_that_of_the_program_and_of_the_running_agent() {
    let scene = Scene::new();
    let agent = start(&scene, &Config::new(&scene));
    let own = format!("agent {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(run(&["version"]).ok(), own);
    assert_eq!(run(&["--version"]).ok(), own);
    let running = format!("running: agent {}, process {}\n", env!("CARGO_PKG_VERSION"), agent.pid());
    assert_eq!(ask(&scene.data_dir(), &["version"]).ok(), own + &running);
    agent.quit();
    scene.finish();
}

#[test]
fn run_and_the_option_are_the_same_as_the_file_alone() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["run"]));
    for script in ["shift; exec \"$0\" run \"$1\"", "shift; exec \"$0\" --config \"$1\""] {
        // The launch adds the agent by its path, which is not wanted, and the file.
        let words = ["/bin/sh", "-c", script, example_agent().to_str().unwrap()];
        let agent = crate::support::Launch::of(example_agent(), &scene).under(&words).start(&config);
        scene.reports.start("web");
        agent.quit();
    }
    scene.finish();
}
