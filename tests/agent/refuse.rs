// SPDX-License-Identifier: MPL-2.0
//! What an agent refuses to do, and how it says so.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use rustix::process::geteuid;
use serde_json::json;

use crate::support::{Agent, Config, HELPER, Launch, Proxy, Scene, Status};

#[test]
fn a_bad_configuration_is_refused_by_the_name_of_the_field() {
    let run = || Proxy::helper(&["run"]);
    let scene = Scene::new();
    let good = || Config::new(&scene).proxy("good", run());
    let cases = [
        (good().set("colour", true), "colour: unknown field, expected one of data_dir, allow_root, "),
        (good().set("on_exit", "explode"), "on_exit: expected \"leave\""),
        (good().set("snapshot_period_ms", "soon"), "snapshot_period_ms"),
        (good().set("max_handovers", 0), "max_handovers"),
        (good().set("keep_removed", -1), "keep_removed: expected a number from 0 to 4294967295"),
        (good().set("cgroup", "always"), "cgroup: expected \"off\", \"auto\" or \"required\", got"),
        (
            good().set("cgroup", "off").set("cgroup_base", "/sys/fs/cgroup"),
            "cgroup_base: expected none with cgroup off",
        ),
        (
            good().set("proxy_env", ["A"].as_slice()),
            "proxy_env[0]: expected a string NAME=value, got a string without =",
        ),
        (good().proxy("web", Proxy::command(&[])), "proxies.web.command"),
        (good().proxy("web", Proxy::command(&["a\0b"])), "proxies.web.command[0]"),
        (good().proxy("web", run().set("comand", "x")), "proxies.web.comand"),
        (good().proxy("web", run().set("stop_signal", "SIGNOTHING")), "proxies.web.stop_signal"),
        (good().proxy("web", run().set("grace_period_ms", -1)), "proxies.web.grace_period_ms"),
        (good().proxy("web", run().set("restart", json!({"jitter": 2}))), "proxies.web.restart.jitter"),
        (good().proxy("web", run().set("env", ["=x"].as_slice())), "proxies.web.env[0]"),
        (
            good().proxy("web", run().set("credentials", json!({"user": "a"}))),
            "proxies.web.credentials.user: unknown field",
        ),
        (good().proxy("", run()), "proxies."),
    ];
    for (config, field) in cases {
        let mut agent = Launch::new(&scene).spawn(&config);
        assert_eq!(agent.end().code(), Some(1), "{field}: {}", agent.log());
        assert!(agent.log().contains(field), "{field}: {}", agent.log());
    }
    scene.finish();
}

/// The usual reader of JSON would silently take the last.
#[test]
fn what_is_declared_twice_is_refused() {
    let scene = Scene::new();
    let twice = [
        (r#"{"proxies": {"web": {"command": ["a"]}, "web": {"command": ["b"]}}}"#, "proxies.web: declared twice"),
        (r#"{"proxies": {"web": {"command": ["a"], "dir": "b", "dir": "c"}}}"#, "\"dir\" again"),
        (r#"{"proxies": {}, "on_exit": "stop", "on_exit": "leave"}"#, "on_exit: declared twice"),
        (r#"{"proxies": {"web": {"command": ["a"]}}, "proxies": {}}"#, "proxies: declared twice"),
    ];
    for (text, said) in twice {
        let mut agent = Launch::new(&scene).spawn_with(|path| std::fs::write(path, text).unwrap());
        assert_eq!(agent.end().code(), Some(1), "{text}: {}", agent.log());
        // The last one is what the library for JSON in C says of all of them.
        let log = agent.log();
        assert!(log.contains(said) || log.contains("duplicate object key"), "{text}: {log}");
    }
    scene.finish();
}

#[test]
fn a_data_directory_that_is_something_else_is_refused_as_such() {
    let scene = Scene::new();
    let (file, link) = (scene.path("file"), scene.path("link"));
    std::fs::write(&file, "").unwrap();
    symlink(scene.path("nowhere"), &link).unwrap();
    for place in [file, link] {
        let mut agent = Launch::new(&scene).spawn(&Config::new(&scene).set("data_dir", place.to_str().unwrap()));
        assert_eq!(agent.end().code(), Some(1), "{}", agent.log());
        let said = format!("data directory {} is not a directory", place.display());
        assert!(agent.log().contains(&said), "{}", agent.log());
    }
    scene.finish();
}

#[test]
fn a_file_that_is_missing_or_no_json_is_refused_by_its_path() {
    let scene = Scene::new();
    for content in [None, Some("{\"proxies\": {"), Some("[]"), Some("")] {
        let mut agent = Launch::new(&scene).spawn_with(|path| match content {
            None => drop(std::fs::remove_file(path)),
            Some(text) => std::fs::write(path, text).unwrap(),
        });
        assert_eq!(agent.end().code(), Some(1), "{content:?}: {}", agent.log());
        assert!(agent.log().contains("agent.json"), "{content:?}: {}", agent.log());
    }
    scene.finish();
}

#[test]
fn a_second_agent_on_the_same_directory_is_refused_and_told_who_is_there() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["run"]));
    let first = Agent::start(&scene, &config);
    let web = scene.reports.start("web");

    let mut second = Launch::new(&scene).spawn(&config);
    assert_eq!(second.end().code(), Some(1), "{}", second.log());
    let holder = first.pid().to_string();
    assert!(second.log().split(|other: char| !other.is_ascii_digit()).any(|word| word == holder), "{}", second.log());

    first.status_running(&scene, "web", web.pid);
    first.quit();
    scene.finish();
}

#[test]
fn nothing_runs_as_root_unless_it_is_allowed() {
    let scene = Scene::new();
    let config = Config::new(&scene).set("allow_root", false).proxy("web", Proxy::helper(&["run"]));
    let agent = Agent::start(&scene, &config);
    if geteuid().is_root() {
        let refused = |status: &Status| status.error("web").is_some_and(|error| error.to_lowercase().contains("root"));
        let status = agent.status_when(&scene, "it says why web does not run", refused);
        assert_eq!((status["web"].pid, scene.pid_files().len()), (None, 0));
        agent.wait_for_log("declare credentials of another user, or set allow_root");
        agent.reload(&config.set("allow_root", true));
    }
    let web = scene.reports.start("web");
    let status = agent.status_running(&scene, "web", web.pid);
    assert_eq!(status["web"].last_error, None);
    agent.quit();
    scene.finish();
}

#[test]
fn root_takes_over_but_does_not_restart_what_it_may_not_run() {
    if !geteuid().is_root() {
        return; // there is nothing to refuse: the test above has shown that it runs
    }
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["run"]));
    let agent = Agent::start(&scene, &config);
    let web = scene.reports.start("web");
    agent.kill();

    let agent = Agent::start(&scene, &config.set("allow_root", false));
    web.process.kill();
    let status = agent.status_when(&scene, "it says why web does not run", |status| status.error("web").is_some());
    assert_eq!(status["web"].pid, None);
    agent.quit();
    scene.finish();
}

#[test]
fn a_missing_program_is_waited_for() {
    let scene = Scene::new();
    let program = scene.path("later");
    let restart = json!({"max_wait_ms": 200});
    let path = program.to_str().unwrap();
    let config = Config::new(&scene)
        .proxy("web", Proxy::command(&[path, "run"]).set("restart", restart))
        .proxy("other", Proxy::helper(&["run"]));
    let agent = Agent::start(&scene, &config);
    scene.reports.start("other");
    let status = agent.status_when(&scene, "web waits", |status| status.is("web", "waiting"));
    let web = &status["web"];
    assert!(web.last_error.as_ref().is_some_and(|error| error.contains(path)), "{web:?}");
    assert!(web.pid.is_none() && web.next_start_ms.is_some_and(|ms| ms <= 200), "{web:?}");
    agent.wait_for_log(path);
    scene.wait_for_pid_files(&["other.pid"]);

    symlink(*HELPER, &program).unwrap();
    let web = scene.reports.start("web");
    let status = agent.status_running(&scene, "web", web.pid);
    assert_eq!(status["web"].last_error, None);
    agent.quit();
    scene.finish();
}

/// execve(2) says the same of nearly all of them.
#[test]
fn why_a_program_cannot_be_executed_is_said_as_far_as_it_can_be_seen() {
    let scene = Scene::new();
    let dir = scene.path("work");
    fs::create_dir(&dir).unwrap();
    for (name, text) in [("script", "#!/no/such/interpreter -x\n"), ("text", "echo\n")] {
        fs::write(dir.join(name), text).unwrap();
        fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let missing = "No such file or directory (os error 2)";
    let at = dir.display();
    let hint = ", but its first word is there: arguments are words of their own";
    let cases = [
        ("no-such-bin", format!("not found in PATH (/no/such:/bin): {missing}")),
        ("sh -c true", format!("not found in PATH (/no/such:/bin){hint}: {missing}")),
        ("bin/x", format!("no such file (relative to {at}): {missing}")),
        ("./script", format!("its interpreter /no/such/interpreter is missing: {missing}")),
        ("/bin", "is a directory: Permission denied (os error 13)".to_owned()),
        ("./text", "no #! line and no known format: Exec format error (os error 8)".to_owned()),
    ];
    let restart = json!({"max_wait_ms": 200});
    let config = cases.iter().fold(Config::new(&scene), |config, (program, _)| {
        let proxy = Proxy::command(&[program]).set("dir", dir.to_str().unwrap()).set("restart", restart.clone());
        config.proxy(program, proxy.env(&["PATH=/no/such:/bin", "SECRET=not to be told"]))
    });
    let agent = Agent::start(&scene, &config);
    for (program, why) in cases {
        let expected = format!("execute {program}: {why}");
        agent.status_when(&scene, &expected, |status| status.error(program) == Some(&expected));
    }
    agent.quit();
    scene.finish();
}
