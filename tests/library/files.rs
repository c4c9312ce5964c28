// SPDX-License-Identifier: MPL-2.0
//! Files that cannot be written or removed: it is said, and tried again.

use std::fs;
use std::path::PathBuf;

use proxyprocess::{ErrorCode, EventKind};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::inside::{Host, helper, quick};
use crate::support::{Deadline, Scene, Start};

#[test]
fn a_pid_file_that_could_not_be_written_is_written_later() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    // In the way of the temporary file.
    let obstacle = scene.data_dir().join("pids/.web.tmp");
    fs::create_dir(&obstacle).unwrap();
    host.set("web", helper(&scene, &["run"]));
    host.run();
    let start = scene.reports.start("web");
    assert_eq!(host.events.started("web"), start.pid);
    let error = host.status("web").last_error.expect("the status says what is wrong");
    assert!(error.contains("write pid file") && error.contains("pids/.web.tmp"), "{error}");
    assert_eq!(scene.pid_files(), [".web.tmp"]);

    fs::remove_dir(&obstacle).unwrap();
    scene.wait_for_pid_files(&["web.pid"]);
    assert_eq!(scene.pid_file("web"), Some(format!("{}\n", start.pid)));
    assert_eq!(host.status("web").pid, Some(start.pid));
    host.kill();
    assert_eq!(scene.pid_files(), [""; 0]);
    scene.finish();
}

/// A proxy that runs, and in the place of its pid file what cannot be removed as one.
fn with_a_directory_for_a_pid_file() -> (Scene, Host, Start, PathBuf) {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", helper(&scene, &["run"]));
    host.run();
    let start = scene.reports.start("web");
    host.events.started("web");
    let pid_file = scene.data_dir().join("pids/web.pid");
    fs::remove_file(&pid_file).unwrap();
    fs::create_dir(&pid_file).unwrap();
    (scene, host, start, pid_file)
}

#[test]
fn files_that_could_not_be_removed_are_removed_later() {
    let (scene, mut host, start, pid_file) = with_a_directory_for_a_pid_file();
    host.state.remove("web");
    host.events.stopped("web");
    assert!(start.process.is_gone());
    let failed = || host.manager.status().iter().any(|web| web.last_error.as_ref().is_some_and(|e| e.contains("web")));
    let deadline = Deadline::of("the status to say what is wrong");
    while !failed() {
        deadline.left();
        std::thread::yield_now();
    }

    // What is put there once more is removed as a file of a process that is gone. At once, for when there is nothing the
    // removal has succeeded, and is not done again.
    let file = scene.path("file");
    fs::write(&file, "1\n").unwrap();
    renameat_with(CWD, &file, CWD, &pid_file, RenameFlags::EXCHANGE).unwrap();
    scene.wait_for_pid_files(&[]);
    host.follow("marker");
    assert!(host.manager.status().iter().all(|status| status.id != "web"), "{:?}", host.manager.status());
    host.kill();
    scene.finish();
}

#[test]
fn a_stop_says_what_it_could_not_remove() {
    let (scene, mut host, start, _) = with_a_directory_for_a_pid_file();
    let error = host.manager.kill().unwrap_err();
    assert!(error.to_string().contains("remove pid file"), "{error}");
    assert!(start.process.is_gone());
    assert_eq!(host.join_ended(), Err(error));
    scene.finish();
}

#[test]
fn kill_that_left_only_files_has_the_code_of_files() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let ids = ["one", "two"];
    ids.iter().for_each(|id| host.set(id, helper(&scene, &["run"])));
    host.run();
    let starts = ids.map(|id| scene.reports.start(id));
    // A process that has reported is not followed by its pid file at once.
    ids.iter()
        .for_each(|_| drop(host.events.until("a start", |event| matches!(event.kind, EventKind::Started { .. }))));
    for id in ids {
        let pid_file = scene.data_dir().join(format!("pids/{id}.pid"));
        fs::remove_file(&pid_file).unwrap();
        fs::create_dir(&pid_file).unwrap();
    }
    let error = host.manager.kill().unwrap_err();
    assert!(starts.iter().all(|start| start.process.is_gone()));
    assert_eq!(error.code(), ErrorCode::Io, "{error}");
    assert!(ids.iter().all(|id| error.to_string().contains(&format!("pids/{id}.pid"))), "{error}");
    assert_eq!(host.join_ended(), Err(error));
    scene.finish();
}
