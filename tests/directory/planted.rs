// SPDX-License-Identifier: MPL-2.0
//! What is put in the place of the files: nothing outside is touched, nothing hangs, and the path is told.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use proxyprocess::{ExecMode, Manager, ProxyConfig, ProxyState, State};
use rustix::fs::{CWD, FileType, Mode, OFlags, makedev, mknodat};
use rustix::process::geteuid;

use crate::directory::tell::{everything, wait_for_files};
use crate::inside::{Host, helper, quick};
use crate::support::{Deadline, Scene, WATCHDOG};

const KINDS: [&str; 9] = [
    "directory",
    "pipe",
    "socket",
    "device",
    "link to a file",
    "link to a directory",
    "link to nothing",
    "link to itself",
    "other name of a file",
];

/// The files of another user that a trap may lead to.
struct Victims(PathBuf);

impl Victims {
    fn of(scene: &Scene) -> Victims {
        let place = scene.path("victims");
        fs::create_dir(&place).unwrap();
        for (name, mode) in [("file", 0o644), ("other", 0o600)] {
            fs::write(place.join(name), "mine").unwrap();
            fs::set_permissions(place.join(name), std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        }
        Victims(place)
    }

    /// Puts something in the place of a file; false for what only root can make.
    fn trap(&self, kind: &str, at: &Path) -> bool {
        let _ = fs::remove_file(at);
        let _ = fs::remove_dir_all(at);
        match kind {
            "directory" => {
                fs::create_dir(at).unwrap();
                fs::write(at.join("something"), "kept").unwrap();
            }
            "pipe" => mknodat(CWD, at, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap(),
            "socket" => drop(UnixListener::bind(at).unwrap()),
            "device" if !geteuid().is_root() => return false,
            // /dev/zero: reading it would never end.
            "device" => match mknodat(CWD, at, FileType::CharacterDevice, Mode::RUSR | Mode::WUSR, makedev(1, 5)) {
                Err(rustix::io::Errno::PERM) => return false, // root of a container
                made => made.unwrap(),
            },
            "link to a file" => symlink(self.0.join("file"), at).unwrap(),
            "link to a directory" => symlink(&self.0, at).unwrap(),
            "link to nothing" => symlink(self.0.join("nothing"), at).unwrap(),
            "link to itself" => symlink(at.file_name().unwrap(), at).unwrap(),
            "other name of a file" => fs::hard_link(self.0.join("other"), at).unwrap(),
            other => unreachable!("{other}"),
        }
        true
    }
}

fn remove(path: &Path) {
    if fs::symlink_metadata(path).unwrap().is_dir() {
        assert_eq!(fs::read_to_string(path.join("something")).unwrap(), "kept");
        fs::remove_dir_all(path).unwrap();
    } else {
        fs::remove_file(path).unwrap();
    }
}

/// An open of a pipe for writing waits until there is a reader, and with it, should it come to that, this test. So it is
/// read in the end, which fails the test.
fn without_waiting(pipe: &Path, body: impl FnOnce()) {
    thread::scope(|scope| {
        let (done, over) = channel::<()>();
        let waited = scope.spawn(move || {
            if over.recv_timeout(WATCHDOG / 3) != Err(RecvTimeoutError::Timeout) {
                return false;
            }
            let _reader = rustix::fs::open(pipe, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty());
            let _ = fs::remove_file(pipe);
            let _ = over.recv();
            true
        });
        body();
        drop(done);
        assert!(!waited.join().expect("no panic"), "{pipe:?} was waited for");
    });
}

/// Whether it is the trap that was laid and not a file that was put in its place.
fn is_there(trap: &str, path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| {
        let hard = trap == "other name of a file" && std::os::unix::fs::MetadataExt::nlink(&found) > 1;
        !found.is_file() || hard
    })
}

/// Lays a trap for one file, before a manager opens the directory or after, and has it start a proxy.
fn play(name: &str, kind: &str, before: bool) {
    let scene = Scene::of_library();
    without_waiting(&scene.data_dir().join(name), || play_in(&scene, name, kind, before));
    scene.finish();
}

fn play_in(scene: &Scene, name: &str, kind: &str, before: bool) {
    let case = format!("{kind} for {name}, before: {before}");
    let data_dir = scene.data_dir();
    let path = data_dir.join(name);
    let victims = Victims::of(scene);
    Host::new(quick(&data_dir)).kill();
    let mut host = (!before).then(|| Host::new(quick(&data_dir)));
    if !victims.trap(kind, &path) {
        return host.into_iter().for_each(Host::kill);
    }
    let as_it_was = everything(&victims.0);
    let host = host.get_or_insert_with(|| {
        if let Err(error) = Manager::new(State::new(), quick(&data_dir)) {
            assert!(error.to_string().contains(path.to_str().unwrap()), "{case}: {error}");
            assert_eq!(everything(&victims.0), as_it_was, "{case}");
            remove(&path);
        }
        Host::new(quick(&data_dir))
    });
    if before && host.restore().is_err() {
        assert!(!path.exists() || name != "snapshot.json", "{case}: what cannot be read is set aside");
    }
    let mut web = helper(scene, &["run"]);
    web.restart.max_wait = Duration::from_millis(10);
    host.set("web", web);
    host.run();
    // Either it goes on without it, or it says what is in its way.
    let deadline = Deadline::of(format!("{case}: web to run, or a reason"));
    let error = loop {
        let status = host.manager.status().into_iter().find(|status| status.id == "web");
        if let Some(error) = status.as_ref().and_then(|status| status.last_error.clone()) {
            break Some(error);
        }
        if status.is_some_and(|status| status.state == ProxyState::Running) {
            break None;
        }
        deadline.left();
        thread::yield_now();
    };
    if let Some(error) = error {
        assert!(error.contains(path.to_str().unwrap()), "{case}: {error}");
        assert!(is_there(kind, &path), "{case}: {error}");
        assert_eq!(everything(&victims.0), as_it_was, "{case}");
        remove(&path);
    }
    let web = scene.reports.start("web");
    wait_for_files(&data_dir, &[&web]);
    host.manager.kill().unwrap_or_else(|error| panic!("{case}: {error}"));
    host.join();
    if kind == "other name of a file" {
        assert_eq!(fs::read_to_string(victims.0.join("other")).unwrap(), "mine", "{case}");
    } else {
        assert_eq!(everything(&victims.0), as_it_was, "{case}");
    }
}

/// Written are only the names of what begins, when there is much else; a new snapshot takes its place.
#[test]
fn what_is_put_in_the_place_of_what_is_written_ahead_is_not_touched() {
    let scene = Scene::of_library();
    let path = scene.data_dir().join("snapshot.json.ahead");
    let victims = Victims::of(&scene);
    let mut options = quick(&scene.data_dir());
    options.snapshot_period = Duration::from_secs(3600);
    let mut host = Host::new(options);
    (0..30).for_each(|number| host.set(&format!("p{number}"), ProxyConfig::of_mode(ExecMode::NOOP)));
    host.run();
    host.follow("marker");
    without_waiting(&path, || {
        for (number, kind) in KINDS.iter().enumerate() {
            if !victims.trap(kind, &path) {
                continue;
            }
            let as_it_was = everything(&victims.0);
            let id = format!("web{number}");
            host.set(&id, helper(&scene, &["run"]));
            let web = scene.reports.start(&id);
            wait_for_files(&scene.data_dir(), &[&web]);
            if *kind == "other name of a file" {
                assert_eq!(fs::read_to_string(victims.0.join("other")).unwrap(), "mine");
            } else {
                assert_eq!(everything(&victims.0), as_it_was, "{kind}");
            }
        }
    });
    host.kill();
    scene.finish();
}

/// All kinds of traps for each of these files; the files at the same time, for some cases wait a second.
fn play_all(names: &'static [&'static str], before: bool) {
    let plays = names.iter().map(|name| thread::spawn(move || KINDS.iter().for_each(|kind| play(name, kind, before))));
    for played in plays.collect::<Vec<_>>() {
        played.join().expect("all is well");
    }
}

const FILES: &[&str] = &[
    "snapshot.json.ahead",
    "logs/web-stdout.log",
    "logs/web-stderr.log",
    "pids/web.pid",
    "pids/.web.tmp",
    "records/web.json",
    "records/.web.tmp",
    "snapshot.json",
    ".snapshot.json.tmp",
];

#[test]
fn what_is_put_in_the_place_of_a_file_under_a_running_agent_is_not_touched() {
    play_all(FILES, false);
}

#[test]
fn what_is_put_in_the_place_of_a_file_between_agents_is_not_touched() {
    play_all(FILES, true);
}

#[test]
fn what_is_put_in_the_place_of_the_lock_or_a_directory_is_not_touched() {
    play_all(&["lock", "logs", "pids", "records"], true);
}
