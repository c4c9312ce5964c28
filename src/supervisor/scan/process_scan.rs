// SPDX-License-Identifier: MPL-2.0
//! One scan of processes: which of the processes without a record or pidfd carry a process tag.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::AsFd;

use super::escaped_process::Escaped;
use super::process_in_exec::{Recheck, Rechecked};
use super::process_tag::{Environment, EnvironmentReader, ProcessTag, Wanted};
use super::stalled_scan::{ScanProgress, UnreadableProcesses};
use super::unproven_process::{Ancestor, Programs, Unproven, Untold};
use crate::lifecycle::generation::Generation;
use crate::supervisor::other_agent;
use crate::sys::pid::Pid;
use crate::sys::proc::{orphans, stat};
use crate::sys::{is_exhausted, pidfd};

/// More bytes than most environments have, so that each is read at once.
const USUAL_ENVIRONMENT: usize = 16 * 1024;

/// After this many differing lists of orphans, all processes are scanned instead.
const MOST_LISTS: usize = 10;

/// At most this many lists of all processes are read: on a busy machine some process has always just ended.
const MOST_LISTS_OF_ALL: usize = 3;

/// The purpose of a scan.
#[derive(Debug, Default)]
pub(crate) struct ScanScope {
    /// Any of the leaders was a child of an earlier agent.
    of_others: bool,
    /// Their numbers.
    leaders: HashSet<i32>,
    /// The start time of the first of them, if it is known.
    since: Option<u64>,
}

impl ScanScope {
    /// All processes, only by their tags.
    pub(crate) fn tags_of_all() -> ScanScope {
        ScanScope { of_others: true, ..ScanScope::default() }
    }

    pub(crate) fn of<'a>(requests: impl IntoIterator<Item = (&'a Ancestor, bool)>) -> ScanScope {
        let mut wanted = ScanScope::default();
        for (ancestor, of_others) in requests {
            wanted.of_others |= of_others;
            wanted.leaders.extend(ancestor.pid.map(Pid::as_raw));
            wanted.since = wanted.since.into_iter().chain(ancestor.since).min();
        }
        wanted
    }
}

/// One scan of the processes that are not supervised: which of them carry which tag, and which have an environment that
/// does not identify their owner.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    supervised: &'a HashSet<i32>,
    wanted: &'a ScanScope,
    /// This process and its ancestors.
    ancestors: Vec<i32>,
    ancestor_sessions: Vec<i32>,
    reader: EnvironmentReader<'a>,
    /// The processes that this scan has finished with.
    examined: HashSet<i32>,
    seen: HashMap<ProcessTag, Vec<(Pid, Generation)>>,
    untold: Vec<Untold>,
    programs: Programs,
    buffer: Vec<u8>,
}

/// A process with its group and session.
type Member = (i32, i32, i32);

impl<'a> Scan<'a> {
    /// Scans. Members of the group or session of one of the `supervised` are skipped: checking that takes two system
    /// calls, and reading an environment ten times as long.
    ///
    /// Processes that children of ours left are found among the orphans; an orphan that ends leaves its own children
    /// there in turn. Only children of an earlier agent may have left theirs to a process that is not an ancestor of
    /// ours.
    pub(crate) fn at_all_but(
        supervised: &'a HashSet<i32>,
        wanted: &'a ScanScope,
        progress: &'a ScanProgress,
        unreadable: &'a UnreadableProcesses,
    ) -> io::Result<Scan<'a>> {
        let ancestors = orphans::ancestors()?;
        let sessions = ancestors.iter().filter_map(|pid| stat::with_session(*pid));
        let sessions = sessions.filter(|(_, group, _)| *group != 0).map(|(_, _, session)| session);
        let mut scan = Scan {
            supervised,
            wanted,
            ancestor_sessions: sessions.collect(),
            ancestors,
            reader: EnvironmentReader { progress, unreadable },
            examined: HashSet::new(),
            seen: HashMap::new(),
            untold: Vec::new(),
            programs: Programs::default(),
            buffer: Vec::with_capacity(USUAL_ENVIRONMENT),
        };
        // Processes that were seen among the orphans stay in the result: if one has ended since, it may have left
        // children.
        if scan.wanted.of_others || !scan.at_orphans()? {
            scan.at_all()?;
        }
        Ok(scan)
    }

    /// Scans all processes until each one of a list could be examined: a process that ends before that may have started
    /// one that is not in the list. That one is in the next list; its pid is greater than those before it, unless the
    /// pids wrapped around.
    ///
    /// If processes of all kinds end all the time, the last list must suffice.
    fn at_all(&mut self) -> io::Result<()> {
        // Of the few that only a later list has, the parent says whether they are orphans.
        let mut orphans = orphans::list()?.map(|orphans| orphans.into_iter().collect::<HashSet<i32>>());
        for _ in 0..MOST_LISTS_OF_ALL {
            let last_pid = stat::last_pid();
            let mut settled = true;
            for pid in stat::processes()? {
                settled &= self.examine_once(pid, orphans.as_ref().map(|orphans| orphans.contains(&pid)))?;
            }
            if stat::last_pid() < last_pid {
                self.examined.clear();
            } else if settled {
                break;
            }
            orphans = None;
        }
        Ok(())
    }

    /// Scans the orphans until two consecutive lists of them are equal: an orphan that ends before it is examined has
    /// left its children to the same subreaper; and a list that is read while one of its processes ends may lack
    /// another one (proc_tid_children(5)). An exiting process may have lost its environment but still have its
    /// children. False if the lists never become equal, or there is no such list.
    fn at_orphans(&mut self) -> io::Result<bool> {
        let mut last = None;
        for _ in 0..MOST_LISTS {
            let Some(orphans) = orphans::list()? else { return Ok(false) };
            if last.as_ref() == Some(&orphans) {
                return Ok(true);
            }
            let mut settled = true;
            for &pid in &orphans {
                settled &= self.examine_once(pid, Some(true))?;
            }
            last = settled.then_some(orphans);
        }
        Ok(false)
    }

    /// Examines a listed process; false if it could not be examined yet, or not any more.
    fn examine_once(&mut self, pid: i32, is_orphan: Option<bool>) -> io::Result<bool> {
        if self.supervised.contains(&pid) || self.examined.contains(&pid) {
            return Ok(true);
        }
        let settled = match stat::with_session(pid) {
            // A child of ours has a group of its own, within this pid namespace.
            Some((_, 0, _)) => true,
            Some(member) => self.examine(member, is_orphan)?,
            None => false,
        };
        if settled {
            self.examined.insert(pid);
        }
        Ok(settled)
    }

    /// Notes what the environment of a process says; false if the process has ended, is exiting or being executed, so
    /// that it says nothing. Its parent shows whether it is an orphan if that is not known.
    fn examine(&mut self, (number, group, session): Member, is_orphan: Option<bool>) -> io::Result<bool> {
        let Some(pid) = Pid::from_raw(number).filter(|_| !self.ancestors.contains(&number)) else { return Ok(true) };
        if self.supervised.contains(&group) || self.supervised.contains(&session) {
            return Ok(true);
        }
        let environment = match self.reader.unreadable.contains(pid)? {
            true => Environment::Unreadable,
            false => self.reader.environment_of(pid, &mut self.buffer)?,
        };
        let is_unreadable = match environment {
            Environment::Tagged(tag, generation) => {
                self.seen.entry(tag).or_default().push((pid, generation));
                return Ok(true);
            }
            Environment::Foreign => return Ok(true),
            Environment::Gone => return Ok(false),
            // A zombie is, and stays so.
            Environment::Blank => return Ok(stat::read(number)?.is_some_and(|stat| stat.is_dead())),
            Environment::Silent => false,
            Environment::Unreadable => true,
        };
        // Most processes of a system are neither, and need no further checks. No process joins a session: its members
        // are the leader and its descendants.
        let is_related = self.wanted.leaders.contains(&session);
        if is_orphan == Some(false) && !is_related || self.ancestor_sessions.contains(&session) {
            return Ok(true);
        }
        let Some(stat) = stat::read(number)? else { return Ok(false) };
        if stat.is_dead() {
            return Ok(true);
        }
        if stat.is_exiting && !stat.outlives_first_thread() {
            return Ok(false);
        }
        let is_orphan = is_orphan.unwrap_or_else(|| self.ancestors.contains(&stat.parent));
        if self.wanted.since.is_some_and(|since| stat.start_ticks >= since) {
            self.untold.push(Untold::new(pid, session, stat.start_ticks, is_orphan, is_unreadable));
        }
        Ok(true)
    }

    /// The ids and processes that were seen with this owner tag.
    pub(crate) fn of_origin(&self, owner_tag: &str) -> impl Iterator<Item = (&[u8], Vec<Pid>)> {
        let of_it = self.seen.iter().filter(move |(tag, _)| *tag.owner_tag == *owner_tag.as_bytes());
        of_it.map(|(tag, seen)| (&*tag.id, seen.iter().map(|(pid, _)| *pid).collect()))
    }

    /// The processes that were seen with this tag and still have it, and those that may belong to its proxy. None if
    /// another agent has adopted one of the former: the others belong, or may belong, to that agent.
    pub(crate) fn with(&mut self, wanted: &Wanted, ancestor: &Ancestor) -> io::Result<ScanResult> {
        let seen = self.seen.get(&wanted.tag).map(Vec::as_slice).unwrap_or_default();
        let seen = seen.iter().filter(|(_, generation)| wanted.includes(*generation)).map(|(pid, _)| *pid);
        let seen = seen.collect::<Vec<Pid>>();
        if any_is_claimed(&seen)? {
            return Ok(ScanResult { seen: false, escaped: Vec::new(), unproven: Vec::new() });
        }
        let escaped = seen.iter().filter_map(|pid| Escaped::prove(*pid, wanted, self.reader).transpose());
        let mut sighting =
            ScanResult { seen: !seen.is_empty(), escaped: escaped.collect::<io::Result<_>>()?, unproven: Vec::new() };
        let mut recheck = Recheck::new(self.reader);
        for untold in &self.untold {
            if untold.of(ancestor, &mut self.programs)?.is_none() {
                continue;
            }
            match recheck.of(untold, ancestor, &mut self.programs)? {
                Rechecked::Tagged(its, generation) if its == wanted.tag && wanted.includes(generation) => {
                    sighting.escaped.extend(Escaped::prove(untold.pid, wanted, self.reader)?);
                }
                Rechecked::Unproven(unproven) => sighting.unproven.push(unproven),
                Rechecked::Tagged(..) | Rechecked::NotOfIt => {}
            }
        }
        sighting.seen |= !sighting.escaped.is_empty();
        Ok(sighting)
    }
}

/// Whether another agent has adopted any of these processes.
pub(crate) fn any_is_claimed(seen: &[Pid]) -> io::Result<bool> {
    for pid in seen.iter().filter(|_| pidfd::has_inodes()) {
        match pidfd::open(*pid) {
            Ok(process) if other_agent::is_claimed(process.as_fd())? => return Ok(true),
            Err(error) if is_exhausted(&error) => return Err(error),
            Ok(_) | Err(_) => {} // gone
        }
    }
    Ok(false)
}

/// What a scan found for one proxy.
#[derive(Debug)]
pub(crate) struct ScanResult {
    /// Whether any process was seen. One that has ended since may have left children that were not seen.
    pub(crate) seen: bool,
    /// Processes that are proven to belong to it.
    pub(crate) escaped: Vec<Escaped>,
    /// Processes that may belong to it.
    pub(crate) unproven: Vec<Unproven>,
}

#[cfg(test)]
#[path = "process_scan_tests.rs"]
mod tests;
