// SPDX-License-Identifier: MPL-2.0
//! A process as the test knows it: by pidfd, so that it is never confused with a later one of the same number.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid};

use super::deadline::{Deadline, until};

/// A process that lives or has ended.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pid: u32,
    fd: Arc<OwnedFd>,
}

impl Process {
    /// A process whose pidfd was given by itself.
    pub(crate) fn new(pid: u32, fd: OwnedFd) -> Process {
        Process { pid, fd: Arc::new(fd) }
    }

    /// The process that has this pid now; to be sure that it is the one that was meant, look at it again afterwards.
    pub(crate) fn open(pid: u32) -> Option<Process> {
        let raw = Pid::from_raw(pid.try_into().ok()?)?;
        Some(Process::new(pid, pidfd_open(raw, PidfdFlags::empty()).ok()?))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Sends a signal; one that has ended gets none.
    pub(crate) fn signal(&self, signal: Signal) {
        let _ = pidfd_send_signal(&self.fd, signal);
    }

    /// Sends SIGKILL and waits for the end.
    #[track_caller]
    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
        self.wait();
    }

    /// Whether it has ended; it may still be a zombie.
    pub(crate) fn is_gone(&self) -> bool {
        readable(self.fd(), Duration::ZERO)
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(&self) {
        let deadline = Deadline::of(format!("the end of process {}", self.pid));
        while !readable(self.fd(), deadline.left()) {}
    }

    /// Whether nothing of it is left, not even a zombie.
    pub(crate) fn is_reaped(&self) -> bool {
        let path = format!("/proc/self/fdinfo/{}", self.fd.as_raw_fd());
        let info = fs::read_to_string(path).expect("read fdinfo of an open pidfd");
        info.lines().any(|line| line == "Pid:\t-1")
    }

    /// Waits until nothing of a process that has ended is left: its exit status is taken once this process is its parent. No
    /// event tells that it is.
    #[track_caller]
    pub(crate) fn wait_reaped(&self) {
        until(format!("the reaping of process {}", self.pid), || self.reap());
    }

    /// Takes the exit status if it has ended and is a child of this process. True when nothing of it is left.
    pub(crate) fn reap(&self) -> bool {
        let _ = waitid(WaitId::PidFd(self.fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        self.is_reaped()
    }
}

/// Whether processes have inodes for the library, by which a record tells two of the same number and start time apart
/// (Linux 6.9): pidfds are on a file system of their own then.
pub(crate) fn have_inodes() -> bool {
    const PIDFS: u64 = 0x5049_4446;
    let own = Process::open(std::process::id()).and_then(|own| rustix::fs::fstatfs(own.fd()).ok());
    !cfg!(proxyprocess_no_pidfd) && own.is_some_and(|found| u64::try_from(found.f_type) == Ok(PIDFS))
}

/// Waits until a descriptor is readable; false when the time is over or a signal came.
pub(crate) fn readable(fd: BorrowedFd<'_>, timeout: Duration) -> bool {
    let timeout = Timespec::try_from(timeout).expect("a short time");
    poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&timeout)).is_ok_and(|ready| ready > 0)
}

/// The live children of a process, by pidfd. Only complete while the process starts none.
pub(crate) fn children_of(parent: &Process) -> Vec<Process> {
    processes(|pid| parent_of(pid) == Some(parent.pid))
}

/// The live processes that have `NAME=value` in their environment, this one left out.
pub(crate) fn with_variable(name: &str, value: &str) -> Vec<Process> {
    let line = format!("{name}={value}");
    let has = |pid: u32| environment_of(pid).split(|byte| *byte == 0).any(|variable| variable == line.as_bytes());
    let own = std::process::id();
    processes(|pid| pid != own && has(pid))
}

/// The environment of a process; empty where it cannot be read. One in the middle of execve(2) shows none until the
/// kernel has placed it, and is waited for: a second, as its file system may never answer.
fn environment_of(pid: u32) -> Vec<u8> {
    let end = Instant::now() + Duration::from_secs(1);
    loop {
        let environment = fs::read(format!("/proc/{pid}/environ"));
        let is_unplaced = environment.as_ref().is_ok_and(|bytes| bytes.is_empty() && is_in_exec(pid));
        if !is_unplaced || Instant::now() >= end {
            return environment.unwrap_or_default();
        }
        std::thread::yield_now();
    }
}

/// Whether a process has memory, and no place of its environment in it yet.
fn is_in_exec(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit_once(") ").map_or(vec![], |(_, rest)| rest.split_ascii_whitespace().collect());
    // Fields 23 and 51 of proc_pid_stat(5); the third is the first here.
    matches!((fields.get(20), fields.get(48)), (Some(size), Some(end)) if *size != "0" && *end == "0")
}

/// The live processes that `wanted` picks by number. Each is opened before it is looked at and must not have ended
/// after that: what was seen was then this one. A first look, at the number alone, spares the opening of all others.
fn processes(wanted: impl Fn(u32) -> bool) -> Vec<Process> {
    let entries = fs::read_dir("/proc").expect("list /proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let opened = pids.filter(|pid| wanted(*pid)).filter_map(Process::open);
    opened.filter(|process| wanted(process.pid) && !process.is_gone()).collect()
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; state and parent follow the last one.
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(1)?.parse().ok()
}

/// The command line of a process, for messages.
pub(crate) fn describe(process: &Process) -> String {
    let words = fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
    format!("{} ({})", process.pid, String::from_utf8_lossy(&words).replace('\0', " ").trim_end())
}
