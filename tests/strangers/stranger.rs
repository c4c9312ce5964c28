// SPDX-License-Identifier: MPL-2.0
//! Those who get the number.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use crate::support::{Deadline, HELPER, Process, Scene, Start, next_pid_is};

/// The id under which strangers report.
pub(crate) const STRANGER: &str = "stranger";

/// A user that owns nothing.
pub(crate) const NOBODY: u32 = 65534;

/// Gives a pid to what is started. Its last process is reaped, but the kernel may not have released the pid yet.
#[track_caller]
pub(crate) fn give<T>(number: u32, mut start: impl FnMut() -> Option<T>) -> T {
    let deadline = Deadline::of(format!("the number {number} to be given"));
    loop {
        next_pid_is(number);
        if let Some(given) = start() {
            return given;
        }
        deadline.left();
        std::thread::yield_now();
    }
}

/// Starts a program under a number.
#[track_caller]
pub(crate) fn start_as(number: u32, command: &mut Command) -> Child {
    give(number, || {
        let mut child = command.spawn().expect("start a stranger");
        if child.id() == number {
            return Some(child);
        }
        // Perhaps reaped by the reader of reports.
        let _ = child.kill().and_then(|()| child.wait());
        None
    })
}

/// A process that is none of ours. It leads a session, and so a group, and reports every signal.
#[derive(Debug)]
pub(crate) struct Stranger {
    pub(crate) start: Start,
}

/// Waits for the next tick in which start times are told.
pub(crate) fn a_tick_passes() {
    let tick = || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        (now.tv_sec, now.tv_nsec / 10_000_000)
    };
    let before = tick();
    while tick() == before {
        std::thread::yield_now();
    }
}

impl Stranger {
    /// How it is started, as the user of the test.
    pub(crate) fn command(scene: &Scene, role: &[&str]) -> Command {
        Stranger::of(*HELPER, scene, role)
    }

    /// How it is started as another user, which only root can.
    pub(crate) fn of_nobody(scene: &Scene) -> Command {
        fs::set_permissions(scene.path(""), fs::Permissions::from_mode(0o755)).expect("let others in");
        let program = scene.path("helper");
        // A link, since a copy cannot be executed while any process that is just being started has it open.
        if !program.exists() && fs::hard_link(*HELPER, &program).is_err() {
            fs::copy(*HELPER, &program).expect("copy the helper");
        }
        let mut command = Stranger::of(program, scene, &["stranger"]);
        command.uid(NOBODY).gid(NOBODY).current_dir("/");
        command
    }

    fn of(program: impl Into<PathBuf>, scene: &Scene, role: &[&str]) -> Command {
        let mut command = Command::new(program.into());
        command.args(role).envs(scene.env()).env("CONNECT_PROXY_ID", STRANGER);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Starts it under a pid, in a later tick than the process before: without inodes nothing else tells them apart.
    #[track_caller]
    pub(crate) fn with(number: u32, scene: &Scene, command: &mut Command) -> Stranger {
        a_tick_passes();
        Stranger::at_once(number, scene, command)
    }

    /// The same, perhaps in the same tick.
    #[expect(clippy::zombie_processes, reason = "the reader of the reports reaps them")]
    #[track_caller]
    pub(crate) fn at_once(number: u32, scene: &Scene, command: &mut Command) -> Stranger {
        start_as(number, command);
        // One that had got another number may have reported before it was killed.
        loop {
            let start = scene.reports.start(STRANGER);
            if start.pid == number {
                return Stranger { start };
            }
        }
    }

    /// Checks that it lives and runs: of a signal that it could catch the scene knows, as a report that was not expected.
    #[track_caller]
    pub(crate) fn check(&self) {
        check_runs(&self.start);
    }

    /// Checks that it has reported no signal so far, in a scene whose reports are going to be forgotten.
    #[track_caller]
    pub(crate) fn check_unsignalled(&self, scene: &Scene) {
        let its = format!("Signal {{ pid: {},", self.start.pid);
        let signals: Vec<_> = scene.reports.unread().into_iter().filter(|report| report.starts_with(&its)).collect();
        assert!(signals.is_empty(), "{signals:?}");
    }

    #[track_caller]
    pub(crate) fn end(self) {
        self.check();
        end(&self.start.process);
    }
}

/// Checks that a process neither has ended nor is stopped.
#[track_caller]
pub(crate) fn check_runs(start: &Start) {
    assert!(!start.process.is_gone(), "{} {} was signalled", start.role, start.pid);
    let stat = fs::read_to_string(format!("/proc/{}/stat", start.pid)).expect("read stat");
    let state = stat.rsplit_once(") ").map(|(_, fields)| &fields[..1]);
    assert!(matches!(state, Some("S" | "R" | "D")), "{} is in state {state:?}", start.pid);
}

/// Kills a process, and returns when its number is free.
#[track_caller]
pub(crate) fn end(process: &Process) {
    process.kill();
    process.wait_reaped();
}

/// A thread of this process that waits.
#[derive(Debug)]
pub(crate) struct Thread {
    end: Sender<()>,
    thread: JoinHandle<()>,
}

impl Thread {
    #[track_caller]
    pub(crate) fn with(number: u32) -> Thread {
        give(number, || {
            let (tell, told) = channel();
            let (end, ended) = channel::<()>();
            let thread = std::thread::spawn(move || {
                tell.send(rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs()).expect("the test listens");
                let _ = ended.recv();
            });
            let (tid, thread) = (told.recv().expect("a thread"), Thread { end, thread });
            if tid == number {
                return Some(thread);
            }
            thread.end();
            None
        })
    }

    pub(crate) fn end(self) {
        drop(self.end);
        self.thread.join().expect("it only waits");
    }
}

/// What anybody has who reads a file, as `tail -f` does.
#[track_caller]
pub(crate) fn reading(path: &std::path::Path) -> Stdio {
    File::open(path).expect("open a log").into()
}

/// When a process or thread was started, in the kernel's ticks.
#[track_caller]
pub(crate) fn start_ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("read stat");
    let fields = stat.rsplit_once(") ").and_then(|(_, fields)| fields.split(' ').nth(19));
    fields.and_then(|ticks| ticks.parse().ok()).expect("field 22")
}
