// SPDX-License-Identifier: MPL-2.0
//! What a manager restores, from where, and when.

use std::fs;
use std::time::Duration;

use proxyprocess::{ErrorCode, EventKind, ExecMode, ProxyConfig, ProxyState, StopSettings};
use serde_json::json as document;

use crate::inside::{Host, helper, json, quick, wait_until};
use crate::support::Scene;

const HOUR: Duration = Duration::from_secs(3600);

/// A host that has restored what the files of a running one say: as they are, the next agent would find them if that were killed.
fn restored_from_the_files_of_now(scene: &Scene) -> Host {
    let found = scene.path("found");
    fs::create_dir(&found).unwrap();
    for name in ["snapshot.json", "snapshot.json.ahead"] {
        fs::copy(scene.data_dir().join(name), found.join(name)).unwrap();
    }
    let next = Host::new(quick(&found));
    next.restore().unwrap();
    next
}

#[test]
fn a_path_at_which_there_is_nothing_does_nothing() {
    let scene = Scene::of_library();
    let host = Host::new(quick(&scene.data_dir()));
    host.restore().unwrap();
    host.manager.restore(scene.path("absent")).unwrap();
    host.manager.restore(scene.path("no such directory/absent")).unwrap();
    assert_eq!(host.manager.status(), []);
    assert_eq!(host.manager.snapshot_path(), Some(scene.data_dir().join("snapshot.json")));
    host.kill();
    scene.finish();
}

#[test]
fn a_small_change_of_many_is_written_down_beside_the_snapshot_and_comes_back() {
    let scene = Scene::of_library();
    let mut options = quick(&scene.data_dir());
    options.snapshot_period = HOUR;
    let mut host = Host::new(options.clone());
    for number in 0..30 {
        host.set(&format!("p{number}"), ProxyConfig::of_mode(ExecMode::NOOP));
    }
    host.run();
    host.events.snapshot_written();
    let file = |name: &str| fs::read(scene.data_dir().join(name)).unwrap_or_default();
    let before = file("snapshot.json");
    host.set("late", ProxyConfig::of_mode(ExecMode::NOOP));
    wait_until(&scene.data_dir(), "the change", || file("snapshot.json.ahead").ends_with(b"}\n"));
    host.set("later", ProxyConfig::of_mode(ExecMode::NOOP));
    wait_until(&scene.data_dir(), "the second change", || {
        String::from_utf8(file("snapshot.json.ahead")).unwrap().contains("\"later\"")
    });
    assert_eq!(file("snapshot.json"), before);

    let next = restored_from_the_files_of_now(&scene);
    let ids: Vec<String> = next.manager.status().into_iter().map(|status| status.id).collect();
    assert_eq!(ids.len(), 32);
    assert!(ids.contains(&"late".to_owned()) && ids.contains(&"later".to_owned()), "{ids:?}");
    next.kill();

    host.close();
    assert_eq!(file("snapshot.json.ahead"), b"");
    assert!(String::from_utf8(file("snapshot.json")).unwrap().contains("\"later\""));
    scene.finish();
}

#[test]
fn what_changed_of_a_thousand_is_written_beside_the_snapshot_also_what_was_removed() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    for number in 0..1000 {
        host.set(&format!("p{number}"), ProxyConfig::of_mode(ExecMode::NOOP));
    }
    let paused = helper(&scene, &["run"]).with_enabled(false);
    for id in ["web", "gone"] {
        host.set(id, paused.clone());
    }
    host.run();
    host.events.snapshot_written();
    let file = |name: &str| fs::read_to_string(scene.data_dir().join(name)).unwrap_or_default();
    let before = file("snapshot.json");
    assert!(before.contains("\"gone\":{") && !before.contains("7007"));
    // A setting that begins nothing, and a removal: neither is written ahead of anything.
    let patient = StopSettings::default().with_grace_period(Duration::from_millis(7007));
    host.set("web", paused.clone().with_stop(patient));
    assert!(host.state.remove("gone"));
    host.events.snapshot_written();
    wait_until(&scene.data_dir(), "the changes", || {
        let ahead = file("snapshot.json.ahead");
        ahead.ends_with("}\n") && ahead.contains("\"gone\":null") && ahead.contains("7007")
    });
    assert!(file("snapshot.json") == before);

    let next = restored_from_the_files_of_now(&scene);
    let ids: Vec<String> = next.manager.status().into_iter().map(|status| status.id).collect();
    assert!(ids.len() == 1001 && !ids.contains(&"gone".to_owned()), "{} ids", ids.len());
    let copy = scene.path("copy.json");
    next.manager.snapshot(&copy).unwrap();
    assert_eq!(json(&copy)["Proxies"]["web"]["Config"]["grace_period_ms"], 7007);
    next.kill();

    // Without the file that tells of them they are not lost: the next change has all of it written anew.
    fs::remove_file(scene.data_dir().join("snapshot.json.ahead")).unwrap();
    assert!(host.state.remove("p0"));
    wait_until(&scene.data_dir(), "the snapshot", || {
        let now = file("snapshot.json");
        now.contains("7007") && !now.contains("\"gone\"") && !now.contains("\"p0\":")
    });

    // Nothing follows a snapshot that was put in its place, as that of a backup: the next change has all of it written anew.
    let backup = scene.path("backup.json");
    fs::write(&backup, &before).unwrap();
    fs::rename(&backup, scene.data_dir().join("snapshot.json")).unwrap();
    assert!(host.state.remove("p1"));
    wait_until(&scene.data_dir(), "the snapshot in place of the backup", || {
        let now = file("snapshot.json");
        now.contains("7007") && !now.contains("\"p1\":")
    });
    host.kill();
    scene.finish();
}

#[test]
fn it_is_too_late_once_a_run_has_begun() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.run();
    host.events.snapshot_written();
    let error = host.restore().unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidConfig);
    assert!(error.to_string().contains("before run"), "{error}");
    host.kill();
    scene.finish();
}

#[test]
fn restored_processes_are_supervised_and_not_restarted_before_the_run() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    for id in ["lives", "dies", "dead"] {
        host.set(id, helper(&scene, &["run"]));
    }
    host.run();
    let [lives, dies, dead] = ["lives", "dies", "dead"].map(|id| scene.reports.start(id));
    host.close();
    dead.process.kill();

    let mut next = Host::new(quick(&scene.data_dir()));
    next.restore().unwrap();
    assert_eq!((next.status("lives").state, next.status("lives").pid), (ProxyState::Running, Some(lives.pid)));
    assert_eq!((next.status("dead").state, next.status("dead").pid), (ProxyState::Idle, None));
    // Supervised at once: the one that dies now is started again.
    dies.process.kill();
    let again = scene.reports.start("dies");
    assert_eq!(next.events.started("dies"), again.pid);

    // The run starts what is missing.
    for id in ["lives", "dies", "dead"] {
        next.set(id, helper(&scene, &["run"]));
    }
    next.run();
    let started = scene.reports.start("dead");
    assert_eq!(next.events.started("dead"), started.pid);
    assert_eq!(next.status("lives").pid, Some(lives.pid));
    assert_eq!(next.status("dies").pid, Some(again.pid));
    next.kill();
    scene.finish();
}

#[test]
fn a_snapshot_elsewhere_is_restored_by_a_manager_of_another_data_directory() {
    let scene = Scene::of_library();
    let told = scene.path("told");
    let mut host = Host::new(quick(&scene.path("one")));
    host.set("web", helper(&scene, &["run"]));
    host.run();
    let pid = host.events.started("web");
    let start = scene.reports.start("web");
    host.manager.snapshot(&told).unwrap();
    let process = &json(&told)["Proxies"]["web"]["Config"]["process"];
    assert_eq!(process["pid"], pid);
    // The manager's own snapshot names no process: that is what its records are for.
    host.manager.snapshot(host.manager.snapshot_path().unwrap()).unwrap();
    assert!(json(&scene.path("one/snapshot.json"))["Proxies"]["web"]["Config"].get("process").is_none());
    host.close();

    let mut next = Host::new(quick(&scene.path("two")));
    next.manager.restore(&told).unwrap();
    assert_eq!(next.events.adopted("web"), pid);
    next.set("web", helper(&scene, &["run"]));
    next.run();
    next.events.snapshot_written();
    assert_eq!(next.status("web").pid, Some(pid));
    assert!(next.status("web").adopted);
    next.close();
    // From here on it is known by its own records, whatever becomes of the snapshot.
    fs::remove_file(&told).unwrap();
    let mut last = Host::new(quick(&scene.path("two")));
    last.restore().unwrap();
    assert_eq!(last.events.adopted("web"), pid);
    last.kill();
    assert!(start.process.is_gone());
    scene.finish();
}

/// Its process lives and is not the declared one, which is still to come.
#[test]
fn what_is_being_replaced_is_not_told_as_what_takes_its_place() {
    let scene = Scene::of_library();
    let told = scene.path("told");
    let with_grace = |role: &[&str], grace_period| {
        let mut config = helper(&scene, role);
        config.stop.grace_period = grace_period;
        config
    };
    let mut host = Host::new(quick(&scene.path("one")));
    host.set("web", with_grace(&["stubborn"], HOUR));
    host.run();
    let old = scene.reports.start("web");
    host.events.started("web");
    host.set("web", with_grace(&["run"], HOUR));
    assert_eq!(scene.reports.signal(&old), "SIGINT");
    host.manager.snapshot(&told).unwrap();
    assert_eq!(json(&told)["Proxies"]["web"]["Config"]["process"]["pid"], old.pid);
    host.close();

    let mut next = Host::new(quick(&scene.path("two")));
    next.manager.restore(&told).unwrap();
    next.set("web", with_grace(&["run"], Duration::from_millis(50)));
    next.run();
    let new = scene.reports.start("web");
    assert!(old.process.is_gone());
    assert_eq!(next.events.started("web"), new.pid);
    next.kill();
    scene.reports.forget_signals();
    scene.finish();
}

#[test]
fn a_token_that_was_generated_comes_back_and_restarts_nothing() {
    let scene = Scene::of_library();
    let without_token = || {
        let mut config = helper(&scene, &["inspect"]);
        config.token = None;
        config
    };
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", without_token());
    host.run();
    let start = scene.reports.start("web");
    let token = host.state.get("web").unwrap().token.unwrap();
    assert_eq!(start.inspection.as_ref().unwrap().env["CONNECT_PROXY_TOKEN"], token);
    host.close();

    let mut next = Host::new(quick(&scene.data_dir()));
    // Declared before and after: the token is the old one.
    next.set("web", without_token());
    next.restore().unwrap();
    assert_eq!(next.state.get("web").unwrap().token, Some(token));
    next.run();
    next.events.snapshot_written();
    next.follow("marker");
    assert_eq!(next.events.of_proxy("web"), [EventKind::Adopted { pid: start.pid }]);
    next.kill();
    scene.finish();
}

#[test]
fn one_entry_that_cannot_be_read_does_not_lose_the_others() {
    let scene = Scene::of_library();
    let told = scene.path("told");
    let good = document!({"Mode": "noop", "Config": {}});
    let entries = document!({"bad": {"Mode": "daemon", "Config": {}}, "good": good, "": good, "odd": {"Mode": 7}});
    fs::write(&told, document!({"Version": 2, "Proxies": entries}).to_string()).unwrap();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.manager.restore(&told).unwrap();
    let status = host.manager.status();
    assert_eq!(status.iter().map(|proxy| proxy.id.as_str()).collect::<Vec<_>>(), ["good"]);
    let failures = host.events.seen().iter().filter(|event| matches!(event.kind, EventKind::SnapshotFailed { .. }));
    assert_eq!(failures.count(), 3);
    assert!(told.exists(), "only the manager's own snapshot is set aside");
    host.kill();
    scene.finish();
}

#[test]
fn a_restore_that_fails_changes_nothing() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", helper(&scene, &["run"]));
    let told = scene.path("told");
    fs::write(&told, "{}").unwrap();
    let error = host.manager.restore(&told).unwrap_err();
    assert_eq!(error.code(), ErrorCode::CorruptSnapshot);
    assert!(error.to_string().contains(told.to_str().unwrap()), "{error}");
    assert_eq!(host.manager.restore(scene.path("")).unwrap_err().code(), ErrorCode::Io, "a directory");
    assert_eq!(host.manager.status(), []);
    host.run();
    let start = scene.reports.start("web");
    host.kill();
    assert!(start.process.is_gone());
    scene.finish();
}
