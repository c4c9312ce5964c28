// SPDX-License-Identifier: MPL-2.0
//! An agent under test: any program that takes the configuration file and the signals of `examples/agent`.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::config::Config;
use super::deadline::{Deadline, WATCHDOG};
use super::files::Changes;
use super::process::{Process, readable};
use super::programs::{self, HELPER};
use super::scene::Scene;
use super::status::Status;

/// What becomes of the agent's standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stdout {
    /// The test reads it.
    Read,
    /// A pipe whose reader is gone.
    Broken,
    /// It is not open at all.
    Closed,
}

/// How to start an agent.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    scene: &'a Scene,
    program: &'a Path,
    under: &'a [&'a str],
    env: Vec<(&'a str, &'a str)>,
    stdout: Stdout,
}

impl<'a> Launch<'a> {
    pub(crate) fn new(scene: &'a Scene) -> Launch<'a> {
        Launch::of(programs::agent_under_test(), scene)
    }

    /// Another agent than the one under test.
    pub(crate) fn of(program: &'a Path, scene: &'a Scene) -> Launch<'a> {
        Launch { scene, program, under: &[], env: Vec::new(), stdout: Stdout::Read }
    }

    /// Sets a variable in the agent's environment.
    pub(crate) fn env(mut self, name: &'a str, value: &'a str) -> Launch<'a> {
        self.env.push((name, value));
        self
    }

    /// Has other programs prepare the agent's process, and then execute it.
    pub(crate) fn under(mut self, programs: &'a [&'a str]) -> Launch<'a> {
        self.under = programs;
        self
    }

    pub(crate) fn stdout(mut self, stdout: Stdout) -> Launch<'a> {
        self.stdout = stdout;
        self
    }

    /// Starts an agent and waits until it has the data directory and takes signals.
    #[track_caller]
    pub(crate) fn start(self, config: &Config) -> Agent {
        let scene = self.scene;
        let agent = self.spawn(config);
        agent.wait_until_ready(&scene.data_dir());
        agent
    }

    /// Starts an agent that need not come up.
    pub(crate) fn spawn(self, config: &Config) -> Agent {
        self.spawn_with(|path| config.write(path))
    }

    /// Starts an agent whose configuration file is written by `write`, or is not.
    pub(crate) fn spawn_with(self, write: impl FnOnce(&Path)) -> Agent {
        let path = self.scene.path("agent.json");
        write(&path);
        let mut words: Vec<OsString> = self.under.iter().map(OsString::from).collect();
        words.extend([self.program.into(), path.clone().into()]);
        if self.stdout == Stdout::Closed {
            words.splice(..0, ["/bin/sh", "-c", "exec \"$@\" >&-", "sh"].map(OsString::from));
        }
        // The guard has it killed when the test ends, however that comes about.
        let mut command = Command::new(*HELPER);
        command.arg("guard").args(words).env_remove("RUST_LOG").envs(self.scene.env()).envs(self.env);
        command.stdin(Stdio::null()).stderr(Stdio::piped()).stdout(match self.stdout {
            Stdout::Read => Stdio::piped(),
            Stdout::Broken => broken_pipe(),
            Stdout::Closed => Stdio::null(),
        });
        let mut child = command.spawn().expect("start the agent");
        let process = Process::open(child.id()).expect("a child that is not reaped");
        let log = Log::read(child.stderr.take().expect("stderr is a pipe"));
        let lines = child.stdout.take().map(read_lines);
        Agent { child, process, path, lines, log }
    }
}

/// A running agent. Dropped, it is killed; that of a failed test shows its log and may stop its proxies before.
#[derive(Debug)]
pub(crate) struct Agent {
    child: Child,
    process: Process,
    path: PathBuf,
    lines: Option<Receiver<String>>,
    log: Arc<Log>,
}

impl Agent {
    /// Starts an agent in the usual way.
    #[track_caller]
    pub(crate) fn start(scene: &Scene, config: &Config) -> Agent {
        Launch::new(scene).start(config)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Asks for the status and waits for the answer.
    #[track_caller]
    pub(crate) fn status(&self) -> Status {
        let lines = self.lines.as_ref().expect("stdout is read");
        self.signal(Signal::USR1);
        let deadline = Deadline::of("the status line of the agent");
        let line = loop {
            match lines.recv_timeout(deadline.left()) {
                Ok(line) => break line,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => panic!("the agent closed its stdout"),
            }
        };
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("read status {line:?}: {error}"))
    }

    /// Asks for the status of an agent that may end, or cease to answer, which `given_up` says; `None` then.
    #[track_caller]
    pub(crate) fn status_unless(&self, given_up: impl Fn() -> bool) -> Option<Status> {
        let lines = self.lines.as_ref().expect("stdout is read");
        while lines.try_recv().is_ok() {}
        self.signal(Signal::USR1);
        let deadline = Deadline::of("the status line of the agent");
        let mut asked = Instant::now();
        let line = loop {
            match lines.recv_timeout(deadline.left().min(Duration::from_millis(5))) {
                Ok(line) => break line,
                Err(RecvTimeoutError::Timeout) if given_up() => return None,
                // A signal is lost that comes when its handler is installed and does not know yet what to do.
                Err(RecvTimeoutError::Timeout) if asked.elapsed() > Duration::from_secs(1) => {
                    asked = Instant::now();
                    self.signal(Signal::USR1);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        };
        // One that is killed while it writes leaves a part of a line.
        serde_json::from_str(&line).ok()
    }

    /// Asks for the status until it is as wanted. Most changes show in the data directory too: one there, or a short
    /// time, is the occasion to ask again.
    #[track_caller]
    pub(crate) fn status_when(&self, scene: &Scene, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
        let changes = Changes::of(&scene.data_dir());
        let mut status = self.status();
        let begun = Instant::now();
        while !wanted(&status) {
            assert!(begun.elapsed() < WATCHDOG, "waited in vain until {what}; the status is {status:#?}");
            changes.wait(Duration::from_millis(20));
            status = self.status();
        }
        status
    }

    /// Waits until the proxy runs in this process.
    #[track_caller]
    pub(crate) fn status_running(&self, scene: &Scene, id: &str, pid: u32) -> Status {
        self.status_when(scene, &format!("{id} runs as {pid}"), |status| status.runs(id, pid))
    }

    /// Replaces the configuration file and has it read.
    pub(crate) fn reload(&self, config: &Config) {
        self.reload_with(|path| config.write(path));
    }

    /// Has the configuration file read again after `write` has replaced it.
    pub(crate) fn reload_with(&self, write: impl FnOnce(&Path)) {
        write(&self.path);
        self.signal(Signal::HUP);
    }

    /// Waits until the log holds this text, in any case.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, text: &str) {
        self.log.wait_for(text);
    }

    /// All that the agent has logged.
    pub(crate) fn log(&self) -> String {
        self.log.text()
    }

    /// Kills the agent, as the kernel does when memory is short, and waits for its end.
    pub(crate) fn kill(mut self) {
        self.signal(Signal::KILL);
        self.end();
    }

    /// Has the agent stop all proxies and end.
    #[track_caller]
    pub(crate) fn quit(self) {
        self.end_by(Signal::QUIT);
    }

    /// Sends a signal that ends the agent, and checks that it ended as asked.
    #[track_caller]
    pub(crate) fn end_by(mut self, signal: Signal) {
        self.signal(signal);
        let status = self.end();
        assert!(status.success(), "the agent ended with {status}");
    }

    /// Waits for its end, and for the end of its log.
    #[track_caller]
    pub(crate) fn end(&mut self) -> ExitStatus {
        self.process.wait();
        let status = self.child.wait().expect("wait for the agent");
        self.log.wait_for_end();
        status
    }

    /// Signals are taken once they are handled, or blocked to be read from a signalfd; the lock names its holder. (While a
    /// thread is in sigwait(3), /proc does not show the signals that it waits for as blocked.)
    #[track_caller]
    fn wait_until_ready(&self, data_dir: &Path) {
        let changes = Changes::of(data_dir);
        let deadline = Deadline::of("the agent to come up");
        while !self.is_ready(data_dir) {
            assert!(!self.process.is_gone(), "the agent has ended:\n{}", self.log());
            changes.wait(deadline.left().min(Duration::from_millis(5)));
        }
    }

    /// Whether it has the data directory and takes signals.
    pub(crate) fn is_ready(&self, data_dir: &Path) -> bool {
        self.takes_signals() && self.holds(data_dir)
    }

    fn holds(&self, data_dir: &Path) -> bool {
        fs::read_to_string(data_dir.join("lock")).is_ok_and(|holder| holder.trim() == self.pid().to_string())
    }

    pub(crate) fn takes_signals(&self) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let masks = status.lines().filter_map(|line| line.strip_prefix("SigCgt:").or(line.strip_prefix("SigBlk:")));
        let taken = masks.filter_map(|mask| u64::from_str_radix(mask.trim(), 16).ok()).fold(0, |all, mask| all | mask);
        let needed = [Signal::HUP, Signal::INT, Signal::QUIT, Signal::USR1, Signal::TERM];
        needed.iter().all(|signal| taken & (1 << (signal.as_raw() - 1)) != 0)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of agent {}:\n{}---", self.process.pid(), self.log());
            self.signal(Signal::QUIT);
            let _ = readable(self.process.fd(), WATCHDOG / 3);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The standard error of an agent, read by a thread.
#[derive(Debug, Default)]
struct Log {
    content: Mutex<(String, bool)>,
    changed: Condvar,
}

impl Log {
    fn read(from: impl Read + Send + 'static) -> Arc<Log> {
        let log = Arc::new(Log::default());
        let to = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(from).lines() {
                let Ok(line) = line else { break };
                let mut content = to.lock();
                content.0.push_str(&line);
                content.0.push('\n');
                to.changed.notify_all();
            }
            to.lock().1 = true;
            to.changed.notify_all();
        });
        log
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (String, bool)> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn text(&self) -> String {
        self.lock().0.clone()
    }

    #[track_caller]
    fn wait_for(&self, text: &str) {
        let wanted = text.to_lowercase();
        self.wait(&format!("{text:?} in the log"), |(content, _)| content.to_lowercase().contains(&wanted));
    }

    /// No process that the agent started may hold the pipe open.
    #[track_caller]
    fn wait_for_end(&self) {
        self.wait("the end of the log", |(_, ended)| *ended);
    }

    #[track_caller]
    fn wait(&self, what: &str, holds: impl Fn(&(String, bool)) -> bool) {
        let deadline = Deadline::of(what);
        let mut content = self.lock();
        while !holds(&content) {
            let left = deadline.left();
            let woken = self.changed.wait_timeout(content, left);
            content = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn read_lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

/// The writing end of a pipe without a reader.
fn broken_pipe() -> Stdio {
    let (_, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("make a pipe");
    let write: OwnedFd = write;
    write.into()
}
