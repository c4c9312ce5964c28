// SPDX-License-Identifier: MPL-2.0
//! Files and directories that are removed under a running agent.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::directory::tell::wait_for_files;
use crate::support::{Agent, Changes, Config, Deadline, Launch, Proxy, Scene, Status, agent_with_fail_points};

/// An agent that has no reason to look at its directory once all is written down.
fn idle(scene: &Scene) -> Config {
    Config::new(scene).set("snapshot_period_ms", 3_600_000)
}

/// A proxy that is tried again soon.
fn eager(role: &[&str]) -> Proxy {
    Proxy::helper(role).set("restart", json!({"max_wait_ms": 50}))
}

/// An occasion to notice is a start, here after a crash. The other one, which goes on running, is recorded again.
#[test]
fn what_is_removed_is_made_anew_and_holds_everything_again() {
    const PARTS: [&[&str]; 5] =
        [&["logs"], &["pids"], &["records"], &["logs", "pids", "records", "snapshot.json", "lock"], &[""]];
    for parts in PARTS {
        let scene = Scene::new();
        let data_dir = scene.data_dir();
        let config = Config::new(&scene).proxy("web", eager(&["run"])).proxy("other", eager(&["run"]));
        let agent = Agent::start(&scene, &config);
        let (web, other) = (scene.reports.start("web"), scene.reports.start("other"));
        wait_for_files(&data_dir, &[&web, &other]);
        for path in parts.iter().map(|part| data_dir.join(part)) {
            if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
        }
        web.process.kill();
        let web = scene.reports.start("web");
        if parts == ["logs"] {
            // The other one writes to the file that it has, as long as it has it.
            other.process.kill();
            let other = scene.reports.start("other");
            wait_for_files(&data_dir, &[&web, &other]);
            agent.quit();
            scene.finish();
            continue;
        }
        if parts.contains(&"logs") || parts == [""] {
            let logs = ["stdout", "stderr"].map(|stream| data_dir.join(format!("logs/other-{stream}.log")));
            for log in logs {
                fs::write(&log, "").unwrap();
                fs::set_permissions(&log, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            }
        }
        wait_for_files(&data_dir, &[&web, &other]);
        agent.wait_for_log("was removed: made or opened anew");
        // There is one agent, as before.
        let mut second = Launch::new(&scene).spawn(&config);
        assert_eq!(second.end().code(), Some(1), "{}", second.log());
        assert!(second.log().contains(&format!("is in use by process {}", agent.pid())), "{}", second.log());
        agent.kill();

        let next = Agent::start(&scene, &config);
        next.status_running(&scene, "web", web.pid);
        next.status_running(&scene, "other", other.pid);
        next.quit();
        scene.finish();
    }
}

#[test]
fn status_names_a_removed_directory_and_has_it_made_again() {
    for part in ["", "records"] {
        let scene = Scene::new();
        let data_dir = scene.data_dir();
        let config = idle(&scene).proxy("web", Proxy::helper(&["run"]));
        let agent = Agent::start(&scene, &config);
        let web = scene.reports.start("web");
        wait_for_files(&data_dir, &[&web]);
        fs::remove_dir_all(data_dir.join(part)).unwrap();
        // It is made again once that was told.
        let names_it = |status: &Status| status.error("web").is_some_and(|error| error.contains("was removed"));
        agent.status_when(&scene, "the removed directory is named", names_it);
        agent.status_when(&scene, "all is well", |status| status.error("web").is_none());
        // Nothing has been started meanwhile that would have a log.
        agent.status_running(&scene, "web", web.pid);
        // The directories are there again an instant before the record.
        let (changes, deadline) = (Changes::of(&data_dir), Deadline::of("the record of web"));
        while !data_dir.join("records/web.json").exists() {
            changes.wait(deadline.left().min(Duration::from_millis(20)));
        }
        agent.kill();
        let next = Agent::start(&scene, &config);
        next.status_running(&scene, "web", web.pid);
        next.quit();
        scene.finish();
    }
}

/// The directories are renewed between the record of a process and the news of its start.
#[test]
fn record_that_is_removed_before_its_start_is_known_is_written_again() {
    let scene = Scene::new();
    let data_dir = scene.data_dir();
    let config = idle(&scene).proxy("web", Proxy::helper(&["run"]));
    let release = scene.path("release");
    let agent = Launch::of(agent_with_fail_points(), &scene)
        .env("PROXYPROCESS_FAIL", "start:written-down#1=hold")
        .env("PROXYPROCESS_FAIL_RELEASE", release.to_str().expect("a path in UTF-8"))
        .start(&config);
    let web = scene.reports.start("web");
    wait_for_files(&data_dir, &[&web]);
    fs::remove_dir_all(data_dir.join("records")).unwrap();
    agent.status_when(&scene, "the directory is made again", |_| data_dir.join("records").exists());
    fs::write(release, "").unwrap();
    wait_for_files(&data_dir, &[&web]);
    agent.kill();
    let next = Agent::start(&scene, &config);
    next.status_running(&scene, "web", web.pid);
    next.quit();
    scene.finish();
}

#[test]
fn a_close_leaves_records_also_of_those_whose_records_were_removed() {
    let scene = Scene::new();
    let data_dir = scene.data_dir();
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["run"])).proxy("other", Proxy::helper(&["run"]));
    let agent = Agent::start(&scene, &config);
    let (web, other) = (scene.reports.start("web"), scene.reports.start("other"));
    wait_for_files(&data_dir, &[&web, &other]);
    for name in ["records/web.json", "pids/web.pid", "pids/other.pid", "snapshot.json"] {
        fs::remove_file(data_dir.join(name)).unwrap();
    }
    agent.end_by(Signal::TERM);
    wait_for_files(&data_dir, &[&web, &other]);
    let next = Agent::start(&scene, &config);
    next.status_running(&scene, "web", web.pid);
    next.status_running(&scene, "other", other.pid);
    next.quit();
    scene.finish();
}

/// The second agent cannot be kept out. But the first one starts no more processes beside it.
#[test]
fn agent_whose_directory_another_agent_took_starts_nothing_until_it_is_free() {
    for leaves in [false, true] {
        let scene = Scene::new();
        let data_dir = scene.data_dir();
        let config = idle(&scene).proxy("web", eager(&["run"]));
        let mut first = Agent::start(&scene, &config);
        let web = scene.reports.start("web");
        first.status_running(&scene, "web", web.pid);
        fs::remove_dir_all(&data_dir).unwrap();
        let second_config = Config::new(&scene).proxy("db", Proxy::helper(&["run"]));
        let second = Agent::start(&scene, &second_config);
        let db = scene.reports.start("db");
        second.status_running(&scene, "db", db.pid);

        let waits = |why: &str| {
            let why = format!("data directory {} was removed: {why}", data_dir.display());
            let waits = |status: &Status| {
                status.is("web", "waiting") && status.error("web").is_some_and(|error| error.contains(&why))
            };
            first.status_when(&scene, "it says who has its directory", waits);
        };
        web.process.kill();
        waits(&format!("data directory {} is in use by process {}", data_dir.display(), second.pid()));
        second.status_running(&scene, "db", db.pid);
        if leaves {
            second.end_by(Signal::TERM);
            waits("the one in its place has the records of another agent");
            first.signal(Signal::QUIT);
            assert_eq!(first.end().code(), Some(1), "{}", first.log());
            let next = Agent::start(&scene, &second_config);
            next.status_running(&scene, "db", db.pid);
            next.quit();
        } else {
            second.quit();
            let web = scene.reports.start("web");
            wait_for_files(&data_dir, &[&web]);
            first.quit();
        }
        scene.finish();
    }
}
