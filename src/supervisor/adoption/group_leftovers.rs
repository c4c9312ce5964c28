// SPDX-License-Identifier: MPL-2.0
//! Processes that are left in the group of a process which ended while no agent was running.
//!
//! The leader is gone, and with it the proof in its record. But the group members inherited what no other process has:
//! the id and the secret token in their environment or, if a program clears its environment, the logs, open for
//! writing.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crate::supervisor::scan::known_tag::KnownTag;
use crate::sys::pid::Pid;
use crate::sys::proc::stat;
use crate::sys::signal::{self, Signal};
use crate::sys::{fail, pidfd};

/// How long they may outlive SIGKILL before it is said that they did.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// How long to wait before the next scan.
pub(super) const PAUSE: Duration = Duration::from_millis(2);

/// Kills the processes that are left in the group of a process that is gone, and returns when they are gone as well.
///
/// A crash is not a stop: what is left is in the way of the successor, and had no grace period to come.
///
/// # Errors
/// What outlived SIGKILL, or why that cannot be known now: the proxy must not be started beside it.
pub(crate) fn end(leader: Pid, marks: &KnownTag<'_>) -> Result<(), String> {
    let unknown = |error: io::Error| format!("look for what is left of the group of pid {leader}: {error}");
    let give_up_at = Instant::now() + PATIENCE;
    let mut found_none = false;
    // One call for the usual case, that no process is left.
    while signal::group_exists(leader) {
        let members = members(leader, marks).map_err(unknown)?;
        if members.is_empty() {
            // Zombies, or processes that are not ours. But one scan can miss a member that is just being forked.
            if std::mem::replace(&mut found_none, true) {
                break;
            }
            continue;
        }
        found_none = false;
        if Instant::now() >= give_up_at {
            return Err(format!("processes {members:?} of the group of pid {leader} outlived SIGKILL"));
        }
        fail::point("leftovers:found");
        for pid in members {
            kill(pid, leader, marks).map_err(unknown)?;
            fail::point("leftovers:killed");
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

fn members(leader: Pid, marks: &KnownTag<'_>) -> io::Result<Vec<i32>> {
    let groups = stat::groups()?;
    let mut members = Vec::new();
    for &pid in groups.get(&leader.as_raw()).into_iter().flatten() {
        if is_member(pid, leader, marks)? {
            members.push(pid);
        }
    }
    Ok(members)
}

fn is_member(pid: i32, leader: Pid, marks: &KnownTag<'_>) -> io::Result<bool> {
    let Some(stat) = stat::read(pid)? else { return Ok(false) };
    if stat.is_dead() || stat.group != leader.as_raw() {
        return Ok(false);
    }
    marks.are_on(pid).or_else(|error| {
        match error.raw_os_error() {
            // Gone meanwhile, or of another user and so none of ours.
            Some(libc::ENOENT | libc::ESRCH | libc::EACCES | libc::EPERM) => Ok(false),
            _ => Err(error),
        }
    })
}

/// ORDER: the descriptor first, then the proof; so the signal goes to the process that the proof was of.
fn kill(pid: i32, leader: Pid, marks: &KnownTag<'_>) -> io::Result<()> {
    let Some(pid) = Pid::from_raw(pid) else { return Ok(()) };
    let process = match pidfd::is_supported().then(|| pidfd::open(pid)).transpose() {
        // Gone, or the pid is a thread's by now.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ESRCH | libc::EINVAL | libc::ENOENT)) => return Ok(()),
        process => process?,
    };
    if is_member(pid.as_raw(), leader, marks)? {
        // Gone meanwhile is as good; a process that may not be signalled outlives it, which will be said.
        let _ = match &process {
            Some(process) => pidfd::signal(process.as_fd(), Signal::KILL),
            None => signal::kill_process(pid, Signal::KILL),
        };
    }
    Ok(())
}
