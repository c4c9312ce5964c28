// SPDX-License-Identifier: MPL-2.0
//! The exit of a process: detected, reaped, reported once, and removed.

use std::os::fd::AsFd;
use std::time::Instant;

use super::process::Process;
use super::table::{REAP_PATIENCE, Table, WatchPhase, Watched};
use super::{Exit, Leftovers, Reaper};
use crate::logging::{self, Level};
use crate::supervisor::process_key::{ProcessKey, new_key};
use crate::supervisor::zombies::Zombie;
use crate::sys::fail;
use crate::sys::non_child_exit::Ended;
use crate::sys::wait::{self, ExitStatus, Reap, Waited};

impl Reaper {
    /// Looks whether a process has ended, and what there is to say then: nothing of one that was let go.
    pub(crate) fn take_exit(&self, key: ProcessKey, leftovers: Leftovers) -> Option<Exit> {
        let mut table = self.lock();
        let watched = table.processes.get(&key)?;
        match watched.phase {
            WatchPhase::Ended { .. } => return None,
            WatchPhase::HeldByTracer => {
                self.reap_held(&mut table, key);
                return None;
            }
            WatchPhase::Supervised | WatchPhase::Released | WatchPhase::FormerLeader | WatchPhase::Unreaped { .. } => {}
        }
        let reap = if watched.process.leads_by_pidfd() { Reap::Yes } else { Reap::No };
        let closely = !table.polled.contains(&key) || table.thorough_poll.1;
        let ended = watched.process.ended(reap, closely)?;
        fail::point("exit:reaped");
        if ended.awaits_reaping && self.awaits_reaping_in(&mut table, key, ended.status) {
            return None;
        }
        table.reaped_late = ended.awaits_reaping;
        let watched = table.processes.get_mut(&key)?;
        if reap == Reap::Yes && !ended.held_by_tracer {
            watched.reaped_at = Some(Instant::now());
        }
        let (pid, supervised) = (watched.process.pid, watched.phase.is_of_owner());
        // A zombie has told what the kernel may not tell of one that is reaped.
        let status = match (ended.status, watched.phase) {
            (ExitStatus::Unknown, WatchPhase::Unreaped { status, .. }) => status,
            (status, _) => status,
        };
        let zombie = if supervised { zombie_of(&watched.process, &ended) } else { None };
        table.polled.remove(&key);
        let is_zombie = ended.awaits_reaping || ended.held_by_tracer;
        let group_left = supervised && self.group_outlives(&mut table, key, is_zombie, leftovers);
        if !group_left {
            let gone = table.take_out(key);
            table.gone.extend(gone);
        } else if let Some(watched) = table.processes.get_mut(&key) {
            watched.phase = WatchPhase::Ended { empty_scan: None };
            if let Some(fd) = &watched.process.pidfd {
                self.epoll.remove(fd.as_fd());
            }
        }
        supervised.then_some(Exit { pid, status, group_left, zombie })
    }

    /// Whether it is worth to wait for the parent of a zombie to reap it: once that is done, the kernel says at once
    /// whether others of its group are left. An init may never do it.
    pub(super) fn awaits_reaping_in(&self, table: &mut Table, key: ProcessKey, status: ExitStatus) -> bool {
        let Some(watched) = table.processes.get_mut(&key) else { return false };
        match (watched.phase, &watched.process.pidfd) {
            (WatchPhase::Unreaped { until, .. }, _) => Instant::now() < until,
            (WatchPhase::Supervised, Some(fd)) if watched.process.leads_by_pidfd() && !table.reaped_late => {
                if self.epoll.await_hang_up(fd.as_fd(), key).is_err() {
                    return false;
                }
                let until = Instant::now() + REAP_PATIENCE;
                watched.phase = WatchPhase::Unreaped { status, until };
                table.unreaped.push_back((until, key));
                true
            }
            _ => false,
        }
    }

    /// Forgets those whose end [`Reaper::take_exit`] has reported. Before the next wait, which would report them again.
    pub(crate) fn forget_gone(&self) {
        let mut table = self.lock();
        while let Some(watched) = table.gone.pop() {
            self.forget(&mut table, watched);
        }
    }

    pub(super) fn remove_in(&self, table: &mut Table, key: ProcessKey) {
        if let Some(watched) = table.take_out(key) {
            self.forget(table, watched);
        }
    }

    /// Forgets a process that has ended, reaping it if that was held back. If a tracer holds the zombie, it is reaped when
    /// that lets it go.
    pub(super) fn forget(&self, table: &mut Table, watched: Watched) {
        let Watched { process, reaped_at, .. } = watched;
        self.stop_watching(&process);
        // ORDER: waited for only if it was not reaped, for the pid of another may be recycled. Not our child, or reaped
        // by the host: then there is nothing to reap.
        if reaped_at.is_none() && matches!(wait::try_wait(process.target(), Reap::Yes), Ok(Waited::Running)) {
            let (key, pid) = (new_key(), process.pid);
            logging::write(
                Level::Info,
                format_args!("pid {pid} has ended and is a zombie until its debugger lets it go"),
            );
            table.processes.insert(key, Watched::new(process, WatchPhase::HeldByTracer));
            self.watch_in(table, key);
        }
    }

    pub(super) fn reap_held(&self, table: &mut Table, key: ProcessKey) {
        let target = table.processes.get(&key).map(|watched| watched.process.target());
        let held = target.is_some_and(|target| matches!(wait::try_wait(target, Reap::Yes), Ok(Waited::Running)));
        if held {
            return;
        }
        if let Some(held) = table.take_out(key) {
            self.stop_watching(&held.process);
        }
    }

    pub(super) fn stop_watching(&self, process: &Process) {
        if let Some(fd) = &process.pidfd {
            self.epoll.remove(fd.as_fd());
        }
    }
}

/// The process itself, if it is a zombie that is not ours to reap, or not now.
fn zombie_of(process: &Process, ended: &Ended) -> Option<Zombie> {
    if ended.held_by_tracer {
        return Zombie::of(process.pid);
    }
    // Of own children it is not known when they were started, unless they have no pidfd: those are asked for.
    let identity = process.identity.as_deref()?;
    let is_own = || matches!(wait::try_wait(process.target(), Reap::No), Ok(Waited::Ended(_)));
    Zombie::of_process(process.pid, identity.start_ticks).filter(|_| ended.awaits_reaping || !is_own())
}
