// SPDX-License-Identifier: MPL-2.0
//! The living members of process groups, where the kernel cannot report them for one group: it counts zombies as
//! members. One scan of all processes of the system serves all groups for a short time.

use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

use crate::sys::pid::Pid;
use crate::sys::proc::stat;

/// How long a scan is good for, at the least; at most half of the time goes into scanning.
const INTERVAL: Duration = Duration::from_millis(1);

/// The last scan.
#[derive(Debug, Default)]
pub(crate) struct GroupScan {
    /// Counts the scans.
    scan: u64,
    good_until: Option<Instant>,
    /// The last pid that was given to a process before it, if that is known.
    last_pid: Option<i32>,
    members: HashMap<i32, Vec<i32>>,
}

/// What is known of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GroupSighting {
    /// By which scan.
    pub(crate) scan: u64,
    /// Whether a living process was seen in it.
    pub(crate) lives: bool,
    /// Whether there is none that was not seen. A scan can miss a process that is forked meanwhile, with a pid that
    /// was passed already, by one that ends before it is reached: then it takes two scans. But not where nothing in the
    /// system was forked since it began.
    pub(crate) exact: bool,
}

impl GroupScan {
    /// Whether a living process is in the group of a leader.
    pub(crate) fn scan_for(&mut self, leader: Pid) -> io::Result<GroupSighting> {
        self.scan()?;
        let lives = !self.seen_in(leader)?.is_empty();
        let exact = self.last_pid.is_some() && self.last_pid == stat::last_pid();
        Ok(GroupSighting { scan: self.scan, lives, exact })
    }

    /// The living members of the group, as far as they can be known now.
    pub(crate) fn living_members(&mut self, leader: Pid) -> Vec<i32> {
        self.scan().and_then(|()| self.seen_in(leader)).unwrap_or_default()
    }

    fn seen_in(&self, leader: Pid) -> io::Result<Vec<i32>> {
        let mut alive = Vec::new();
        for &pid in self.members.get(&leader.as_raw()).into_iter().flatten() {
            if stat::read(pid)?.is_some_and(|stat| !stat.is_dead()) {
                alive.push(pid);
            }
        }
        Ok(alive)
    }

    fn scan(&mut self) -> io::Result<()> {
        let now = Instant::now();
        if self.good_until.is_none_or(|end| now >= end) {
            let last_pid = stat::last_pid();
            let members = stat::groups()?;
            let good_until = Some(Instant::now() + now.elapsed().max(INTERVAL));
            *self = GroupScan { scan: self.scan + 1, good_until, last_pid, members };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;

    /// Other processes fork as well, so the scan is repeated until none did.
    #[test]
    fn group_scan_is_exact_unless_a_process_was_forked_since() {
        let mut child = std::process::Command::new("sleep").arg("1000").process_group(0).spawn().unwrap();
        let leader = Pid::from_raw(child.id() as i32).unwrap();
        let scan = || {
            let mut groups = GroupScan::default();
            let seen = groups.scan_for(leader).unwrap();
            (groups, seen)
        };
        let exact = || {
            let mut scans = std::iter::repeat_with(scan);
            scans.find(|(_, seen)| seen.exact).unwrap()
        };
        let (mut groups, seen) = exact();
        assert!(seen.lives);
        groups.good_until = Some(Instant::now() + Duration::from_secs(60));
        std::process::Command::new("true").status().unwrap();
        assert!(!groups.scan_for(leader).unwrap().exact, "one was forked");
        child.kill().unwrap();
        // A zombie until it is waited for, and not alive any more.
        while stat::is_alive(leader.as_raw()) {
            std::thread::yield_now();
        }
        assert!(!exact().1.lives);
        child.wait().unwrap();
    }
}
