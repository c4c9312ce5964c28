//! One scan of processes: which of those that no record or pidfd of ours names carry a process tag.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::AsFd;

use super::escaped::Escaped;
use super::progress::{Progress, Unreadable};
use super::rival;
use super::tag::{ProcessTag, TagReader};
use crate::sys::identity::{Pid, own_pid};
use crate::sys::{is_exhausted, orphans, pidfd, stat};

/// More than most environments have, in bytes, so that each is read at once.
const USUAL_ENVIRONMENT: usize = 16 * 1024;

/// After so many lists of orphans that all differ, all processes are scanned instead.
const MOST_LISTS: usize = 10;

/// One scan of the processes that are not supervised: which of them carry which tag.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    reader: TagReader<'a>,
    seen: HashMap<ProcessTag, Vec<Pid>>,
    buffer: Vec<u8>,
}

impl<'a> Scan<'a> {
    /// Scans. Members of the group or session of one of the `supervised` are skipped: asking for these costs two system
    /// calls, and reading an environment ten times as much.
    ///
    /// What children of ours have left is found among the orphans; an orphan that ends leaves its own children there in
    /// turn. Only children of an earlier agent, `of_others`, may have left theirs to a process that is no ancestor of ours.
    pub(super) fn at_all_but(
        supervised: &HashSet<i32>,
        of_others: bool,
        progress: &'a Progress,
        unreadable: &'a Unreadable,
    ) -> io::Result<Scan<'a>> {
        let reader = TagReader { progress, unreadable };
        let mut scan = Scan { reader, seen: HashMap::new(), buffer: Vec::with_capacity(USUAL_ENVIRONMENT) };
        if of_others || !scan.at_orphans(supervised)? {
            scan.seen.clear();
            for seen in stat::sessions(supervised)? {
                scan.examine(seen, supervised)?;
            }
        }
        Ok(scan)
    }

    /// Scans the orphans, until two lists of them in a row are equal: one that ends before it is examined has left its
    /// children to the same heir; and a list that is read while one of its processes ends can lack another one
    /// (proc_tid_children(5)). A process that is exiting may have no environment any more and its children still. False
    /// when the lists never become equal, or there is no such list.
    fn at_orphans(&mut self, supervised: &HashSet<i32>) -> io::Result<bool> {
        let (mut last, mut examined) = (None, HashSet::new());
        for _ in 0..MOST_LISTS {
            let Some(orphans) = orphans::candidates()? else { return Ok(false) };
            if last.as_ref() == Some(&orphans) {
                return Ok(true);
            }
            let mut settled = true;
            for &pid in &orphans {
                if supervised.contains(&pid) || examined.contains(&pid) {
                    continue;
                }
                let Some(seen) = stat::with_session(pid) else { continue };
                let known = self.examine(seen, supervised)?;
                if known || !stat::read(pid)?.is_some_and(|stat| stat.is_exiting && !stat.is_dead()) {
                    examined.insert(pid);
                } else {
                    settled = false;
                }
            }
            last = settled.then_some(orphans);
        }
        Ok(false)
    }

    /// Takes note of the tag of a process; false when it has none.
    fn examine(&mut self, (pid, group, session): (i32, i32, i32), supervised: &HashSet<i32>) -> io::Result<bool> {
        let Some(pid) = Pid::from_raw(pid).filter(|pid| *pid != own_pid()) else { return Ok(false) };
        if supervised.contains(&group) || supervised.contains(&session) {
            return Ok(true);
        }
        if self.reader.unreadable.contains(pid)? {
            return Ok(false);
        }
        let Some(tag) = self.reader.tag_of(pid, &mut self.buffer)? else { return Ok(false) };
        self.seen.entry(tag).or_default().push(pid);
        Ok(true)
    }

    /// The ids and processes that were seen with this origin.
    pub(super) fn of_origin(&self, origin: &str) -> impl Iterator<Item = (&[u8], &[Pid])> {
        let of_it = self.seen.iter().filter(move |(tag, _)| *tag.origin == *origin.as_bytes());
        of_it.map(|(tag, pids)| (&*tag.id, &**pids))
    }

    /// The processes that were seen with this tag, and have it now. None if another agent has adopted one of them: the
    /// others are of that one, or can be.
    pub(super) fn with(&self, tag: &ProcessTag) -> io::Result<Sighting> {
        let seen = self.seen.get(tag).map(Vec::as_slice).unwrap_or_default();
        if any_is_claimed(seen)? {
            return Ok(Sighting { seen: false, escaped: Vec::new() });
        }
        let escaped = seen.iter().filter_map(|pid| Escaped::prove(*pid, tag, self.reader).transpose());
        Ok(Sighting { seen: !seen.is_empty(), escaped: escaped.collect::<io::Result<_>>()? })
    }
}

/// Whether another agent has adopted any of these processes.
pub(super) fn any_is_claimed(seen: &[Pid]) -> io::Result<bool> {
    for pid in seen.iter().filter(|_| pidfd::has_inodes()) {
        match pidfd::open(*pid) {
            Ok(process) if rival::is_claimed(process.as_fd())? => return Ok(true),
            Err(error) if is_exhausted(&error) => return Err(error),
            Ok(_) | Err(_) => {} // gone
        }
    }
    Ok(false)
}

/// What a scan tells of one proxy.
#[derive(Debug)]
pub(super) struct Sighting {
    /// Whether any process was seen. One that has ended since may have left children that were not.
    pub(super) seen: bool,
    pub(super) escaped: Vec<Escaped>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{environ, pidfd};

    #[test]
    fn a_scan_finds_only_processes_with_the_exact_tag_outside_of_supervised_sessions() {
        use std::os::unix::process::CommandExt;
        let start = |origin: &str| {
            let mut command = std::process::Command::new("sleep");
            let variables =
                [("CONNECT_PROXY_ID", "web"), ("CONNECT_PROXY_TOKEN", "t"), ("CONNECT_PROXY_ORIGIN", origin)];
            let child = command.arg("1000").envs(variables).process_group(0).spawn().unwrap();
            environ::wait_until_told(child.id() as i32);
            child
        };
        pidfd::probe().unwrap();
        let tag = ProcessTag::new("web", "t", &crate::sys::random::uuid().unwrap());
        let origin = String::from_utf8(tag.origin.to_vec()).unwrap();
        let (mut ours, mut others) = (start(&origin), start("another agent's"));
        let (progress, unreadable) = (Progress::default(), Unreadable::default());
        let scan = |supervised: &[i32]| {
            let supervised = supervised.iter().copied().collect();
            Scan::at_all_but(&supervised, true, &progress, &unreadable).unwrap()
        };
        let found: Vec<String> = scan(&[]).with(&tag).unwrap().escaped.iter().map(|found| found.to_string()).collect();
        assert_eq!(found, [ours.id().to_string()]);
        assert!(!scan(&[ours.id() as i32]).with(&tag).unwrap().seen);
        let pid = Pid::from_raw(ours.id() as i32).unwrap();
        let held_up = Progress::default();
        held_up.read(pid, || unreadable.insert(pid, &held_up)).unwrap();
        assert!(!scan(&[]).with(&tag).unwrap().seen, "it is passed over");
        unreadable.remove(pid);
        let seen = scan(&[]);
        ours.kill().unwrap();
        ours.wait().unwrap();
        let sighting = seen.with(&tag).unwrap();
        assert!(sighting.seen && sighting.escaped.is_empty(), "it has ended since");
        others.kill().unwrap();
        others.wait().unwrap();
    }
}
