// SPDX-License-Identifier: MPL-2.0
//! A declared proxy is started, in the surroundings that were declared.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::Path;

use rustix::process::{Resource, Signal, geteuid, getrlimit};
use serde_json::json;

use crate::support::{Agent, Config, HELPER, Launch, Proxy, Scene, Status, list};

#[test]
fn a_declared_proxy_runs_and_its_pid_file_says_so() {
    let scene = Scene::new();
    let agent = Agent::start(&scene, &Config::new(&scene).proxy("web", Proxy::helper(&["run"])));
    let start = scene.reports.start("web");
    assert_eq!(start.ppid, agent.pid());

    let status = agent.status_running(&scene, "web", start.pid);
    let web = &status["web"];
    assert_eq!((web.mode.as_str(), web.adopted, web.restarts), ("daemon", false, 0));
    assert_eq!((&web.last_exit, web.next_start_ms, &web.last_error), (&None, None, &None));
    assert_eq!(scene.pid_file("web").unwrap(), format!("{}\n", start.pid));

    agent.quit();
    scene.finish();
}

#[test]
fn the_proxy_overrides_the_manager_and_the_manager_the_agent() {
    let scene = Scene::new();
    let launch =
        Launch::new(&scene).env("A", "agent").env("B", "agent").env("C", "agent").env("CONNECT_PROXY_ID", "no");
    let config = Config::new(&scene).set("proxy_env", ["B=manager", "C=manager", "CONNECT_PROXY_TOKEN=no"].as_slice());
    let proxy = Proxy::helper(&["inspect"]).env(&["C=own", "D=a=b", "CONNECT_SIDECAR_FOR=no"]);
    let proxy = proxy.set("token", "secret").set("target_service", "db");
    let agent = launch.start(&config.proxy("web", proxy));
    let found = scene.reports.start("web").inspection.unwrap();

    let expected = [
        ("A", "agent"),
        ("B", "manager"),
        ("C", "own"),
        ("D", "a=b"),
        ("CONNECT_PROXY_ID", "web"),
        ("CONNECT_PROXY_TOKEN", "secret"),
        ("CONNECT_SIDECAR_FOR", "db"),
    ];
    for (name, value) in expected {
        assert_eq!(found.env.get(name).map(String::as_str), Some(value), "{name}");
    }
    agent.quit();
    scene.finish();
}

#[test]
fn a_token_is_drawn_and_kept_when_none_is_declared() {
    let scene = Scene::new();
    let agent = Agent::start(&scene, &Config::new(&scene).proxy("web", Proxy::helper(&["inspect"])));
    let start = scene.reports.start("web");
    let first = start.inspection.unwrap();
    let token = first.env["CONNECT_PROXY_TOKEN"].clone();
    assert!(token.len() >= 32, "{token}");
    assert!(!first.env.contains_key("CONNECT_SIDECAR_FOR"), "it has no target");

    start.process.kill();
    let second = scene.reports.start("web").inspection.unwrap();
    assert_eq!(second.env["CONNECT_PROXY_TOKEN"], token, "a restart is no reason for another token");
    agent.quit();
    scene.finish();
}

#[test]
fn a_process_starts_clean() {
    let scene = Scene::new();
    let dir = scene.path("work");
    fs::create_dir(&dir).unwrap();
    let proxy = Proxy::helper(&["inspect", "an argument", ""]).set("dir", dir.to_str().unwrap());
    let agent = Agent::start(&scene, &Config::new(&scene).proxy("web", proxy));
    let start = scene.reports.start("web");
    let (pid, found) = (start.pid, start.inspection.unwrap());

    assert_eq!(found.argv[1..], ["inspect", "an argument", ""]);
    assert_eq!(Path::new(&found.cwd), fs::canonicalize(&dir).unwrap());
    let logs = fs::canonicalize(scene.data_dir().join("logs")).unwrap();
    let log = |stream: &str| logs.join(format!("web-{stream}.log")).to_str().unwrap().to_owned();
    let fds: Vec<(u32, String)> = found.fds.into_iter().collect();
    assert_eq!(fds, [(0, "/dev/null".to_owned()), (1, log("stdout")), (2, log("stderr"))]);
    assert_eq!((found.session, found.group, found.blocked), (pid, pid, 0));
    const SIGPIPE: u64 = 1 << 12;
    assert_eq!(found.ignored & !SIGPIPE, 0);
    let own = getrlimit(Resource::Nofile);
    assert_eq!(found.descriptors, (own.current, own.maximum), "as the agent was started with, not as it raised it");
    agent.quit();
    scene.finish();
}

/// Rust's runtime ignores SIGPIPE before `main` of the helper, so a program without one is asked.
#[test]
fn a_process_has_no_signal_ignored() {
    let scene = Scene::new();
    let proxy = Proxy::command(&["cat", "/proc/self/status"]).set("restart", json!({"max_wait_ms": 60_000}));
    let agent = Agent::start(&scene, &Config::new(&scene).proxy("cat", proxy));
    agent.status_when(&scene, "cat has ended a few times", |status| status.is("cat", "waiting"));
    let text = scene.log("cat", "stdout");
    let masks: Vec<&str> =
        text.lines().filter(|line| line.starts_with("SigIgn:") || line.starts_with("SigBlk:")).collect();
    assert!(masks.len() >= 2 && masks.iter().all(|line| line.ends_with("\t0000000000000000")), "{masks:?}");
    agent.quit();
    scene.finish();
}

/// A system program tells who it is: another user may not be let to where the helper was built.
#[test]
fn a_process_is_the_user_that_is_declared_if_the_agent_may_choose() {
    let scene = Scene::new();
    let nobody = json!({"uid": 65534, "gid": 65534, "groups": [65534, 12345]});
    let proxy = Proxy::command(&["cat", "/proc/self/status"]).set("credentials", nobody);
    // Root is refused, but this is not root.
    let agent = Agent::start(&scene, &Config::new(&scene).set("allow_root", false).proxy("cat", proxy));
    let status = agent.status_when(&scene, "cat has been tried", |status| status.is("cat", "waiting"));
    if geteuid().is_root() {
        let text = scene.log("cat", "stdout");
        let ids = "\t65534".repeat(4);
        for line in [format!("Uid:{ids}"), format!("Gid:{ids}"), "Groups:\t12345 65534 ".to_owned()] {
            assert!(text.lines().any(|found| found == line), "{line:?} in {text}");
        }
    } else {
        let error = status["cat"].last_error.clone().unwrap_or_default();
        assert!(error.contains("Operation not permitted"), "{status:?}");
    }
    agent.quit();
    scene.finish();
}

#[test]
fn a_relative_program_is_found_below_the_directory_of_the_proxy() {
    let scene = Scene::new();
    let place = scene.path("place");
    fs::create_dir(&place).unwrap();
    symlink(*HELPER, place.join("program")).unwrap();
    let relative = Proxy::command(&["./program", "inspect"]).set("dir", place.to_str().unwrap());
    let agent = Agent::start(&scene, &Config::new(&scene).proxy("web", relative));
    let start = scene.reports.start("web");
    let cwd = fs::canonicalize(&place).unwrap();
    assert_eq!(start.inspection.unwrap().cwd, cwd.to_str().unwrap());
    agent.quit();
    scene.finish();
}

#[test]
fn an_id_is_never_a_path() {
    let scene = Scene::new();
    let ids = ["../escaped", "/etc/absolute", ".", "..", "a/b", " spaces ", "%41", "ümlaut\n"];
    let long = "x".repeat(300);
    let all = || ids.into_iter().chain([long.as_str()]);
    let config = all().fold(Config::new(&scene), |config, id| config.proxy(id, Proxy::helper(&["run"])));
    let agent = Agent::start(&scene, &config);
    let starts: Vec<_> = all().map(|id| scene.reports.start(id)).collect();
    let run = |status: &Status| starts.iter().all(|start| status.runs(&start.id, start.pid));
    agent.status_when(&scene, "all run", run);
    agent.kill();

    let agent = Agent::start(&scene, &config);
    agent.status_when(&scene, "all are adopted", run);
    agent.quit();
    assert_eq!(list(&scene.path("")), ["agent.json", "data", "locks"]);
    let mut found = list(&scene.data_dir());
    // By which the agent in Rust is asked.
    found.retain(|name| name != "agent.sock");
    assert_eq!(found, ["lock", "logs", "pids", "records", "snapshot.json"]);
    scene.finish();
}

#[test]
fn files_are_private_and_hold_no_environment() {
    let scene = Scene::new();
    let launch = Launch::new(&scene).env("AGENT_SECRET", "agent-secret-value");
    let agent = launch.start(&Config::new(&scene).proxy("web", Proxy::helper(&["log", "text"])));
    let start = scene.reports.start("web");
    agent.status_running(&scene, "web", start.pid);
    agent.end_by(Signal::TERM);

    let mut dirs = vec![scene.data_dir()];
    let mut files = Vec::new();
    while let Some(dir) = dirs.pop() {
        assert_eq!(mode(&dir), 0o700, "{}", dir.display());
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            if entry.path().is_dir() { dirs.push(entry.path()) } else { files.push(entry.path()) }
        }
    }
    assert!(files.len() >= 5, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
        if fs::symlink_metadata(&file).unwrap().file_type().is_socket() {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains("agent-secret-value"), "{}: {text}", file.display());
    }
    start.process.kill();
    scene.finish();
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}
