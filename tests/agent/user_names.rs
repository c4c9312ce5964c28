// SPDX-License-Identifier: MPL-2.0
//! Proxies whose user is declared by name.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use serde_json::json;

use crate::support::{Agent, Config, Launch, Proxy, Scene, Status};

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
        // Between two waits it is starting, with the error of the last start.
        let state = if id == "root" { "failed" } else { "waiting" };
        let refused = |status: &Status| status.error(id).is_some() && status.is(id, state);
        let status = agent.status_when(&scene, "it is refused", refused);
        let error = status.error(id).unwrap();
        assert!(error.starts_with(expected), "{error}");
    }
    agent.quit();
    scene.finish();
}

/// Whether a test can have a user database of its own, in a mount namespace.
#[track_caller]
fn has_mounts() -> bool {
    let possible = Command::new("unshare").args(["--mount", "true"]).output();
    if geteuid().is_root() && possible.is_ok_and(|output| output.status.success()) {
        return true;
    }
    let required = geteuid().is_root() && std::env::var_os("PROXYPROCESS_CI").is_some();
    assert!(!required, "no mount namespace");
    println!("skipped: no mount namespace");
    false
}

/// What is to be run by a shell of a mount namespace, so that a program has this user database.
fn with_users(file: &Path) -> String {
    format!("mount --bind '{}' /etc/passwd && exec \"$@\"", file.display())
}

/// To setresuid(2) and setresgid(2) it means that nothing is changed: the process would be root.
#[test]
fn a_user_whose_uid_or_gid_is_the_highest_number_is_refused() {
    if !has_mounts() {
        return;
    }
    let scene = Scene::new();
    let users = scene.path("passwd");
    let before = fs::read_to_string("/etc/passwd").unwrap();
    let lines = "no-uid:x:4294967295:65534::/:/bin/sh\nno-gid:x:65534:4294967295::/:/bin/sh\n";
    fs::write(&users, format!("{before}{lines}")).unwrap();
    let config = Config::new(&scene).set("allow_root", false);
    let config = config.proxy("uid", tells("no-uid")).proxy("gid", tells("no-gid"));
    let mount = with_users(&users);
    let agent = Launch::new(&scene).under(&["unshare", "--mount", "sh", "-c", &mount, "sh"]).start(&config);
    for id in ["uid", "gid"] {
        let status = agent.status_when(&scene, "it is refused", |status| status.error(id).is_some());
        let expected = "expected a whole number from 0 to 4294967294, got 4294967295";
        assert_eq!(status.error(id).unwrap(), format!("look up user no-{id}: {id}: {expected}"));
        assert_eq!(status[id].pid, None);
    }
    agent.quit();
    scene.finish();
}

/// A FIFO that has no writer is a file that does not answer.
#[test]
fn a_user_database_that_does_not_answer_holds_up_the_proxies_with_a_user_alone() {
    if !has_mounts() {
        return;
    }
    let scene = Scene::new();
    let users = scene.path("passwd");
    mknodat(CWD, &users, FileType::Fifo, Mode::RUSR, 0).unwrap();
    let restart = json!({"max_wait_ms": 100});
    let named = (0..24).map(|number| format!("named-{number}"));
    let config = Config::new(&scene).proxy("plain", Proxy::helper(&["run"]));
    let config = named.fold(config, |config, id| config.proxy(&id, tells("nobody").set("restart", restart.clone())));
    let mount = with_users(&users);
    let agent = Launch::new(&scene).under(&["unshare", "--mount", "sh", "-c", &mount, "sh"]).start(&config);
    let plain = scene.reports.start("plain");
    agent.status_running(&scene, "plain", plain.pid);
    // One asks, and goes on to.
    agent.status_when(&scene, "the others are told why", |status| {
        let why = "look up user nobody: the user database has not answered another look-up for ";
        let told = status.proxies.keys().filter(|id| status.error(id).is_some_and(|error| error.starts_with(why)));
        told.count() == 23
    });
    let pid = agent.pid().to_string();
    said_by(&["nsenter", "--mount", "--target", &pid, "umount", "--lazy", "/etc/passwd"]);
    // What the one that asks gets is an empty file.
    drop(OpenOptions::new().write(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(&users).unwrap());
    agent.status_when(&scene, "all run", |status| status.proxies.keys().all(|id| status.is(id, "running")));
    agent.quit();
    scene.finish();
}

/// In a mount namespace, where the user database is the test's own.
#[test]
fn a_user_that_comes_later_is_found_and_one_with_another_number_at_the_next_start() {
    if !has_mounts() {
        return;
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
    let mount = with_users(&users);
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
