// SPDX-License-Identifier: MPL-2.0
//! Signals to a process and to its group, and whether group members outlive the process.

use std::collections::HashSet;
use std::io;
use std::os::fd::AsFd;

use super::process::Process;
use super::table::{REAP_PATIENCE, Table, WatchPhase, Watched};
use super::{Group, Leftovers, Reaper};
use crate::supervisor::process_key::ProcessKey;
use crate::supervisor::scan::group_scan::GroupSighting;
use crate::sys::pid::Pid;
use crate::sys::signal::Signal;
use crate::sys::wait::{self, Reap, Waited};
use crate::sys::{fail, pidfd};

impl Reaper {
    /// Sends a signal to the whole group of a process, and SIGCONT after it so that stopped ones can obey.
    ///
    /// False when no process was left to signal, which is no error.
    pub(crate) fn signal_group(&self, key: ProcessKey, signal: Signal) -> io::Result<bool> {
        let mut table = self.lock();
        let Some(watched) = table.processes.get_mut(&key) else { return Ok(false) };
        let send = |signal| match fail::failing("signal:send").and_then(|()| watched.process.signal_group(signal)) {
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(false),
            sent => sent.map(|()| true),
        };
        let sent = send(signal)?;
        send(Signal::CONT)?;
        let has_ended = matches!(watched.phase, WatchPhase::Ended { .. });
        if signal == Signal::KILL && has_ended && watched.reaped_at.is_none() {
            watched.end_group()?;
        }
        Ok(sent)
    }

    /// Sends a signal to a process alone. False when it has ended.
    pub(crate) fn signal_leader(&self, key: ProcessKey, signal: Signal) -> io::Result<bool> {
        let table = self.lock();
        let supervised = table.processes.get(&key).filter(|watched| watched.phase == WatchPhase::Supervised);
        let Some(watched) = supervised else { return Ok(false) };
        match watched.process.signal(signal) {
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(false),
            sent => sent.map(|()| true),
        }
    }

    /// Sends a signal of a stop to a process alone, and SIGCONT after it so that it can obey if it was stopped. False when it
    /// has ended.
    pub(crate) fn stop_leader(&self, key: ProcessKey, signal: Signal) -> io::Result<bool> {
        let sent = self.signal_leader(key, signal)?;
        if sent {
            self.signal_leader(key, Signal::CONT)?;
        }
        Ok(sent)
    }

    /// Whether others of its group outlive an ended process. If none do, it is forgotten.
    ///
    /// # Errors
    /// When that cannot be known now: "members are left" is the safe answer.
    pub(crate) fn group_left(&self, key: ProcessKey) -> io::Result<Group> {
        let mut table = self.lock();
        let Some(watched) = table.processes.get(&key) else { return Ok(Group::Gone) };
        let WatchPhase::Ended { empty_scan } = watched.phase else { return Ok(Group::Gone) };
        let (pid, reaped_at) = (watched.process.pid, watched.reaped_at);
        if !watched.group_exists() {
            fail::point("group:gone");
            self.remove_in(&mut table, key);
            return Ok(Group::Gone);
        }
        // What was killed is given a moment, for a scan of all processes takes longer.
        if reaped_at.is_some_and(|at| at.elapsed() < REAP_PATIENCE) && !pidfd::signals_groups() {
            return Ok(Group::Alive);
        }
        // Zombies count as members until their parent reaps them, which a careless init may never do. They are told
        // from the living by a scan of all processes.
        let GroupSighting { scan, lives, exact } = self.scan_group(&mut table, pid)?;
        let seen_before = empty_scan.is_some_and(|earlier| earlier != scan);
        if !lives && (exact || seen_before) {
            fail::point("group:gone");
            self.remove_in(&mut table, key);
            return Ok(Group::Gone);
        }
        if let Some(watched) = table.processes.get_mut(&key) {
            watched.phase = WatchPhase::Ended { empty_scan: if lives { None } else { empty_scan.or(Some(scan)) } };
        }
        Ok(Group::Alive)
    }

    pub(super) fn scan_group(&self, table: &mut Table, leader: Pid) -> io::Result<GroupSighting> {
        let scan = || table.groups.scan_for(leader);
        match &self.spare {
            Some(spare) => spare.lend(scan),
            None => table.groups.scan_for(leader),
        }
    }

    /// The living members of the group of a process, itself included.
    pub(crate) fn members(&self, key: ProcessKey) -> Vec<i32> {
        let mut table = self.lock();
        let group = table.processes.get(&key).and_then(|watched| watched.process.group());
        group.map_or_else(Vec::new, |group| table.groups.living_members(group))
    }

    /// The leaders of all groups that are looked after, and the numbers of these.
    pub(crate) fn leaders(&self) -> HashSet<i32> {
        let table = self.lock();
        let is_left = |phase| matches!(phase, WatchPhase::HeldByTracer | WatchPhase::FormerLeader);
        let leading = table.processes.values().filter(|watched| !is_left(watched.phase));
        let group = |process: &Process| if process.leads_group() { None } else { process.group() };
        let both = leading.flat_map(|Watched { process, .. }| [Some(process.pid), group(process)]);
        both.flatten().map(Pid::as_raw).collect()
    }

    pub(super) fn group_outlives(
        &self,
        table: &mut Table,
        key: ProcessKey,
        is_zombie: bool,
        leftovers: Leftovers,
    ) -> bool {
        let Some(watched) = table.processes.get_mut(&key) else { return false };
        match &watched.process.pidfd {
            Some(fd) if watched.process.leads_by_pidfd() => {
                let alone = |seen: io::Result<GroupSighting>| seen.is_ok_and(|seen| seen.exact && !seen.lives);
                pidfd::group_exists(fd.as_fd()) && !(is_zombie && alone(table.groups.scan_for(watched.process.pid)))
            }
            // It does not hold the number of its group: that cannot be signalled safely any more.
            _ if !watched.process.leads_group() => false,
            // The pid of a leader that another process reaps is not held: its group cannot be signalled safely.
            _ if matches!(wait::try_wait(watched.process.target(), Reap::No), Ok(Waited::NotOurs)) => false,
            // A living member is waited for; an older scan may have missed it, and the next one finds it.
            _ if leftovers == Leftovers::Leave => true,
            _ => {
                // If they cannot be signalled now, the lifecycle tries again.
                let _ = watched.end_group();
                watched.group_exists()
            }
        }
    }
}
