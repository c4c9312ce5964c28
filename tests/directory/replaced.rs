// SPDX-License-Identifier: MPL-2.0
//! Directories of a running agent that are replaced, or become another user's, between two starts: they are kept open, and
//! what is used has to be what is there by now.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use rustix::process::geteuid;
use serde_json::json;

use crate::directory::tell::{everything, wait_for_files};
use crate::support::{Agent, Config, Proxy, Scene, Status};

const PARTS: [&str; 3] = ["logs", "pids", "records"];

/// The user `nobody` of most systems.
const STRANGER: u32 = 65534;

/// With one proxy, which is tried again soon.
fn config(scene: &Scene) -> Config {
    Config::new(scene).proxy("web", Proxy::helper(&["run"]).set("restart", json!({"max_wait_ms": 50})))
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

#[test]
fn a_directory_that_takes_the_place_of_another_is_used_from_the_next_start_on() {
    for part in PARTS {
        let scene = Scene::new();
        let agent = Agent::start(&scene, &config(&scene));
        let mut web = scene.reports.start("web");
        wait_for_files(&scene.data_dir(), &[&web]);
        let [path, first, second] = [scene.data_dir().join(part), scene.path("first"), scene.path("second")];
        let mut restart = || {
            web.process.kill();
            web = scene.reports.start("web");
            wait_for_files(&scene.data_dir(), &[&web]);
        };
        restart();

        let before = everything(&path).into_values().collect::<Vec<_>>();
        fs::rename(&path, &first).unwrap();
        fs::create_dir(&path).unwrap();
        set_mode(&path, 0o700);
        restart();
        restart();
        assert_eq!(everything(&first).into_values().collect::<Vec<_>>(), before, "{part}");

        // And the first one again.
        let before = everything(&path).into_values().collect::<Vec<_>>();
        fs::rename(&path, &second).unwrap();
        fs::rename(&first, &path).unwrap();
        restart();
        assert_eq!(everything(&second).into_values().collect::<Vec<_>>(), before, "{part}");
        agent.quit();
        scene.finish();
    }
}

/// Spoils a directory between two starts. It is not used any more and the status says why, until all is mended.
#[track_caller]
fn refused(part: &str, why: &str, spoil: impl FnOnce(&Path), mend: impl FnOnce(&Path)) {
    let scene = Scene::new();
    let agent = Agent::start(&scene, &config(&scene));
    let web = scene.reports.start("web");
    wait_for_files(&scene.data_dir(), &[&web]);
    web.process.kill();
    let web = scene.reports.start("web");
    wait_for_files(&scene.data_dir(), &[&web]);

    let path = scene.data_dir().join(part);
    spoil(&path);
    // Also of what is behind a link.
    let files = || {
        let mut all = everything(&fs::canonicalize(&path).unwrap());
        all.retain(|path, _| path.is_file());
        all
    };
    let before = files();
    web.process.kill();
    let told = format!("open directory {}: {why}", path.display());
    // A pid file is no reason not to start.
    let started = (part == "pids").then(|| scene.reports.start("web"));
    agent.status_when(&scene, "it says why", |status: &Status| {
        let told = status.error("web").is_some_and(|error| error.contains(&told));
        told && (started.is_some() || status.is("web", "waiting"))
    });
    // What is of a dead process may be removed anywhere.
    assert!(files().iter().all(|(path, is)| before.get(path) == Some(is)), "{part}: {why}: {before:?}, {:?}", files());

    mend(&path);
    let web = started.unwrap_or_else(|| scene.reports.start("web"));
    wait_for_files(&scene.data_dir(), &[&web]);
    agent.quit();
    scene.finish();
}

#[test]
fn a_directory_that_others_may_write_to_by_now_is_not_used_and_said() {
    for part in PARTS {
        for mode in [0o720, 0o1702] {
            let why = format!("others may write to it (mode {mode:04o}), expected 0700");
            refused(part, &why, |path| set_mode(path, mode), |path| set_mode(path, 0o700));
        }
    }
}

/// Only root can give a directory away.
#[test]
fn directory_of_another_user_by_now_is_not_used_and_said() {
    if !geteuid().is_root() {
        return;
    }
    for part in PARTS {
        let give = |path: &Path, to| chown(path, Some(to), None).unwrap();
        let why = format!("owned by user {STRANGER}, expected 0");
        refused(part, &why, |path| give(path, STRANGER), |path| give(path, 0));
    }
}

/// Even to the very directory that was there.
#[test]
fn a_link_that_takes_the_place_of_a_directory_is_not_followed_and_said() {
    for part in PARTS {
        let kept = |path: &Path| path.parent().unwrap().with_file_name("kept");
        let link = |path: &Path| {
            fs::rename(path, kept(path)).unwrap();
            symlink(kept(path), path).unwrap();
        };
        let mend = |path: &Path| {
            fs::remove_file(path).unwrap();
            fs::rename(kept(path), path).unwrap();
        };
        let why = "Not a directory (os error 20); it is a symbolic link, which is not followed; a bind mount is";
        refused(part, why, link, mend);
    }
}
