// SPDX-License-Identifier: MPL-2.0
//! Proxies whose user is declared by name.

use std::fs;
use std::process::Command;

use rustix::process::{Pid, Signal, geteuid, kill_process};
use serde_json::json;

use crate::support::{Agent, Config, Launch, Proxy, Scene};

/// Prints who it is, and is ready then.
const TELLS: &str = "id -u; id -g; id -G; echo \"$HOME:$USER:$LOGNAME\"; echo >&9; exec sleep 1000";

fn tells(user: &str) -> Proxy {
    Proxy::command(&["sh", "-c", TELLS]).set("dir", "/").set("ready", json!({"fd": 9})).set("user", user)
}

/// What id(1) and getent(1) print.
fn said_by(command: &[&str]) -> String {
    let output = Command::new(command[0]).args(&command[1..]).output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

#[test]
fn a_user_by_name_has_its_groups_and_variables() {
    let scene = Scene::new();
    let own = tells("nobody").env(&["HOME=/own"]).set("unset_env", ["LOGNAME"].as_slice()).set("group", "daemon");
    let config = Config::new(&scene).set("proxy_env", ["USER=manager"].as_slice()).proxy("own", own);
    let agent = Launch::new(&scene).env("LOGNAME", "agent").start(&config);
    if !geteuid().is_root() {
        // Not even its own groups can be set without privileges.
        let status = agent.status_when(&scene, "it is refused", |status| status.error("own").is_some());
        let error = status.error("own").unwrap();
        assert!(error.starts_with("set supplementary groups: Operation not permitted"), "{error}");
        agent.quit();
        return scene.finish();
    }
    agent.status_when(&scene, "it is ready", |status| status.is("own", "running"));
    let [uid, group] = [said_by(&["id", "-u", "nobody"]), said_by(&["getent", "group", "daemon"])];
    let gid = group.split(':').nth(2).unwrap();
    let log = scene.log("own", "stdout");
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!((lines[0], lines[1], lines[3]), (&*uid, gid, "/own:manager:"));
    assert!(lines[2].split(' ').any(|group| group == gid), "{log}");

    agent.reload(&Config::new(&scene).proxy("plain", tells("nobody").set("clear_env", true)));
    agent.status_when(&scene, "it is ready", |status| status.is("plain", "running"));
    let home = said_by(&["getent", "passwd", "nobody"]).split(':').nth(5).unwrap().to_owned();
    let [gid, groups] = ["-g", "-G"].map(|which| said_by(&["id", which, "nobody"]));
    assert_eq!(scene.log("plain", "stdout"), format!("{uid}\n{gid}\n{groups}\n{home}:nobody:nobody\n"));
    agent.quit();
    scene.finish();
}

#[test]
fn a_user_or_group_that_is_missing_is_named_and_root_is_refused() {
    let scene = Scene::new();
    let of = |user: &str| Proxy::helper(&["run"]).set("user", user);
    let config = Config::new(&scene).set("allow_root", false).proxy("user", of("no-such-user"));
    let config = config.proxy("group", of("nobody").set("group", "no-such-group")).proxy("root", of("root"));
    let agent = Agent::start(&scene, &config);
    for (id, expected) in [
        ("user", "user no-such-user: there is none of this name"),
        ("group", "group no-such-group: there is none of this name"),
        ("root", "refused to run a proxy as root"),
    ] {
        let status = agent.status_when(&scene, "it is refused", |status| status.error(id).is_some());
        let error = status.error(id).unwrap();
        assert!(error.starts_with(expected), "{error}");
        assert!(status.is(id, if id == "root" { "failed" } else { "waiting" }), "{status:?}");
    }
    agent.quit();
    scene.finish();
}

/// In a mount namespace, where the user database is the test's own.
#[test]
fn a_user_that_comes_later_is_found_and_one_with_another_number_at_the_next_start() {
    let possible = Command::new("unshare").args(["--mount", "true"]).output();
    if !geteuid().is_root() || !possible.is_ok_and(|output| output.status.success()) {
        let required = geteuid().is_root() && std::env::var_os("PROXYPROCESS_CI").is_some();
        assert!(!required, "no mount namespace");
        return println!("skipped: no mount namespace");
    }
    let scene = Scene::new();
    let users = scene.path("passwd");
    let before = fs::read_to_string("/etc/passwd").unwrap();
    // Written over and not replaced: the file is what is mounted.
    let write = |uid: Option<u32>| {
        let line = uid.map(|uid| format!("late-user:x:{uid}:65534::/late:/bin/sh\n")).unwrap_or_default();
        fs::write(&users, format!("{before}{line}")).unwrap();
    };
    write(None);
    let mount = format!("mount --bind '{}' /etc/passwd && exec \"$@\"", users.display());
    let launch = || Launch::new(&scene);
    let under = ["unshare", "--mount", "sh", "-c", &mount, "sh"];
    let config = Config::new(&scene).proxy("web", tells("late-user").set("restart", json!({"max_wait_ms": 0})));
    let agent = launch().under(&under).start(&config);
    agent.status_when(&scene, "the user is missing", |status| status.error("web").is_some());
    write(Some(4242));
    let status = agent.status_when(&scene, "the user is there", |status| status.is("web", "running"));
    let pid = status["web"].pid.unwrap();
    assert_eq!(scene.log("web", "stdout"), "4242\n65534\n65534\n/late:late-user:late-user\n");

    write(Some(4243));
    agent.kill();
    let agent = launch().under(&under).start(&config);
    assert!(agent.status_running(&scene, "web", pid)["web"].adopted);
    kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::KILL).unwrap();
    agent.status_when(&scene, "it is started again", |status| {
        status.is("web", "running") && status["web"].pid != Some(pid)
    });
    assert!(scene.log("web", "stdout").ends_with("4243\n65534\n65534\n/late:late-user:late-user\n"));
    agent.quit();
    scene.finish();
}
