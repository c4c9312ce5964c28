// SPDX-License-Identifier: MPL-2.0
//! Finding the processes of a data directory whose files were removed (by hand, or a RuntimeDirectory of systemd), by
//! the owner tag in their environment: the directory is the same, so the tag is too.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::Sender;

use super::process_scan::{Scan, ScanScope, any_is_claimed};
use super::scan_queue::ScanQueue;
use super::stalled_scan::{ScanProgress, UnreadableProcesses};
use crate::error::{Error, ErrorCode, Result};
use crate::sys::pid::Pid;
use crate::sys::proc::stat;
use crate::sys::thread;

/// What the scan is for, in messages.
const PURPOSE: &str = "look for processes of an earlier agent";

/// The processes that carry an owner tag, one for each id: the one that has led its session for the longest time, or else the
/// the id of the group that has lost its leader. The groups and sessions of the `known` are skipped, and what another agent
/// has adopted.
///
/// A process that stalls the scan for a second is skipped, and said to be.
///
/// # Errors
/// When processes cannot be scanned now.
pub(crate) fn find_by_owner_tag(owner_tag: &str, known: &HashSet<i32>) -> Result<Vec<(String, Pid)>> {
    let failed = |error| Error::os(ErrorCode::Io, PURPOSE, &error);
    scan_patiently(owner_tag, known).map_err(failed)
}

type Found = io::Result<Vec<(String, Pid)>>;

fn scan_patiently(owner_tag: &str, known: &HashSet<i32>) -> Found {
    let (unreadable, mut queue) = (Arc::new(UnreadableProcesses::default()), ScanQueue::default());
    let (sender, scanned) = crossbeam_channel::unbounded();
    queue.join((), Instant::now());
    loop {
        let now = Instant::now();
        if let Some((pid, progress)) = queue.give_up(now) {
            unreadable.skip(PURPOSE, pid, &progress)?;
        }
        if let Some((_, progress)) = queue.begin(now, false) {
            let scan = Task {
                owner_tag: owner_tag.to_owned(),
                known: known.clone(),
                progress,
                unreadable: unreadable.clone(),
            };
            let in_thread = {
                let (scan, sender) = (scan.clone(), sender.clone());
                move || scan.run(&sender)
            };
            if thread::start("proxy-scan", in_thread).is_err() {
                // Where there is no thread to be had, nothing can be given up.
                scan.run(&sender);
            }
        }
        let deadline = queue.deadline().unwrap_or(now);
        if let Ok((progress, found)) = scanned.recv_deadline(deadline) {
            // One that was given up has another in its place.
            if queue.end(&progress) {
                return found;
            }
        }
    }
}

#[derive(Debug, Clone)]
struct Task {
    owner_tag: String,
    known: HashSet<i32>,
    progress: Arc<ScanProgress>,
    unreadable: Arc<UnreadableProcesses>,
}

impl Task {
    fn run(&self, scanned: &Sender<(Arc<ScanProgress>, Found)>) {
        let wanted = ScanScope::tags_of_all();
        let scan = Scan::at_all_but(&self.known, &wanted, &self.progress, &self.unreadable);
        let found = scan.and_then(|scan| choose(scan.of_origin(&self.owner_tag)));
        // The result of a scan that was given up is not received any more.
        let _ = scanned.send((self.progress.clone(), found));
    }
}

/// Chooses one process for each id.
fn choose<'a>(seen: impl Iterator<Item = (&'a [u8], Vec<Pid>)>) -> Found {
    let mut chosen: BTreeMap<String, (bool, u64, Pid)> = BTreeMap::new();
    for (id, pids) in seen {
        let Ok(id) = std::str::from_utf8(id) else { continue };
        if any_is_claimed(&pids)? {
            continue;
        }
        for pid in pids {
            let Some((number, group, session)) = stat::with_session(pid.as_raw()) else { continue };
            let (Some(group), Some(stat)) = (Pid::from_raw(group), stat::read(number)?) else { continue };
            let follows = (group.as_raw(), session) != (number, number);
            let candidate = (follows, stat.start_ticks, group);
            let best = chosen.entry(id.to_owned()).or_insert(candidate);
            *best = (*best).min(candidate);
        }
    }
    Ok(chosen.into_iter().map(|(id, (_, _, pid))| (id, pid)).collect())
}
