// SPDX-License-Identifier: MPL-2.0
//! What the kernel says of a supervisor: of its process, and of all others that it needs besides the beacons.

use std::collections::HashMap;
use std::fs;

use rustix::process::Pid;

use crate::tools::BEACON;

/// What the processes of a supervisor have used since they began.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) cpu_ns: u64,
    /// Context switches, voluntary or not.
    pub(crate) switches: u64,
    /// Bytes given to write(2) and its like, to files and to anything else.
    pub(crate) written: u64,
    /// Bytes of the pages that were to be written to a disk by that.
    pub(crate) dirtied: u64,
}

/// What the processes of a supervisor have now.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Holding {
    pub(crate) threads: u64,
    /// Memory, where each page that several processes share counts for a part.
    pub(crate) pss_kib: u64,
    pub(crate) descriptors: u64,
}

/// A supervisor's own process and all its descendants but the beacons.
pub(crate) fn tree(root: Pid) -> Vec<Pid> {
    let mut children: HashMap<u32, Vec<Pid>> = HashMap::new();
    for pid in all() {
        let Some(stat) = read(pid, "stat") else { continue };
        let (Some(open), Some(close)) = (stat.find('('), stat.rfind(')')) else { continue };
        if &stat[open + 1..close] == BEACON {
            continue;
        }
        if let Some(parent) = stat[close + 1..].split_whitespace().nth(1).and_then(|word| word.parse().ok()) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut tree = vec![root];
    let mut next = 0;
    while let Some(pid) = tree.get(next) {
        tree.extend(children.remove(&(pid.as_raw_nonzero().get().unsigned_abs())).unwrap_or_default());
        next += 1;
    }
    tree
}

/// All processes that can be seen.
pub(crate) fn all() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
}

/// What these processes have used, those that are gone not counted.
pub(crate) fn usage(processes: &[Pid]) -> Usage {
    let mut usage = Usage::default();
    for &pid in processes {
        for task in tasks(pid) {
            let schedstat = read(pid, &format!("task/{task}/schedstat")).unwrap_or_default();
            usage.cpu_ns += schedstat.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0);
            let status = read(pid, &format!("task/{task}/status")).unwrap_or_default();
            usage.switches +=
                field(&status, "voluntary_ctxt_switches:") + field(&status, "nonvoluntary_ctxt_switches:");
        }
        let (written, dirtied) = written_by(pid);
        usage.written += written;
        usage.dirtied += dirtied;
    }
    usage
}

/// What these processes have.
pub(crate) fn holding(processes: &[Pid]) -> Holding {
    let mut holding = Holding::default();
    for &pid in processes {
        holding.threads += tasks(pid).count() as u64;
        holding.pss_kib += field(&read(pid, "smaps_rollup").unwrap_or_default(), "Pss:");
        holding.descriptors += fs::read_dir(path(pid, "fd")).map_or(0, |entries| entries.count() as u64);
    }
    holding
}

/// Bytes that a process has written, and bytes of the pages that it has dirtied by that. A process that was cloned off a
/// supervisor and wrote for it before it executed its program keeps that account.
pub(crate) fn written_by(pid: Pid) -> (u64, u64) {
    let io = read(pid, "io").unwrap_or_default();
    (field(&io, "wchar:"), field(&io, "write_bytes:"))
}

/// Resident memory of a process in KiB: now, and the most since [`forget_peak`].
pub(crate) fn resident_kib(pid: Pid) -> (u64, u64) {
    let status = read(pid, "status").unwrap_or_default();
    (field(&status, "VmRSS:"), field(&status, "VmHWM:"))
}

/// Has the kernel begin anew with the peak of a process's memory.
pub(crate) fn forget_peak(pid: Pid) -> std::io::Result<()> {
    fs::write(path(pid, "clear_refs"), "5")
}

fn tasks(pid: Pid) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(path(pid, "task")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

fn path(pid: Pid, file: &str) -> String {
    format!("/proc/{}/{file}", pid.as_raw_nonzero())
}

/// A file of a process; nothing when the process has gone meanwhile.
fn read(pid: Pid, file: &str) -> Option<String> {
    fs::read_to_string(path(pid, file)).ok()
}

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
