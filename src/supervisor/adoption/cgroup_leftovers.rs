// SPDX-License-Identifier: MPL-2.0
//! What lives in the cgroups of a proxy of which no process leads here, and no record names one that lives: an earlier agent has
//! left it.
//!
//! A scan of processes knows what shows the process tag. What has cleared its environment is known by its cgroup alone, which is
//! proof enough: only what a process of the proxy has started is in it, or what someone has moved there.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::supervisor::cgroups::{self, Cgroups};
use crate::supervisor::scan::process_scan::any_is_claimed;
use crate::sys::cgroup::directory;
use crate::sys::pid::Pid;

/// How long they may outlive SIGKILL before it is said that they did.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long to wait before the next look.
const PAUSE: Duration = Duration::from_millis(2);

/// Ends all of them, and returns which those were when they are gone. A cgroup stays as it is in which a process leads, as one
/// of these, or which another agent has adopted.
///
/// # Errors
/// What outlived SIGKILL, or why that cannot be known now: the proxy must not be started beside it.
pub(crate) fn end(cgroups: &Cgroups, id: &str, leading: &HashSet<i32>) -> Result<Vec<Pid>, String> {
    let mut ended = Vec::new();
    for path in cgroups.paths_of(id) {
        let failed = |error: io::Error| format!("end what is left in cgroup {}: {error}", path.display());
        let Some(found) = found_in(&path, leading).map_err(failed)? else { continue };
        directory::kill_all(&path).map_err(failed)?;
        let give_up_at = Instant::now() + PATIENCE;
        while directory::is_populated(&path).map_err(failed)? {
            if Instant::now() >= give_up_at {
                return Err(format!("processes in cgroup {} outlived SIGKILL", path.display()));
            }
            thread::sleep(PAUSE);
        }
        // What begins in one that was killed may be killed as well.
        cgroups::remove(&path).map_err(|error| error.to_string())?;
        ended.extend(found);
    }
    Ok(ended)
}

/// Those that are in it now, if they are to be ended.
fn found_in(path: &Path, leading: &HashSet<i32>) -> io::Result<Option<Vec<Pid>>> {
    if !directory::is_populated(path)? {
        return Ok(None);
    }
    let processes = directory::processes(path)?;
    let is_in_use = processes.iter().any(|pid| leading.contains(&pid.as_raw())) || any_is_claimed(&processes)?;
    Ok((!is_in_use).then_some(processes))
}
