// SPDX-License-Identifier: MPL-2.0
//! What one test has for itself: a directory, the socket that its processes report to, and the proof that nothing of
//! it is left.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Signal, getpid, set_child_subreaper};
use tempfile::TempDir;

use super::cgroups::remove_cgroups_of;
use super::deadline::Deadline;
use super::files::Changes;
use super::message::{LOCKS, SOCKET, WATCH_PID};
use super::process::{Process, describe, readable, with_variable};
use super::programs::HELPER;
use super::reports::{Reports, Start};

/// The surroundings of one test. It must be ended with [`Scene::finish`].
#[derive(Debug)]
pub(crate) struct Scene {
    dir: TempDir,
    /// Abstract name of the socket, which also marks the processes of this test by their environment.
    name: String,
    /// What the helper processes say.
    pub(crate) reports: Reports,
    finished: bool,
}

impl Scene {
    /// For a test of an agent in a process of its own. When that is killed, its processes become children of this one,
    /// as those of a service manager would, and are reaped here.
    pub(crate) fn new() -> Scene {
        set_child_subreaper(Some(getpid())).expect("become a subreaper");
        Scene::with(true)
    }

    /// For a test that uses the library itself: the processes are children of this one, and the library's to reap.
    pub(crate) fn of_library() -> Scene {
        Scene::with(false)
    }

    fn with(reap: bool) -> Scene {
        let dir = TempDir::with_prefix("proxyprocess-").expect("make a temporary directory");
        // Pids are not enough to be unique: there are tests in pid namespaces of their own.
        let random = dir.path().file_name().and_then(|name| name.to_str()).expect("a name in UTF-8");
        let name = format!("{random}-{}", std::process::id());
        fs::create_dir(dir.path().join("locks")).expect("make the directory of locks");
        Scene { reports: Reports::listen(&name, reap), dir, name, finished: false }
    }

    /// A directory that only this test uses, gone at its end.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.path("data")
    }

    /// The environment by which a helper process finds this test.
    pub(crate) fn env(&self) -> [(&'static str, String); 3] {
        let locks = self.path("locks").to_str().expect("a path in UTF-8").to_owned();
        [(SOCKET, self.name.clone()), (LOCKS, locks), (WATCH_PID, std::process::id().to_string())]
    }

    /// The content of a proxy's log; `stream` is `stdout` or `stderr`.
    #[track_caller]
    pub(crate) fn log(&self, id: &str, stream: &str) -> String {
        let path = self.data_dir().join(format!("logs/{id}-{stream}.log"));
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()))
    }

    /// The content of a proxy's pid file, if it is there.
    pub(crate) fn pid_file(&self, id: &str) -> Option<String> {
        fs::read_to_string(self.data_dir().join(format!("pids/{id}.pid"))).ok()
    }

    /// The names of all pid files, sorted.
    pub(crate) fn pid_files(&self) -> Vec<String> {
        list(&self.data_dir().join("pids"))
    }

    /// Waits until there are these pid files and no others.
    #[track_caller]
    pub(crate) fn wait_for_pid_files(&self, names: &[&str]) {
        let changes = Changes::of(&self.data_dir());
        let deadline = Deadline::of(format!("the pid files {names:?}"));
        while self.pid_files() != names {
            changes.wait(deadline.left());
        }
    }

    /// Starts a process that no agent knows. It leads a process group, as the processes of agents do.
    #[track_caller]
    #[expect(clippy::zombie_processes, reason = "the reader of the reports reaps it")]
    pub(crate) fn stranger(&self) -> Start {
        let mut stranger = Command::new(*HELPER);
        stranger.arg("graceful").envs(self.env()).env("CONNECT_PROXY_ID", "stranger").stdin(Stdio::null());
        stranger.process_group(0).spawn().expect("start the stranger");
        self.reports.start("stranger")
    }

    /// The processes of this test that live, this one left out.
    pub(crate) fn alive(&self) -> Vec<Process> {
        with_variable(SOCKET, &self.name)
    }

    /// Checks that nothing of this test is left: no process, no zombie, no start that was not expected, and that no two
    /// processes of one id ever lived at the same time.
    #[track_caller]
    pub(crate) fn finish(mut self) {
        let alive: Vec<String> = self.alive().iter().map(describe).collect();
        assert!(alive.is_empty(), "processes of this test still run: {alive:?}");
        let unread = self.reports.unread();
        assert!(unread.is_empty(), "reports that were not expected: {unread:#?}");
        for process in self.reports.processes() {
            let deadline = Deadline::of(format!("the reaping of {}", describe(&process)));
            while !process.is_reaped() {
                deadline.left();
                std::thread::yield_now();
            }
        }
        self.finished = true;
    }
}

/// A test that failed leaves no process behind either.
impl Drop for Scene {
    fn drop(&mut self) {
        if self.finished {
            return remove_cgroups_of(self.dir.path());
        }
        // Not all of them show their mark: nginx writes its title over its environment.
        self.reports.known_processes().iter().for_each(|process| process.signal(Signal::KILL));
        for _ in 0..100 {
            let alive = self.alive();
            if alive.is_empty() {
                break;
            }
            alive.iter().for_each(|process| process.signal(Signal::KILL));
            for process in alive {
                let _ = readable(process.fd(), Duration::from_secs(1));
            }
        }
        assert!(std::thread::panicking(), "a test must end with Scene::finish");
    }
}

/// The names in a directory, sorted; none when it is not there.
pub(crate) fn list(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
