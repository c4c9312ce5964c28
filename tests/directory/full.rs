// SPDX-License-Identifier: MPL-2.0
//! A disk that is full, to the last byte or the last file: a file system in memory that has hardly any.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::json;

use crate::directory::mounts::{Mount, with_mounts};
use crate::directory::tell::wait_for_files;
use crate::support::{Agent, Config, Proxy, Scene, Status};

fn eager(role: &[&str]) -> Proxy {
    Proxy::helper(role).set("restart", json!({"max_wait_ms": 50}))
}

/// What takes all that is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scarce {
    Bytes,
    Files,
}

/// So much that everything of two proxies has room, and not much more.
const BYTES: usize = 64 * 1024;
const FILES: usize = 24;

/// Files that are only in the way.
struct Ballast {
    dir: PathBuf,
    scarce: Scarce,
}

impl Ballast {
    fn of(data_dir: &Path, scarce: Scarce) -> Ballast {
        let dir = data_dir.join("ballast");
        fs::create_dir(&dir).unwrap();
        Ballast { dir, scarce }
    }

    /// Takes what there is, also what was freed since.
    fn fill(&self) {
        for number in 0.. {
            let options = File::options().create(true).append(true).open(self.dir.join(number.to_string()));
            let mut file = match options {
                Err(error) if error.kind() == ErrorKind::StorageFull => return,
                file => file.unwrap(),
            };
            if self.scarce == Scarce::Bytes {
                while file.write(&[0; 4096]).is_ok() {}
                while file.write(&[0]).is_ok() {}
                return;
            }
        }
    }

    fn empty(&self) {
        for entry in fs::read_dir(&self.dir).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }
}

fn is_full(status: &Status, id: &str) -> bool {
    status.is(id, "waiting") && status.error(id).is_some_and(|error| error.contains("No space left"))
}

fn play(scarce: Scarce) {
    let scene = Scene::new();
    let data_dir = scene.data_dir();
    let disk = Mount::memory(&data_dir, BYTES, FILES);
    let ballast = Ballast::of(&data_dir, scarce);
    let patient = |role: &[&str]| Proxy::helper(role).set("restart", json!({"max_wait_ms": 500}));
    // In a cgroup what has just ended may count for a moment longer, and its successor is then not started at once.
    let config = Config::scanning(&scene).proxy("web", patient(&["run"])).proxy("other", eager(&["run"]));
    let agent = Agent::start(&scene, &config);
    let (mut web, other) = (scene.reports.start("web"), scene.reports.start("other"));
    wait_for_files(&data_dir, &[&web, &other]);

    // A restart at once is written over what was there.
    ballast.fill();
    for _ in 0..3 {
        web.process.kill();
        web = scene.reports.start("web");
        wait_for_files(&data_dir, &[&web, &other]);
    }
    // After the next crash nothing is there while it waits. What cannot be recorded waits on, and says so; the rest runs.
    web.process.kill();
    let status = agent.status_when(&scene, "web waits for space", |status| {
        ballast.fill();
        is_full(status, "web")
    });
    assert!(status.runs("other", other.pid), "{status:?}");
    ballast.empty();
    let web = scene.reports.start("web");
    wait_for_files(&data_dir, &[&web, &other]);

    // At a snapshot: the old one stays, whole, and what could not be written ahead is not started.
    let snapshot = fs::read(data_dir.join("snapshot.json")).unwrap();
    ballast.fill();
    let more = config.clone().proxy("more", eager(&["run"]));
    agent.reload(&more);
    agent.status_when(&scene, "more waits for space", |status| {
        status.error("more").is_some_and(|error| error.contains("snapshot.json") && error.contains("No space left"))
    });
    assert_eq!(fs::read(data_dir.join("snapshot.json")).unwrap(), snapshot);

    // At a close: nothing is lost but the news, and that is said.
    agent.reload(&config.clone().proxy("web", patient(&["run"]).grace_ms(4000)));
    agent.status_when(&scene, "its new setting is not recorded", |status| {
        status.error("web").is_some_and(|error| error.contains("write process record"))
    });
    let mut agent = agent;
    agent.signal(Signal::TERM);
    assert_eq!(agent.end().code(), Some(1), "{}", agent.log());
    assert_eq!(fs::read(data_dir.join("snapshot.json")).unwrap(), snapshot);
    ballast.fill();

    // At a start: what runs is taken over, whether there is space or not; what is new waits for it.
    let agent = Agent::start(&scene, &more);
    for start in [&web, &other] {
        assert!(agent.status_running(&scene, &start.id, start.pid)[&*start.id].adopted);
    }
    ballast.fill();
    ballast.empty();
    let more_start = scene.reports.start("more");
    wait_for_files(&data_dir, &[&web, &other, &more_start]);
    agent.kill();
    let agent = Agent::start(&scene, &more);
    for start in [&web, &other, &more_start] {
        agent.status_running(&scene, &start.id, start.pid);
    }

    // And a stop needs no space.
    ballast.fill();
    agent.reload(&more.without("other"));
    other.process.wait();
    agent.signal(Signal::QUIT);
    for start in [&web, &more_start] {
        start.process.wait();
    }
    let mut agent = agent;
    agent.end();
    ballast.empty();
    Agent::start(&scene, &Config::new(&scene)).quit();
    assert_eq!(scene.pid_files(), [""; 0]);
    drop(disk);
    scene.finish();
}

#[test]
fn without_a_byte_left_nothing_is_lost_and_all_goes_on_when_there_is_space() {
    let name = "directory::full::without_a_byte_left_nothing_is_lost_and_all_goes_on_when_there_is_space";
    with_mounts(name, || play(Scarce::Bytes));
}

#[test]
fn without_a_file_left_nothing_is_lost_and_all_goes_on_when_there_are_some() {
    let name = "directory::full::without_a_file_left_nothing_is_lost_and_all_goes_on_when_there_are_some";
    with_mounts(name, || play(Scarce::Files));
}

/// The output goes from the proxy to the disk, and not through us: what it does when that is full is its own affair.
#[test]
fn a_proxy_whose_output_has_no_space_is_supervised_like_any_other() {
    let name = "directory::full::a_proxy_whose_output_has_no_space_is_supervised_like_any_other";
    with_mounts(name, || {
        let scene = Scene::new();
        let config = Config::new(&scene).proxy("quiet", eager(&["run"])).proxy("chatty", eager(&["log", "a line"]));
        let logs = scene.data_dir().join("logs");
        let disk = Mount::memory(&logs, 8192, 8);
        fs::set_permissions(scene.data_dir(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        fs::write(logs.join("ballast"), [0; 8192]).unwrap();
        let agent = Agent::start(&scene, &config);
        let quiet = scene.reports.start("quiet");
        // It ends itself, for it cannot say a line, and is started again with its waits.
        let ended = |status: &Status| status.proxies.get("chatty").is_some_and(|chatty| chatty.restarts > 3);
        let status = agent.status_when(&scene, "chatty was started again and again", ended);
        assert_eq!(status["chatty"].last_exit.as_deref(), Some("exit code 101"));
        fs::remove_file(logs.join("ballast")).unwrap();
        let chatty = scene.reports.start("chatty");
        agent.status_running(&scene, "chatty", chatty.pid);
        assert_eq!(scene.log("chatty", "stdout"), "a line\n");
        quiet.process.kill();
        scene.reports.start("quiet");
        agent.quit();
        drop(disk);
        scene.finish();
    });
}
