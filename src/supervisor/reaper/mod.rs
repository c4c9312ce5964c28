// SPDX-License-Identifier: MPL-2.0
//! The reaper: a table of all processes, own children and adopted ones alike, and one epoll instance that waits for
//! them; it reaps exactly those.
//!
//! Signals go through it as well, under the same lock as reaping: so no signal can reach a pid that was just
//! recycled, even where the kernel has no pidfds.

pub(super) mod awaited_descriptor;
mod exit;
mod group;
mod leader_change;
pub(super) mod process;
mod table;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use table::{Table, WatchPhase, Watched};

use super::other_agent;
use super::process_key::{ProcessKey, WAKEUP, new_key};
use super::spare_descriptor::SpareDescriptor;
use super::zombies::Zombie;
use crate::logging::{self, Level};
use crate::sys::epoll::{Epoll, Wakeup};
use crate::sys::fork_safe::PerProcess;
use crate::sys::pid::Pid;
use crate::sys::process_identity::Identity;
use crate::sys::wait::{self, ExitStatus, Reap, Waited};
use crate::sys::{fail, pidfd};
use process::Process;

/// How often processes without a pidfd are polled. Only where the kernel has none.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// How often they are polled thoroughly, for an end that the kernel reports to a debugger alone: that takes reading a file.
const THOROUGH_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// What is done with what a process that has ended has left of its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leftovers {
    /// The lifecycle decides, once it gets the exit.
    Leave,
    /// The lifecycle would kill them at once.
    Kill,
}

/// The table and the way to wait for all of it; every thread may use it, one waits.
#[derive(Debug)]
pub(crate) struct Reaper {
    epoll: Epoll,
    wakeup: Wakeup,
    table: Mutex<Table>,
    /// For a scan of all processes, where ends of groups are seen by that.
    spare: Option<SpareDescriptor>,
}

/// The end of a supervised process.
#[derive(Debug)]
pub(crate) struct Exit {
    pub(crate) pid: Pid,
    pub(crate) status: ExitStatus,
    /// Whether others of its group outlive it.
    pub(crate) group_left: bool,
    /// Itself, if its parent, which is not this process, or its debugger has yet to reap it.
    pub(crate) zombie: Option<Zombie>,
}

/// What is left of the group of a process that has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Alive,
    /// None of it lives.
    Gone,
}

/// Children that outlived the supervisor that started them: the next one reaps them.
static LEFT_BEHIND: PerProcess<Mutex<Vec<Process>>> = PerProcess::new(Mutex::default);

impl Reaper {
    pub(crate) fn new() -> io::Result<Reaper> {
        pidfd::probe()?;
        let (epoll, wakeup) = (Epoll::new()?, Wakeup::new()?);
        epoll.add(wakeup.fd(), WAKEUP)?;
        let spare = if pidfd::signals_groups() { None } else { Some(SpareDescriptor::new()?) };
        let reaper = Reaper { epoll, wakeup, table: Mutex::new(Table::default()), spare };
        reaper.take_left_behind();
        Ok(reaper)
    }

    /// Waits from now on for the children of supervisors that have ended.
    pub(crate) fn take_left_behind(&self) {
        let mut table = self.lock();
        for process in std::mem::take(&mut *left_behind()) {
            let key = new_key();
            table.released.insert(process.pid, key);
            table.processes.insert(key, Watched::new(process, WatchPhase::Released));
            self.watch_in(&mut table, key);
        }
    }

    /// Takes a process into the table, so that it can be signalled. Its end is reported from [`Reaper::watch`] on.
    pub(crate) fn insert(&self, key: ProcessKey, process: Process) {
        let mut table = self.lock();
        self.end_release(&mut table, &process);
        table.processes.insert(key, Watched::new(process, WatchPhase::Supervised));
    }

    /// An own child that was let go and is adopted again has one watcher, or they would race for its status.
    fn end_release(&self, table: &mut Table, process: &Process) {
        if let Some(earlier) = table.released.remove(&process.pid).and_then(|key| table.take_out(key)) {
            self.stop_watching(&earlier.process);
        }
    }

    /// Begins to wait for a process of the table.
    pub(crate) fn watch(&self, key: ProcessKey) {
        self.watch_in(&mut self.lock(), key);
    }

    fn watch_in(&self, table: &mut Table, key: ProcessKey) {
        let Some(watched) = table.processes.get(&key) else { return };
        let held = watched.phase == WatchPhase::HeldByTracer;
        let add = |fd: &OwnedFd| {
            fail::failing("watch:add")?;
            // The pidfd of a zombie is readable for as long as it is held.
            if held { self.epoll.add_changes(fd.as_fd(), key) } else { self.epoll.add(fd.as_fd(), key) }
        };
        let watching = watched.process.pidfd.as_ref().map(add);
        match watching {
            Some(Ok(())) => {}
            // Without a pidfd, or when the kernel has no memory for one more entry.
            failed => {
                if let Some(Err(error)) = failed {
                    let pid = watched.process.pid;
                    logging::write(
                        Level::Warn,
                        format_args!("pid {pid} is polled, for epoll does not take it: epoll_ctl: {error}"),
                    );
                }
                table.polled.insert(key);
                self.wakeup.wake();
            }
        }
    }

    /// Releases a process: it runs on, its exit is not reported, and it is reaped if it is our child.
    pub(crate) fn release(&self, key: ProcessKey) {
        let mut table = self.lock();
        let Some(watched) = table.processes.get_mut(&key) else { return };
        if let WatchPhase::Ended { .. } | WatchPhase::Unreaped { .. } = watched.phase {
            self.remove_in(&mut table, key);
            return;
        }
        watched.phase = WatchPhase::Released;
        watched.process.pidfd.as_ref().into_iter().for_each(|fd| other_agent::release(fd.as_fd()));
        fail::point("release:done");
        let pid = watched.process.pid;
        table.released.insert(pid, key);
    }

    /// Who a process of the table is; `None` when it has ended.
    ///
    /// # Errors
    /// When that cannot be known now.
    pub(crate) fn identity(&self, key: ProcessKey) -> io::Result<Option<Identity>> {
        let table = self.lock();
        match table.processes.get(&key) {
            // Reaped, so that the pid may be recycled.
            None | Some(Watched { phase: WatchPhase::Ended { .. } | WatchPhase::Unreaped { .. }, .. }) => Ok(None),
            Some(Watched { process, .. }) => process.identity(),
        }
    }

    /// Ends a wait that is under way, or else the next one.
    pub(crate) fn wake(&self) {
        self.wakeup.wake();
    }

    /// Waits until a process has ended, until an [`AwaitedDescriptor`](awaited_descriptor::AwaitedDescriptor) has something
    /// to tell, or until it is woken, at most for `patience`. What may have ended is in `ready` then, and
    /// [`Reaper::take_exit`] tells; and the numbers of the descriptors.
    pub(crate) fn wait(&self, patience: Option<Duration>, ready: &mut Vec<ProcessKey>) {
        let (polls, until) = {
            let table = self.lock();
            (!table.polled.is_empty(), table.unreaped.front().map(|(until, _)| *until))
        };
        let until = until.map(|until| until.saturating_duration_since(Instant::now()));
        let timeout = [patience, polls.then_some(POLL_INTERVAL), until].into_iter().flatten().min();
        if let Err(error) = self.epoll.wait(timeout, ready) {
            // Only a host that closed our descriptor can cause this; it must not cost it a processor.
            logging::write(Level::Error, format_args!("wait for processes: {error}"));
            std::thread::sleep(POLL_INTERVAL);
        }
        if let Some(at) = ready.iter().position(|key| *key == WAKEUP) {
            ready.swap_remove(at);
            self.wakeup.drain();
        }
        if polls {
            fail::point("watch:polled");
        }
        let mut table = self.lock();
        let now = Instant::now();
        if polls {
            let (due, _) = table.thorough_poll;
            let closely = due.is_none_or(|due| due <= now);
            table.thorough_poll = (if closely { Some(now + THOROUGH_POLL_INTERVAL) } else { due }, closely);
        }
        ready.extend(table.polled.iter().copied());
        let due = table.unreaped.iter().take_while(|(until, _)| *until <= now).count();
        let due: Vec<_> = table.unreaped.drain(..due).collect();
        // One that was reaped in time has been reported, and its successor can have the key by now.
        let awaited = |(at, key): &(Instant, ProcessKey)| {
            let phase = table.processes.get(key).map(|watched| watched.phase);
            matches!(phase, Some(WatchPhase::Unreaped { until, .. }) if until == *at)
        };
        ready.extend(due.iter().filter(|entry| awaited(entry)).map(|(_, key)| key));
    }

    /// Gives up what there is: children that live are left to the next supervisor of the program.
    pub(crate) fn leave_all_behind(&self) {
        let mut table = self.lock();
        for (_, watched) in table.processes.drain() {
            if let Some(fd) = &watched.process.pidfd {
                self.epoll.remove(fd.as_fd());
            }
            if matches!(wait::try_wait(watched.process.target(), Reap::Yes), Ok(Waited::Running)) {
                left_behind().push(watched.process);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing panics while it is held.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leaves a child that no supervisor has to the one that there is, to be reaped when it has ended.
pub(super) fn leave_behind(process: Process) {
    left_behind().push(process);
}

fn left_behind() -> MutexGuard<'static, Vec<Process>> {
    LEFT_BEHIND.get().lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
