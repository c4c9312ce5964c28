// SPDX-License-Identifier: MPL-2.0
//! Processes that an earlier agent left in the cgroups of a proxy which has neither a leader here nor a record of a
//! living process.
//!
//! A scan finds only processes that show the process tag. A process that has cleared its environment is known only by
//! its cgroup. That is proof enough: a cgroup contains only what a process of the proxy has started, or what someone
//! has moved there.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Instant;

use super::group_leftovers::{PATIENCE, PAUSE};
use crate::logging::{Level, Log};
use crate::supervisor::cgroups::Cgroups;
use crate::supervisor::scan::process_scan::any_is_claimed;
use crate::sys::cgroup::directory;
use crate::sys::is_exhausted;
use crate::sys::pid::{Pid, own_pid};

/// Ends all of them, says which those are, and returns when they are gone. A cgroup stays as it is in which a process leads, as
/// one of these, which another agent has adopted, or in which this agent or processes of another pid namespace are; and one
/// that cannot be emptied from here, which is said: the next process begins in another one.
///
/// # Errors
/// What outlived SIGKILL, or of what the system has no more: the proxy must not be started beside it.
pub(crate) fn end(cgroups: &Cgroups, id: &str, leading: impl Fn() -> HashSet<i32>, log: &Log) -> Result<(), String> {
    for path in cgroups.paths_of(id) {
        let ended = end_in(cgroups, &path, &leading, |found| {
            let found = found.iter().map(Pid::to_string).collect::<Vec<_>>().join(", ");
            let what = format_args!("SIGKILL for what an earlier agent has left in its cgroup: pid {found}");
            log.about(Level::Warn, id, what);
        });
        let failed = |error: &dyn std::fmt::Display| format!("end what is left in cgroup {}: {error}", path.display());
        match ended {
            Ok(true) => {}
            Ok(false) => return Err(failed(&"it outlived SIGKILL")),
            Err(error) if is_exhausted(&error) => return Err(failed(&error)),
            Err(error) => log.about(Level::Warn, id, format_args!("{}", failed(&error))),
        }
    }
    Ok(())
}

/// Whether nothing is left in one.
fn end_in(
    cgroups: &Cgroups,
    path: &Path,
    leading: impl Fn() -> HashSet<i32>,
    tell: impl FnOnce(&[Pid]),
) -> io::Result<bool> {
    let is_populated = || cgroups.lend(|| directory::is_populated(path));
    if !is_populated()? {
        return Ok(true);
    }
    let found = cgroups.lend(|| directory::processes(path))?;
    // Asked for only now, for it is of all processes.
    let leading = leading();
    let is_kept = |pid: &Pid| *pid == own_pid() || leading.contains(&pid.as_raw());
    // Those of another pid namespace have no pid here, and may be an agent's.
    if found.is_empty() || found.iter().any(is_kept) || cgroups.lend(|| any_is_claimed(&found))? {
        return Ok(true);
    }
    tell(&found);
    cgroups.lend(|| directory::kill_all(path))?;
    let give_up_at = Instant::now() + PATIENCE;
    while is_populated()? {
        if Instant::now() >= give_up_at {
            return Ok(false);
        }
        thread::sleep(PAUSE);
    }
    // What begins in one that was killed may be killed as well.
    cgroups.remove(path).map(|()| true)
}
