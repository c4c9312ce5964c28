// SPDX-License-Identifier: MPL-2.0
//! M and N: what the two ends of a manager report, and that a kill kills whatever the manager has not begun with.

use std::fs;
use std::time::Duration;

use proxyprocess::ErrorCode;

use crate::inside::{Host, helper, quick, register_scripted, scripted};
use crate::support::Scene;

#[test]
fn fault_m_errors_of_kill_and_close_are_returned_and_name_the_proxy() {
    let scene = Scene::of_library();
    for call in ["stop", "close"] {
        let mut host = Host::new(quick(&scene.path(call)));
        let calls = register_scripted(&host.manager);
        host.set("good", scripted(1, &[], &[]));
        host.set("bad", scripted(2, &[call], &[]));
        host.set("web", helper(&scene, &["run"]));
        host.run();
        (0..3).for_each(|_| drop(host.events.until("a start", |event| event.id.is_some())));
        let start = scene.reports.start("web");

        let end = |host: &Host| if call == "stop" { host.manager.kill() } else { host.manager.close() };
        let error = end(&host).unwrap_err();
        assert_eq!(error.to_string(), format!("proxy bad: {call}: {call} fails, as its options say"));
        assert_eq!(host.join_ended(), Err(error), "the run has the result of the end");
        // It has ended nevertheless, for all of them, and ending it again does nothing.
        assert_eq!(end(&host), Ok(()));
        assert!(calls.commands().contains(&format!("good {call}")));
        assert_eq!(start.process.is_gone(), call == "stop");
        if call == "close" {
            Host::new(quick(&scene.path(call))).kill();
        }
    }
    scene.finish();
}

#[test]
fn fault_m_all_that_failed_are_named_in_one_error() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let calls = register_scripted(&host.manager);
    for id in ["one", "two"] {
        host.set(id, scripted(1, &["stop"], &[]));
    }
    host.set("panics", scripted(1, &[], &["stop"]));
    host.run();
    (0..3).for_each(|_| drop(host.events.until("a start", |event| event.id.is_some())));
    let error = host.manager.kill().unwrap_err();
    assert_eq!(error.code(), ErrorCode::StillRunning);
    for id in ["one", "two", "panics"] {
        assert!(error.to_string().contains(&format!("proxy {id}: stop: ")), "{error}");
        assert!(calls.commands().contains(&format!("{id} stop")));
    }
    assert_eq!(host.join_ended(), Err(error));
    scene.finish();
}

#[test]
fn fault_m_a_snapshot_that_cannot_be_written_at_the_end_is_an_error_of_the_end() {
    let scene = Scene::of_library();
    for end in ["kill", "close"] {
        let data_dir = scene.path(end);
        let mut options = quick(&data_dir);
        options.snapshot_period = Duration::from_secs(3600);
        let mut host = Host::new(options);
        let mut config = helper(&scene, &["run"]);
        host.set("web", config.clone());
        host.run();
        assert_eq!(scene.reports.start("web").pid, host.events.started("web"));
        // A setting that is not written yet, and a directory where the file is made that is to be renamed.
        fs::create_dir(data_dir.join(".snapshot.json.tmp")).unwrap();
        config.command = config.command.arg("otherwise");
        host.set("web", config);
        // Nothing is started that is not in the snapshot: the old process goes on.
        let failed = |error: &str| error.contains("snapshot.json");
        host.events.until("the failure", |event| match &event.kind {
            proxyprocess::EventKind::SnapshotFailed { error } => failed(error),
            _ => false,
        });
        let process = scene.reports.processes().pop().unwrap();
        assert!(!process.is_gone());
        let result = if end == "kill" { host.manager.kill() } else { host.manager.close() };
        assert_eq!(host.join_ended(), result);
        assert_eq!(process.is_gone(), end == "kill");
        if end == "kill" {
            let error = result.unwrap_err();
            assert!(error.code() == ErrorCode::Io && failed(&error.to_string()), "{error:?}");
        } else {
            // What is managed is what is in the snapshot already.
            assert_eq!(result, Ok(()));
            fs::remove_dir(data_dir.join(".snapshot.json.tmp")).unwrap();
            Host::new(quick(&data_dir)).kill();
        }
    }
    scene.finish();
}

#[test]
fn fault_n_a_kill_after_a_restore_without_a_run_leaves_no_process() {
    let scene = Scene::of_library();
    for restore in [true, false] {
        let mut host = Host::new(quick(&scene.data_dir()));
        host.set("plain", helper(&scene, &["run"]));
        host.set("polite", helper(&scene, &["graceful"]));
        host.run();
        let starts = ["plain", "polite"].map(|id| scene.reports.start(id));
        host.close();
        assert!(starts.iter().all(|start| !start.process.is_gone()));

        let next = Host::new(quick(&scene.data_dir()));
        if restore {
            next.restore().unwrap();
            assert!(starts.iter().all(|start| next.status(&start.id).pid == Some(start.pid)));
        }
        next.manager.kill().unwrap();
        assert!(starts.iter().all(|start| start.process.is_gone()), "restored: {restore}");
        assert_eq!(scene.reports.signal(&starts[1]), "SIGINT");
        assert_eq!(scene.pid_files(), [""; 0]);
        assert_eq!(next.manager.status(), []);
        // And the next agent finds nothing.
        let next = Host::new(quick(&scene.data_dir()));
        next.restore().unwrap();
        assert_eq!(next.manager.status(), []);
        next.close();
    }
    scene.finish();
}

#[test]
fn fault_n_a_kill_by_a_corrupt_snapshot_leaves_no_process() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", helper(&scene, &["run"]));
    host.run();
    let start = scene.reports.start("web");
    host.close();
    fs::write(scene.data_dir().join("snapshot.json"), "{").unwrap();
    let next = Host::new(quick(&scene.data_dir()));
    next.restore().unwrap_err();
    next.kill();
    assert!(start.process.is_gone());
    scene.finish();
}
