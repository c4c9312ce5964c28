// SPDX-License-Identifier: MPL-2.0
//! Restoring the snapshot of another data directory: its processes are named by the records beside it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use proxyprocess::{ErrorCode, EventKind, ExecMode, ProxyConfig, ProxyState};

use crate::inside::{Host, helper, json, quick, wait_until};
use crate::support::{Scene, Start, list};

/// A manager of the directory `one` that was closed, and its processes.
fn left_in_one(scene: &Scene, ids: &[&str]) -> Vec<Start> {
    let mut host = Host::new(quick(&scene.path("one")));
    for id in ids {
        host.set(id, helper(scene, &["run"]));
    }
    host.run();
    let starts = ids.iter().map(|id| scene.reports.start(id)).collect();
    host.close();
    starts
}

fn snapshot_of_one(scene: &Scene) -> PathBuf {
    scene.path("one/snapshot.json")
}

/// All files below a directory, with what is in them.
fn content(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for name in list(dir) {
        let path = dir.join(name);
        match path.is_dir() {
            true => all.extend(content(&path)),
            false => drop(all.insert(path.clone(), fs::read(path).unwrap())),
        }
    }
    all
}

/// What was said of each proxy that was not adopted.
#[track_caller]
fn refusals(host: &mut Host) -> BTreeMap<String, String> {
    let events = host.events.seen().iter();
    let refused = events.filter_map(|event| match &event.kind {
        EventKind::AdoptionRefused { reason } => Some((event.id.as_deref()?.to_owned(), reason.clone())),
        _ => None,
    });
    refused.collect()
}

#[test]
fn processes_of_another_directory_are_adopted_by_the_records_beside_its_snapshot() {
    let scene = Scene::of_library();
    let starts = left_in_one(&scene, &["dead", "kept", "other", "unwanted"]);
    let [dead, kept, other, unwanted] = starts.as_slice() else { unreachable!() };
    dead.process.kill();
    let before = content(&scene.path("one"));

    let mut host = Host::new(quick(&scene.path("two")));
    host.manager.restore(snapshot_of_one(&scene)).unwrap();
    for start in [kept, other, unwanted] {
        assert_eq!((host.status(&start.id).state, host.status(&start.id).pid), (ProxyState::Running, Some(start.pid)));
    }
    assert_eq!(host.status("dead").state, ProxyState::Idle);
    assert_eq!(refusals(&mut host).keys().collect::<Vec<_>>(), ["dead"]);
    for id in ["dead", "kept"] {
        host.set(id, helper(&scene, &["run"]));
    }
    host.set("other", helper(&scene, &["run", "otherwise"]));
    host.run();
    let again = scene.reports.start("dead");
    let replaced = scene.reports.start("other");
    host.events.stopped("unwanted");
    assert!(other.process.is_gone() && unwanted.process.is_gone());
    assert_eq!(host.status("kept").pid, Some(kept.pid));
    assert_eq!(content(&scene.path("one")), before, "it is only read");
    host.close();

    // From here on they are known by the records of this directory.
    fs::remove_dir_all(scene.path("one")).unwrap();
    let next = Host::new(quick(&scene.path("two")));
    next.restore().unwrap();
    for start in [&again, kept, &replaced] {
        assert_eq!(next.status(&start.id).pid, Some(start.pid));
    }
    next.kill();
    assert!(again.process.is_gone() && kept.process.is_gone() && replaced.process.is_gone());
    scene.finish();
}

/// What left the group of a process is known by the origin that it was started with.
#[test]
fn origin_of_a_process_of_another_directory_is_recorded() {
    let scene = Scene::of_library();
    let starts = left_in_one(&scene, &["web"]);
    let origin = json(&scene.path("one/records/web.json"))["origin"].clone();
    assert!(origin.is_string());
    let host = Host::new(quick(&scene.path("two")));
    host.manager.restore(snapshot_of_one(&scene)).unwrap();
    // A manager that ended before its first sync has written no snapshot, and its records say enough.
    host.close();
    assert!(!scene.path("two/snapshot.json").exists());
    let record = json(&scene.path("two/records/web.json"));
    assert_eq!((&record["origin"], &record["pid"]), (&origin, &starts[0].pid.into()));
    let mut next = Host::new(quick(&scene.path("two")));
    next.set("web", helper(&scene, &["run"]));
    next.run();
    assert_eq!(next.events.adopted("web"), starts[0].pid);
    next.kill();
    scene.finish();
}

#[test]
fn what_was_written_ahead_in_another_directory_is_restored_as_well() {
    let scene = Scene::of_library();
    let mut options = quick(&scene.path("one"));
    options.snapshot_period = std::time::Duration::from_secs(3600);
    let mut host = Host::new(options);
    for number in 0..30 {
        host.set(&format!("p{number}"), ProxyConfig::of_mode(ExecMode::NOOP));
    }
    host.run();
    host.events.snapshot_written();
    host.set("late", helper(&scene, &["run"]));
    let late = scene.reports.start("late");
    host.events.started("late");
    let ahead = || fs::read_to_string(scene.path("one/snapshot.json.ahead")).unwrap_or_default();
    wait_until(&scene.path("one"), "the change", || ahead().contains("\"late\""));
    // As it is now, it would be if the agent were killed.
    let copied = Command::new("cp").arg("-a").arg(scene.path("one")).arg(scene.path("copy")).status();
    assert!(copied.unwrap().success());
    host.close();

    let next = Host::new(quick(&scene.path("two")));
    next.manager.restore(scene.path("copy/snapshot.json")).unwrap();
    assert_eq!(next.manager.status().len(), 31);
    assert_eq!(next.status("late").pid, Some(late.pid));
    next.kill();
    assert!(late.process.is_gone());
    scene.finish();
}

#[test]
fn snapshot_in_the_directory_of_a_living_manager_is_refused_and_nothing_changed() {
    let scene = Scene::of_library();
    let mut first = Host::new(quick(&scene.path("one")));
    first.set("web", helper(&scene, &["run"]));
    first.run();
    let web = scene.reports.start("web");
    first.events.started("web");

    let mut second = Host::new(quick(&scene.path("two")));
    let error = second.manager.restore(snapshot_of_one(&scene)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Locked);
    let told = format!(
        "data directory {} is in use by process {}",
        fs::canonicalize(scene.path("one")).unwrap().display(),
        std::process::id()
    );
    assert!(error.to_string().contains(&told), "{error}");
    assert_eq!(second.manager.status(), []);
    assert_eq!(second.events.seen(), []);
    assert_eq!(list(&scene.path("two/records")), [""; 0]);
    second.kill();
    assert_eq!(first.status("web").pid, Some(web.pid));
    first.kill();
    scene.finish();
}

/// A copy of the snapshot alone says nothing of the processes.
#[test]
fn without_records_beside_a_snapshot_it_is_said_what_is_not_known() {
    let scene = Scene::of_library();
    let starts = left_in_one(&scene, &["web"]);
    fs::create_dir(scene.path("alone")).unwrap();
    let path = scene.path("alone/snapshot.json");
    fs::copy(snapshot_of_one(&scene), &path).unwrap();
    let mut host = Host::new(quick(&scene.path("two")));
    host.manager.restore(&path).unwrap();
    let status = host.status("web");
    assert_eq!((status.state, status.pid), (ProxyState::Idle, None));
    let expected = format!(
        "not known whether a process lives: {} names no processes, and there are no records beside it",
        path.display()
    );
    assert_eq!(status.last_error.as_deref(), Some(&*expected));
    assert_eq!(refusals(&mut host), BTreeMap::from([("web".to_owned(), expected)]));
    starts[0].process.kill();
    host.set("web", helper(&scene, &["run"]));
    host.run();
    let started = scene.reports.start("web");
    assert_eq!(host.events.started("web"), started.pid);
    assert_eq!(host.status("web").last_error, None);
    host.kill();
    scene.finish();
}

/// A snapshot that a manager wrote for others names all processes that there are.
#[test]
fn snapshot_for_others_leaves_nothing_unknown() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.path("one")));
    host.set("fails", ProxyConfig::new(proxyprocess::Command::new("/no/such/program")));
    host.set("web", helper(&scene, &["run"]));
    host.run();
    let web = scene.reports.start("web");
    host.events.started("web");
    host.events.waiting("fails");
    let told = scene.path("told");
    host.manager.snapshot(&told).unwrap();
    host.close();
    let mut next = Host::new(quick(&scene.path("two")));
    next.manager.restore(&told).unwrap();
    assert_eq!(next.events.adopted("web"), web.pid);
    assert_eq!(refusals(&mut next), BTreeMap::new());
    assert_eq!(next.status("fails").last_error, None);
    next.kill();
    scene.finish();
}

#[test]
fn records_that_others_may_write_are_not_believed() {
    let scene = Scene::of_library();
    let starts = left_in_one(&scene, &["web"]);
    for place in ["one", "one/records"] {
        let path = scene.path(place);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o770)).unwrap();
        let mut host = Host::new(quick(&scene.path("two")));
        host.manager.restore(snapshot_of_one(&scene)).unwrap();
        let reason = refusals(&mut host).remove("web").unwrap();
        assert!(reason.contains("others may write to it (mode 0770)"), "{reason}");
        assert!(host.status("web").last_error.unwrap().contains("others may write to it"));
        assert_eq!(host.status("web").pid, None);
        host.close();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    }
    let host = Host::new(quick(&scene.path("two")));
    host.manager.restore(snapshot_of_one(&scene)).unwrap();
    assert_eq!(host.status("web").pid, Some(starts[0].pid));
    host.kill();
    scene.finish();
}

/// Like the records of the own directory: the pid file, or what the process has open, names it.
#[test]
fn process_of_a_damaged_record_of_another_directory_is_found_and_the_record_left_as_it_is() {
    for pid_file in [true, false] {
        let scene = Scene::of_library();
        let starts = left_in_one(&scene, &["web"]);
        fs::write(scene.path("one/records/web.json"), "damaged").unwrap();
        if !pid_file {
            fs::remove_file(scene.path("one/pids/web.pid")).unwrap();
        }
        let before = content(&scene.path("one"));
        let mut host = Host::new(quick(&scene.path("two")));
        host.manager.restore(snapshot_of_one(&scene)).unwrap();
        assert_eq!(host.status("web").pid, Some(starts[0].pid), "{pid_file}");
        assert_eq!(refusals(&mut host), BTreeMap::new());
        let told = host.events.seen().iter().any(|event| match &event.kind {
            EventKind::SnapshotFailed { error } => {
                error.starts_with("ignored beside the snapshot: ") && error.contains("one/records/web.json")
            }
            _ => false,
        });
        assert!(told, "{:?}", host.events.seen());
        assert_eq!(content(&scene.path("one")), before);
        host.kill();
        assert!(starts[0].process.is_gone());
        scene.finish();
    }
}

/// Nothing finds the process of this record: it may live, and that is said.
#[test]
fn damaged_record_of_another_directory_whose_process_is_not_found_is_said_to_be_unknown() {
    let scene = Scene::of_library();
    let starts = left_in_one(&scene, &["web"]);
    starts[0].process.kill();
    fs::write(scene.path("one/records/web.json"), "damaged").unwrap();
    fs::remove_file(scene.path("one/pids/web.pid")).unwrap();
    let mut host = Host::new(quick(&scene.path("two")));
    host.manager.restore(snapshot_of_one(&scene)).unwrap();
    let reason = refusals(&mut host).remove("web").unwrap();
    assert!(reason.contains("its record in ") && reason.contains("cannot be used"), "{reason}");
    host.kill();
    scene.finish();
}

/// An id has one process: the one that this directory has.
#[test]
fn process_of_another_directory_is_left_alone_where_there_is_one_of_its_id() {
    let scene = Scene::of_library();
    let left = left_in_one(&scene, &["web"]);
    let locks = scene.path("other-locks");
    fs::create_dir(&locks).unwrap();
    let mut config = helper(&scene, &["run"]);
    config.command = config.command.env("HELPER_LOCKS", &locks);
    let mut host = Host::new(quick(&scene.path("two")));
    host.set("web", config.clone());
    host.run();
    let own = scene.reports.start("web");
    host.events.started("web");
    host.close();

    for own_first in [false, true] {
        let mut next = Host::new(quick(&scene.path("two")));
        if own_first {
            next.restore().unwrap();
        }
        next.manager.restore(snapshot_of_one(&scene)).unwrap();
        let reason = refusals(&mut next).remove("web").unwrap();
        let expected =
            format!("pid {} is recorded beside the snapshot, but pid {} is known here", left[0].pid, own.pid);
        assert!(reason.starts_with(&expected), "{reason}");
        next.set("web", config.clone());
        next.run();
        if !own_first {
            assert_eq!(next.events.adopted("web"), own.pid);
        }
        next.follow("marker");
        assert_eq!(next.status("web").pid, Some(own.pid));
        assert!(!left[0].process.is_gone());
        next.state.remove("marker");
        next.close();
    }
    Host::new(quick(&scene.path("two"))).kill();
    Host::new(quick(&scene.path("one"))).kill();
    assert!(own.process.is_gone() && left[0].process.is_gone());
    scene.finish();
}

/// An agent that does so at every start says nothing of what it has long had.
#[test]
fn restoring_another_directory_again_changes_nothing() {
    let scene = Scene::of_library();
    let starts = left_in_one(&scene, &["web"]);
    for _ in 0..2 {
        let mut host = Host::new(quick(&scene.path("two")));
        host.restore().unwrap();
        for _ in 0..2 {
            host.manager.restore(snapshot_of_one(&scene)).unwrap();
        }
        host.set("web", helper(&scene, &["run"]));
        host.run();
        host.follow("marker");
        assert_eq!(host.events.of_proxy("web"), [EventKind::Adopted { pid: starts[0].pid }]);
        host.state.remove("marker");
        host.close();
    }
    Host::new(quick(&scene.path("two"))).kill();
    scene.finish();
}

#[test]
fn own_snapshot_is_known_by_any_name() {
    let scene = Scene::of_library();
    let starts = left_in_one(&scene, &["web"]);
    let link = scene.path("link");
    std::os::unix::fs::symlink(scene.path("one"), &link).unwrap();
    for name in ["one/../one/snapshot.json", "link/snapshot.json"] {
        let mut host = Host::new(quick(&scene.path("one")));
        host.manager.restore(scene.path(name)).unwrap();
        assert_eq!(host.status("web").pid, Some(starts[0].pid), "{name}");
        assert_eq!(refusals(&mut host), BTreeMap::new());
        // Written by that name it holds no processes, as the manager's own.
        host.manager.snapshot(scene.path(name)).unwrap();
        assert!(json(&snapshot_of_one(&scene))["Proxies"]["web"]["Config"].get("process").is_none());
        host.close();
    }
    Host::new(quick(&scene.path("one"))).kill();
    scene.finish();
}
