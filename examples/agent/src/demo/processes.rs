// SPDX-License-Identifier: MPL-2.0
//! What the kernel says about processes, and signals for them.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Result;

pub(super) fn signal(pid: u32, signal: Signal) -> Result<()> {
    // 0 and what is below mean groups of processes.
    let target = i32::try_from(pid).ok().filter(|pid| *pid > 0).map(Pid::from_raw);
    let target = target.ok_or_else(|| format!("signal process {pid}: not a process id"))?;
    kill(target, signal).map_err(|error| format!("signal process {pid}: {error}").into())
}

/// Whether a process has a handler for a signal.
pub(super) fn handles(pid: u32, signal: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let handled = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let handled = handled.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    handled.is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}

/// The processes that run with `args` among their arguments. One that has ended and was not waited for has none.
pub(super) fn running(args: &[&str]) -> Vec<u32> {
    let wanted: Vec<u8> = args.iter().flat_map(|arg| arg.bytes().chain([0])).collect();
    let runs = |pid: &u32| {
        let args = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        args.windows(wanted.len()).any(|part| part == wanted)
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(runs).collect()
}
