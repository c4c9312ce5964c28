// SPDX-License-Identifier: MPL-2.0
//! The table of the processes that are waited for.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::process::Process;
use crate::supervisor::process_key::ProcessKey;
use crate::supervisor::scan::group_scan::GroupScan;
use crate::sys::pid::Pid;
use crate::sys::pidfd;
use crate::sys::signal::{self, Signal};
use crate::sys::wait::{self, ExitStatus, Reap, Waited};

/// How long the parent of an adopted process is given to reap it, before all processes are scanned to know whether
/// others of its group live.
pub(super) const REAP_PATIENCE: Duration = Duration::from_millis(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WatchPhase {
    /// Waited for, and its end is reported.
    Supervised,
    /// Waited for only so that it does not stay a zombie: its owner let it go.
    Released,
    /// Waited for only so that it does not stay a zombie: another process leads in its place. What lives of it is found like what
    /// left the group.
    FormerLeader,
    /// Ended, and not reaped yet by its parent, which is not this process.
    Unreaped {
        /// As far as it is known.
        status: ExitStatus,
        /// How long that is waited for.
        until: Instant,
    },
    /// Ended; kept for the sake of its group.
    Ended {
        /// The first look of late that found no living member.
        empty_scan: Option<u64>,
    },
    /// Ended and reported, and waited for only to be reaped: its tracer has not let the zombie go.
    HeldByTracer,
}

impl WatchPhase {
    /// Whether its owner is told of its end.
    pub(super) fn is_of_owner(self) -> bool {
        !matches!(self, WatchPhase::Released | WatchPhase::FormerLeader)
    }
}

#[derive(Debug)]
pub(super) struct Watched {
    pub(super) process: Process,
    pub(super) phase: WatchPhase,
    /// When it was reaped: from then on its pid may be recycled, unless others are in its group.
    pub(super) reaped_at: Option<Instant>,
}

impl Watched {
    pub(super) fn new(process: Process, phase: WatchPhase) -> Watched {
        Watched { process, phase, reaped_at: None }
    }

    /// Kills the processes that are left in the group of a child that has ended, and reaps the child.
    ///
    /// The zombie is kept so that its pid is not recycled, as long as its group may have to be signalled. After SIGKILL that
    /// is over: the kernel sends it to all members at once, and a fork that is under way fails. Then it tells for the price of
    /// a system call whether the group is empty, as it does not while the zombie is a member.
    pub(super) fn end_group(&mut self) -> io::Result<()> {
        match self.process.signal_group(Signal::KILL) {
            Err(error) if error.raw_os_error() != Some(libc::ESRCH) => return Err(error),
            _ => {}
        }
        self.reap()
    }

    pub(super) fn reap(&mut self) -> io::Result<()> {
        if wait::try_wait(self.process.target(), Reap::Yes)? != Waited::Running {
            self.reaped_at = Some(Instant::now());
        }
        Ok(())
    }

    /// Whether its group has members, zombies included.
    pub(super) fn group_exists(&self) -> bool {
        let pid = self.process.pid;
        match &self.process.pidfd {
            Some(fd) if pidfd::signals_groups() => pidfd::group_exists(fd.as_fd()),
            // No pid is recycled while there is a group of it: if a process has it now, that group is another one.
            _ if self.reaped_at.is_some() => signal::group_exists(pid) && !signal::process_exists(pid),
            _ => true,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) processes: HashMap<ProcessKey, Watched>,
    /// Released processes and former leaders by pid, for one may be adopted again, or lead again.
    pub(super) released: HashMap<Pid, ProcessKey>,
    /// Those that no descriptor reports.
    pub(super) polled: HashSet<ProcessKey>,
    /// When those are polled thoroughly again, and whether they are this time.
    pub(super) thorough_poll: (Option<Instant>, bool),
    /// Those that are waited for to be reaped, the first one first.
    pub(super) unreaped: VecDeque<(Instant, ProcessKey)>,
    /// The last one was waited for in vain.
    pub(super) reaped_late: bool,
    /// Gone, and still to be forgotten: a successor comes first.
    pub(super) gone: Vec<Watched>,
    pub(super) groups: GroupScan,
}

impl Table {
    pub(super) fn take_out(&mut self, key: ProcessKey) -> Option<Watched> {
        self.polled.remove(&key);
        let watched = self.processes.remove(&key)?;
        if self.released.get(&watched.process.pid) == Some(&key) {
            self.released.remove(&watched.process.pid);
        }
        Some(watched)
    }
}
