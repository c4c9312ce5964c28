// SPDX-License-Identifier: MPL-2.0
//! Tests in several acts, each in a process of its own: an agent that is killed, and the next one that takes over.
//!
//! An act is a function of the same test. The test starts its own program again, which runs the same test and comes to
//! [`stage`], and that plays the act instead of the story.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::{HELPER, HELPER_VARIABLE, Process, Scene};

/// Which act to play.
const ACT: &str = "PROXYPROCESS_TEST_ACT";
/// The directory of the scene.
const PLACE: &str = "PROXYPROCESS_TEST_PLACE";

/// What an act knows of its test. The variables by which helper processes find the test are in its environment.
#[derive(Debug)]
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.path("data")
    }
}

/// An act: its name and what it does.
pub(crate) type Part = (&'static str, fn(&Place));

/// The test, as it directs its acts.
#[derive(Debug)]
pub(crate) struct Stage {
    test: &'static str,
    pub(crate) scene: Scene,
}

/// Sets the stage of the test of this name within this program. `None` in the process of an act, after it was played.
pub(crate) fn stage(test: &'static str, acts: &[Part]) -> Option<Stage> {
    let Ok(wanted) = std::env::var(ACT) else { return Some(Stage { test, scene: Scene::new() }) };
    let act = acts.iter().find(|(name, _)| *name == wanted).expect("an act of this test");
    let place = Place(std::env::var_os(PLACE).expect("a place").into());
    (act.1)(&place);
    None
}

/// Whether this process plays an act.
pub(crate) fn is_act() -> bool {
    std::env::var_os(ACT).is_some()
}

/// Stays on the stage until the test has this process killed.
pub(crate) fn park() -> ! {
    loop {
        std::thread::park();
    }
}

impl Stage {
    /// Starts an act.
    pub(crate) fn begin(&self, act: &str, env: &[(&str, &str)]) -> Act {
        self.begin_under(&[], act, env)
    }

    /// Starts an act by programs that execute it when they have prepared it.
    pub(crate) fn begin_under(&self, programs: &[&str], act: &str, env: &[(&str, &str)]) -> Act {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let said = self.scene.path(&format!("act-{number}-{act}"));
        let output = File::create(&said).expect("create the file for what the act says");
        // The guard has it killed when the test ends, however that comes about.
        let mut command = Command::new(*HELPER);
        command.arg("guard").args(programs).arg(std::env::current_exe().expect("find own program"));
        command.args(["--exact", self.test, "--nocapture", "--test-threads=1"]);
        command
            .envs(self.scene.env())
            .env(ACT, act)
            .env(PLACE, self.scene.path(""))
            .env(HELPER_VARIABLE, *HELPER)
            .envs(env.iter().copied());
        command.stdin(Stdio::null()).stdout(output.try_clone().expect("duplicate a descriptor")).stderr(output);
        let child = command.spawn().expect("start this program again");
        let process = Process::open(child.id()).expect("a child that is not reaped");
        Act { child, process, said }
    }

    /// Plays an act to its end, which must be a good one.
    #[track_caller]
    pub(crate) fn play(&self, act: &str, env: &[(&str, &str)]) {
        self.begin(act, env).finish();
    }

    /// Ends the test: nothing may be left.
    #[track_caller]
    pub(crate) fn end(self) {
        self.scene.finish();
    }
}

/// An act that is being played. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Act {
    child: Child,
    process: Process,
    said: PathBuf,
}

impl Act {
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Kills the process, as the kernel does when memory is short.
    #[track_caller]
    pub(crate) fn kill(mut self) {
        assert!(!self.process.is_gone(), "the act has ended too early:\n{}", said(&self.said));
        self.process.kill();
        self.child.wait().expect("wait for the act");
    }

    /// Sends the process a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        self.process.signal(signal);
    }

    /// Waits for the end of an act that does not return to its test; the exit code.
    #[track_caller]
    pub(crate) fn exit_code(mut self) -> Option<i32> {
        self.process.wait();
        self.child.wait().expect("wait for the act").code()
    }

    /// Waits for the good end of the act.
    #[track_caller]
    pub(crate) fn finish(mut self) {
        self.process.wait();
        let status = self.child.wait().expect("wait for the act");
        let said = said(&self.said);
        assert!(status.success() && said.contains("1 passed"), "the act ended with {status}:\n{said}");
    }
}

impl Drop for Act {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- what {} has said:\n{}---", self.said.display(), said(&self.said));
        }
    }
}

fn said(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
