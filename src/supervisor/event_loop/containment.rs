// SPDX-License-Identifier: MPL-2.0
//! Processes that were left in a cgroup, killing all of them at once, and the choice of the cgroup for the next
//! process.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::EventLoop;
use super::leader::Leader;
use super::supervised::Supervised;
use crate::defaults;
use crate::lifecycle::ProxyState;
use crate::supervisor::cgroups::StartPlace;
use crate::supervisor::process_key::ProcessKey;
use crate::supervisor::scan::escaped_process::Escaped;
use crate::supervisor::scan::process_scan::ScanResult;
use crate::supervisor::spawner::job::Leftovers;
use crate::sys::cgroup::directory;
use crate::sys::is_exhausted;
use crate::sys::pid::Pid;
use crate::sys::pidfd;

impl EventLoop {
    /// For a clean-up: the cgroup of a proxy that is to be gone. While it is declared it is kept.
    pub(super) fn cgroup_to_remove(&self, key: ProcessKey) -> Option<Arc<Path>> {
        let supervised = self.slots.get(&key).filter(|it| it.machine.state() == ProxyState::Stopped)?;
        supervised.cgroup().cloned()
    }

    /// What an earlier process may have left. What is in the cgroup of the last one was looked for; where none is known, an agent
    /// before this one may have left something.
    pub(super) fn leftovers(&self, key: ProcessKey) -> Leftovers {
        let supervised = self.slots.get(&key);
        let knows_cgroup = supervised.is_some_and(|supervised| supervised.cgroup().is_some());
        Leftovers {
            group_of: supervised.and_then(|supervised| supervised.rare.uncleared.clone()),
            in_cgroups: !knows_cgroup && self.is_alone(key),
        }
    }

    /// Whether there is no other generation beside it, nor is one about to be adopted.
    pub(super) fn is_alone(&self, key: ProcessKey) -> bool {
        let in_pair = self.slots.get(&key).is_some_and(|supervised| supervised.rare.claimed_in_pair);
        !in_pair && self.other_of(key).is_none()
    }
}

impl Supervised {
    /// Takes note of a process that leads.
    pub(super) fn led_by(&mut self, leader: Leader) {
        // Where none has a cgroup, each end is followed by a scan in any case. One that begins in another cgroup than the last one
        // does so because that is in use.
        let is_elsewhere = self.cgroup().is_some_and(|last| leader.cgroup.as_ref() != Some(last));
        if leader.cgroup.is_none() && self.spec.context.cgroups.is_some() || is_elsewhere {
            self.rare.unscanned_outside = true;
        }
        if self.rare.cgroup_killed {
            self.rare.cgroup_killed = false;
        }
        self.leader = Some(leader);
    }

    /// That of its last process.
    pub(super) fn cgroup(&self) -> Option<&Arc<Path>> {
        self.leader.as_ref()?.cgroup.as_ref()
    }

    /// The cgroup for a command that is run for its process: below that of the process, with which it ends, also when this agent
    /// has died meanwhile.
    pub(super) fn cgroup_for_command(&self) -> Option<Arc<Path>> {
        self.cgroup().map(|cgroup| cgroup.join("commands").into())
    }

    /// The cgroup of its last process, for the next one: it stays the same over restarts.
    pub(super) fn last_cgroup(&self) -> Option<StartPlace> {
        self.cgroup().map(|path| StartPlace { path: path.clone(), was_killed: self.rare.cgroup_killed })
    }

    /// What a scan has not found that was made because not all of its processes were in its cgroup.
    pub(super) fn also_in_cgroup(&self, found: io::Result<ScanResult>) -> io::Result<ScanResult> {
        match (found, self.cgroup()) {
            (Ok(found), Some(_)) if !found.seen => {
                let look = self.look_into_cgroup()?;
                Ok(if look.seen { look } else { found })
            }
            (found, _) => found,
        }
    }

    /// Whether all processes that can be left of it are in its cgroup, so that no scan is needed to find them.
    pub(super) fn is_contained(&self) -> bool {
        self.cgroup().is_some() && !self.rare.unscanned_outside
    }

    /// What there is in its cgroup, as a scan would find it.
    pub(super) fn look_into_cgroup(&self) -> io::Result<ScanResult> {
        let (seen, escaped) = self.in_cgroup(Escaped::of_cgroup)?.unwrap_or_default();
        Ok(ScanResult { seen, escaped, unproven: Vec::new() })
    }

    /// Takes note of what a process that has crashed has left in its cgroup, and not in its group: whether there is any. Where
    /// that cannot be known there may be.
    pub(super) fn note_left_in_cgroup(&mut self) -> bool {
        match self.look_into_cgroup() {
            Ok(ScanResult { seen, mut escaped, .. }) => {
                let of_commands = self.processes_of_commands(&escaped);
                // Also of its group: a program that puts itself into the background leaves that in its own time.
                if escaped.iter().any(|left| !left.is_among(&of_commands)) {
                    self.suspect_background();
                }
                let of_group = escaped.len();
                escaped.retain(|escaped| !self.has_in_group(escaped));
                // What is of its group is ended with that.
                let any = !escaped.is_empty() || seen && of_group == 0;
                if !escaped.is_empty() {
                    self.found_escaped(escaped, &of_commands);
                }
                any
            }
            // As without a cgroup: it is found by the next look, if it is in the way of the successor.
            Err(error) if is_exhausted(&error) => false,
            Err(error) => {
                self.group_scan_failed(&error);
                true
            }
        }
    }

    /// Whether others are in its cgroup than it and the commands that are run for it, when it has ended soon after its start, as a
    /// program that puts itself into the background does. Asked only where they are not found later.
    pub(super) fn has_left_early(&self) -> bool {
        let is_early = |since: Instant| since.elapsed() <= defaults::BACKGROUND_WITHIN;
        if pidfd::signals_groups() || !self.machine.running_since().is_some_and(is_early) {
            return false;
        }
        self.look_into_cgroup().is_ok_and(|ScanResult { escaped, .. }| {
            let of_commands = self.processes_of_commands(&escaped);
            escaped.iter().any(|left| !left.is_among(&of_commands))
        })
    }

    /// Those of these that are commands which are run for it; all of them where that cannot be known.
    fn processes_of_commands(&self, found: &[Escaped]) -> Vec<Pid> {
        let Some(commands) = self.cgroup_for_command().filter(|_| !found.is_empty()) else { return Vec::new() };
        let listed = self.in_cgroup(|_| directory::processes(&commands)).map(Option::unwrap_or_default);
        listed.unwrap_or_else(|_| found.iter().map(Escaped::pid).collect())
    }

    /// Ends all processes of its cgroup.
    pub(super) fn kill_cgroup(&mut self) -> io::Result<()> {
        // Also when it fails half-way.
        if self.cgroup().is_some() {
            self.rare.cgroup_killed = true;
        }
        self.in_cgroup(directory::kill_all).map(|_| ())
    }

    /// Does something in its cgroup, if it has one, with a descriptor in reserve.
    fn in_cgroup<T>(&self, what: impl Fn(&Path) -> io::Result<T>) -> io::Result<Option<T>> {
        let (Some(cgroup), Some(cgroups)) = (self.cgroup(), &self.spec.context.cgroups) else { return Ok(None) };
        cgroups.lend(|| what(cgroup)).map(Some)
    }
}
