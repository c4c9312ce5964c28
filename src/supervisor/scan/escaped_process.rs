// SPDX-License-Identifier: MPL-2.0
//! A process of a proxy that has left its group for another session (setsid(2), daemon(3)): no signal to the group
//! reaches it, and it could hold the ports of the next process.
//!
//! It is identified by the process tag in its environment, which a scan finds once the group is gone, or by the cgroup
//! of the proxy.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use super::process_tag::{EnvironmentReader, Wanted};
use crate::supervisor::zombies::Zombie;
use crate::sys::cgroup::directory;
use crate::sys::pid::Pid;
use crate::sys::proc::stat;
use crate::sys::proc::stat::Stat;
use crate::sys::signal::{self, Signal};
use crate::sys::{is_exhausted, pidfd};

/// Each costs a descriptor while it is being ended.
const MOST_OF_CGROUP: usize = 256;

/// A process that was proven to be of a proxy that is gone.
#[derive(Debug)]
pub(crate) struct Escaped {
    pid: Pid,
    start_ticks: u64,
    /// The group that it was in when it was found.
    group: i32,
    /// Absent where the kernel has no pidfds.
    pidfd: Option<OwnedFd>,
}

impl fmt::Display for Escaped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pid.fmt(f)
    }
}

impl Escaped {
    /// ORDER: the descriptor first, then the proof; so signals go to the process that the proof was of.
    pub(crate) fn prove(pid: Pid, wanted: &Wanted, reader: EnvironmentReader<'_>) -> io::Result<Option<Escaped>> {
        let pidfd = match pidfd::is_supported().then(|| pidfd::open(pid)).transpose() {
            Err(error) if is_exhausted(&error) => return Err(error),
            Err(_) => return Ok(None), // gone
            Ok(pidfd) => pidfd,
        };
        let Some(stat) = stat::read(pid.as_raw())? else { return Ok(None) };
        let environment = reader.environment_of(pid, &mut Vec::new())?;
        let proven = wanted.is(&environment);
        let escaped = Escaped { pid, start_ticks: stat.start_ticks, group: stat.group, pidfd };
        // If it lives now, the pid was its own all the time.
        Ok((proven && escaped.lives()).then_some(escaped))
    }

    /// Those that are in a cgroup now, at most so many that a stop names and signals each; all others are ended with it. And
    /// whether any is in it: one that has ended since may have left others.
    ///
    /// ORDER: their descriptors first, then the proof, as above: what is listed again is what was opened, if it lives.
    pub(crate) fn of_cgroup(path: &Path) -> io::Result<(bool, Vec<Escaped>)> {
        if !directory::is_populated(path)? {
            return Ok((false, Vec::new()));
        }
        let mut opened = Vec::new();
        for pid in directory::processes(path)?.into_iter().take(MOST_OF_CGROUP) {
            let pidfd = match pidfd::is_supported().then(|| pidfd::open(pid)).transpose() {
                Err(error) if is_exhausted(&error) => return Err(error),
                Err(_) => continue, // gone
                Ok(pidfd) => pidfd,
            };
            if let Some(stat) = stat::read(pid.as_raw())? {
                opened.push(Escaped { pid, start_ticks: stat.start_ticks, group: stat.group, pidfd });
            }
        }
        let listed: HashSet<Pid> = directory::processes(path)?.into_iter().collect();
        // What is listed has not ended, unless its pid was recycled, which a pidfd tells at the least cost.
        let lives = |escaped: &Escaped| match &escaped.pidfd {
            Some(fd) => !pidfd::has_ended(fd.as_fd()),
            None => escaped.lives(),
        };
        opened.retain(|escaped| listed.contains(&escaped.pid) && lives(escaped));
        // ORDER: after the lists. What has only ended a moment ago is out of it by now.
        Ok((!opened.is_empty() || directory::is_populated(path)?, opened))
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Whether it has one of these pids.
    pub(crate) fn is_among(&self, pids: &[Pid]) -> bool {
        pids.contains(&self.pid)
    }

    /// Itself, if it has ended and was not reaped.
    pub(crate) fn zombie(&self) -> Option<Zombie> {
        Zombie::of_process(self.pid, self.start_ticks)
    }

    /// Whether it has not ended. One that cannot be read counts as alive.
    pub(crate) fn lives(&self) -> bool {
        if self.pidfd.as_ref().is_some_and(|fd| pidfd::has_ended(fd.as_fd())) {
            return false;
        }
        // A pidfd says nothing of zombies that a debugger holds, for the sake of their threads.
        let lives = |stat: Stat| stat.start_ticks == self.start_ticks && !stat.is_dead();
        stat::read(self.pid.as_raw()).map_or(true, |stat| stat.is_some_and(lives))
    }

    /// Whether it has not left the group of its leader: that of an adopted one cannot be watched when the leader is gone,
    /// before Linux 6.9.
    pub(crate) fn is_in_group_of(&self, leader: Pid) -> bool {
        self.group == leader.as_raw()
    }

    /// Sends a signal, and SIGCONT after it. One that has ended gets none, which is no error.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        for signal in [signal, Signal::CONT] {
            let sent = match &self.pidfd {
                Some(fd) => pidfd::signal(fd.as_fd(), signal),
                None if self.lives() => signal::kill_process(self.pid, signal),
                None => Ok(()),
            };
            match sent {
                Err(error) if error.raw_os_error() != Some(libc::ESRCH) => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}
