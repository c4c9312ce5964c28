// SPDX-License-Identifier: MPL-2.0
//! The controllers of a cgroup: the files by which they limit it, and what they count.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// Writes to a file of a cgroup.
///
/// # Errors
/// ENOENT where its controller is not enabled in the cgroup above, or the cgroup is not there.
pub(crate) fn set(path: &Path, file: &str, value: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(path.join(file))?.write_all(value.as_bytes())
}

/// Has those right below a cgroup have a controller.
///
/// # Errors
/// ENOENT where the cgroup itself does not have it; EBUSY where a process is in it, unless it is the first of all. Of some
/// controllers the kernel would make it the root of cgroups for threads then, below which no process can be put.
pub(crate) fn enable(path: &Path, controller: &str) -> io::Result<()> {
    let is_first = !path.join("cgroup.type").exists();
    if !is_first && !fs::read(path.join("cgroup.procs"))?.is_empty() {
        return Err(io::Error::from_raw_os_error(libc::EBUSY));
    }
    set(path, "cgroup.subtree_control", &format!("+{controller}"))
}

/// Whether those right below a cgroup have any.
pub(crate) fn any_enabled(path: &Path) -> bool {
    fs::read(path.join("cgroup.subtree_control")).is_ok_and(|names| !names.trim_ascii().is_empty())
}

/// Those that a cgroup has, by their names.
pub(crate) fn available(path: &Path) -> io::Result<String> {
    fs::read_to_string(path.join("cgroup.controllers")).map(|names| names.trim_end().to_owned())
}

/// How many of its processes the kernel has ended for want of memory; `None` where its memory is not controlled.
pub(crate) fn oom_kills(path: &Path) -> Option<u64> {
    // With those below it.
    let events = fs::read_to_string(path.join("memory.events")).ok()?;
    events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok())
}
