// SPDX-License-Identifier: MPL-2.0
//! K and L: a snapshot that cannot be read, and what is never in one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use proxyprocess::{Command, ErrorCode, EventKind, ProxyState};
use rustix::fs::Mode;

use crate::inside::{Host, Place, helper, inherited, quick, stage};
use crate::support::Scene;

#[test]
fn fault_k_a_corrupt_snapshot_is_set_aside_and_nothing_is_orphaned_or_doubled() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("kept", helper(&scene, &["run"]));
    host.set("dropped", helper(&scene, &["graceful"]));
    host.run();
    let (kept, dropped) = (scene.reports.start("kept"), scene.reports.start("dropped"));
    host.close();
    let path = scene.data_dir().join("snapshot.json");
    let whole = fs::read(&path).unwrap();
    let another_version = String::from_utf8(whole.clone()).unwrap().replacen("\"Version\":2", "\"Version\":99", 1);

    let corrupt: [&[u8]; 5] =
        [b"\x00\xffgarbage", &whole[..whole.len() / 2], another_version.as_bytes(), b"", b"[[[[[[["];
    for (number, content) in (1..).zip(corrupt) {
        fs::write(&path, content).unwrap();
        let mut host = Host::new(quick(&scene.data_dir()));
        let error = host.restore().unwrap_err();
        assert_eq!(error.code(), ErrorCode::CorruptSnapshot, "{error}");
        let name = format!("snapshot.json.corrupt-{number}");
        assert!(error.to_string().contains(&name), "{error}");
        let is_failure = |kind: &EventKind| matches!(kind, EventKind::SnapshotFailed { .. });
        assert!(is_failure(&host.events.until("the failure", |event| is_failure(&event.kind)).kind));
        assert_eq!(fs::read(scene.data_dir().join(name)).unwrap(), content, "kept for repair");
        assert!(!path.exists());

        // By the records the run finds who lives: the declared one goes on, the other one is stopped.
        host.set("kept", helper(&scene, &["run"]));
        host.run();
        assert_eq!(host.events.adopted("kept"), kept.pid);
        if number == 1 {
            host.events.stopped("dropped");
            assert_eq!(scene.reports.signal(&dropped), "SIGINT");
            assert!(dropped.process.is_gone());
        }
        assert!(path.exists(), "written before anything was begun");
        assert_eq!(host.status("kept").state, ProxyState::Running);
        host.close();
        assert!(!kept.process.is_gone());
    }
    Host::new(quick(&scene.data_dir())).kill();
    assert!(kept.process.is_gone());
    scene.finish();
}

/// The pid file, and what the process carries, take the place of a record that is lost.
#[test]
fn fault_k_a_record_that_cannot_be_read_orphans_and_doubles_nothing() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("kept", helper(&scene, &["run"]));
    host.set("dropped", helper(&scene, &["graceful"]));
    host.run();
    let (kept, dropped) = (scene.reports.start("kept"), scene.reports.start("dropped"));
    host.close();
    let record = |id: &str| scene.data_dir().join("records").join(format!("{id}.json"));
    let whole = fs::read_to_string(record("kept")).unwrap();
    let of_another = whole.replace("kept", "other");
    fs::write(record("dropped"), "").unwrap();
    for content in ["", &whole[..whole.len() / 2], "garbage", &of_another] {
        fs::write(record("kept"), content).unwrap();
        let mut host = Host::new(quick(&scene.data_dir()));
        host.restore().unwrap();
        host.set("kept", helper(&scene, &["run"]));
        host.run();
        assert_eq!(host.events.adopted("kept"), kept.pid);
        if content.is_empty() {
            host.events.stopped("dropped");
            assert_eq!(scene.reports.signal(&dropped), "SIGINT");
            assert!(dropped.process.is_gone());
        }
        host.close();
        assert!(!kept.process.is_gone());
        assert_eq!(fs::read_to_string(record("kept")).unwrap(), whole, "the next agent has a record again");
    }
    // Of another declaration, it is replaced and not doubled.
    fs::remove_file(record("kept")).unwrap();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("kept", helper(&scene, &["graceful"]));
    host.run();
    scene.reports.start("kept");
    assert!(kept.process.is_gone());
    host.kill();
    scene.reports.forget_signals();
    scene.finish();
}

#[test]
fn a_snapshot_that_is_no_file_is_set_aside_as_well() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    fs::create_dir(scene.data_dir().join("snapshot.json")).unwrap();
    assert!(host.restore().unwrap_err().to_string().contains("set aside as snapshot.json.corrupt-1"));
    host.set("web", helper(&scene, &["run"]));
    host.run();
    scene.reports.start("web");
    host.kill();
    scene.finish();
}

#[test]
fn fault_k_without_any_snapshot_the_records_are_enough() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", helper(&scene, &["run"]));
    host.run();
    let start = scene.reports.start("web");
    host.close();
    fs::remove_file(scene.data_dir().join("snapshot.json")).unwrap();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.restore().unwrap();
    host.set("web", helper(&scene, &["run"]));
    host.run();
    assert_eq!(host.events.adopted("web"), start.pid);
    host.kill();
    scene.finish();
}

const SECRET: &str = "a secret of the agent";

/// A host that would let everybody read what it writes.
fn careless_agent(place: &Place) {
    rustix::process::umask(Mode::empty());
    let mut host = Host::new(quick(&place.data_dir()));
    let mut config = inherited(&["inspect"]);
    config.command = config.command.env("DECLARED", "by the agent");
    host.set("web", config);
    host.set("a/long/id".repeat(40).as_str(), inherited(&["run"]));
    host.run();
    (0..2).for_each(|_| drop(host.events.until("a start", |event| event.id.is_some())));
    host.manager.snapshot(place.path("told")).unwrap();
    let before = host.manager.snapshot_path().unwrap().metadata().unwrap();
    assert!(before.len() > 0);
    host.close();
}

fn end_all(place: &Place) {
    Host::new(quick(&place.data_dir())).kill();
}

#[test]
fn fault_l_neither_the_agents_environment_nor_open_modes_are_on_disk() {
    let name = "faults::snapshot::fault_l_neither_the_agents_environment_nor_open_modes_are_on_disk";
    let Some(stage) = stage(name, &[("agent", careless_agent), ("last", end_all)]) else { return };
    stage.play("agent", &[("AGENT_SECRET", SECRET)]);
    let web = stage.scene.reports.start("web");
    let _ = stage.scene.reports.any_start();
    assert_eq!(web.inspection.as_ref().unwrap().env["AGENT_SECRET"], SECRET, "the process has it");

    let data_dir = stage.scene.data_dir();
    let snapshot = fs::read_to_string(data_dir.join("snapshot.json")).unwrap();
    for declared in ["by the agent", "a declared token"] {
        assert!(snapshot.contains(declared), "{declared} is what the next agent compares");
    }
    let (mut dirs, mut files) = (0, 0);
    visit(&data_dir, &mut |path, is_dir| {
        let mode = path.symlink_metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, if is_dir { 0o700 } else { 0o600 }, "{}: {mode:o}", path.display());
        if is_dir {
            dirs += 1;
        } else {
            files += 1;
            let content = fs::read(path).unwrap();
            let leaked = content.windows(SECRET.len()).any(|part| part == SECRET.as_bytes());
            assert!(!leaked, "{}", path.display());
        }
    });
    // Itself with logs, pids and records; lock and snapshot; four files of each proxy.
    assert!(dirs >= 4 && files == 2 + 2 * 4, "{dirs} directories, {files} files");
    let told = stage.scene.path("told");
    assert!(!fs::read_to_string(&told).unwrap().contains(SECRET));
    assert_eq!(told.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    stage.play("last", &[]);
    stage.end();
}

fn visit(dir: &Path, see: &mut impl FnMut(&Path, bool)) {
    see(dir, true);
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { visit(&path, see) } else { see(&path, false) }
    }
}

#[test]
fn fault_l_a_declared_environment_is_all_that_a_snapshot_knows() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let mut config = helper(&scene, &["run"]);
    config.command = Command::from_argv(config.command.argv().iter().cloned()).env("ONLY", "this");
    // It has no test to report to, so it must be stopped by the manager.
    host.set("web", config);
    host.run();
    host.events.started("web");
    let snapshot = crate::inside::json(&host.manager.snapshot_path().unwrap());
    assert_eq!(snapshot["Proxies"]["web"]["Config"]["env"], serde_json::json!(["ONLY=this"]));
    host.kill();
    scene.finish();
}
