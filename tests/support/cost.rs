// SPDX-License-Identifier: MPL-2.0
//! What a process costs while it runs: time on a processor, and how often its threads wake up.

use std::fs;
use std::time::{Duration, Instant};

use super::process::{Process, readable};

/// What a process has used so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// In user and system mode, in the kernel's ticks of 10 ms.
    ticks: u64,
    /// How often its threads went to sleep.
    sleeps: u64,
}

impl Cost {
    /// What a process uses in this time.
    #[track_caller]
    pub(crate) fn during(process: &Process, time: Duration) -> Cost {
        let (before, until) = (Cost::so_far(process.pid()), Instant::now() + time);
        assert!(!readable(process.fd(), until.saturating_duration_since(Instant::now())), "it has ended");
        let after = Cost::so_far(process.pid());
        Cost { ticks: after.ticks - before.ticks, sleeps: after.sleeps.saturating_sub(before.sleeps) }
    }

    #[track_caller]
    fn so_far(pid: u32) -> Cost {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("read stat");
        let (_, fields) = stat.rsplit_once(") ").expect("a name in parentheses");
        let ticks = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().expect("a time")).sum();
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("list threads").flatten();
        let sleeps = tasks.filter_map(|task| {
            let status = fs::read_to_string(task.path().join("status")).ok()?;
            status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?.trim().parse::<u64>().ok()
        });
        Cost { ticks, sleeps: sleeps.sum() }
    }

    /// The share of one processor, in percent.
    pub(crate) fn percent(self, of: Duration) -> u64 {
        self.ticks * 10 * 100 / u64::try_from(of.as_millis()).expect("a short time")
    }

    /// How often its threads went to sleep.
    pub(crate) fn sleeps(self) -> u64 {
        self.sleeps
    }
}
