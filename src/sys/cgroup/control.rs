// SPDX-License-Identifier: MPL-2.0
//! The controllers of a cgroup: the files that limit it, and what they count.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

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
    // ORDER: first, for where it is missing no other place of the processes helps.
    if !has(path, controller)? {
        return Err(io::Error::from_raw_os_error(libc::ENOENT));
    }
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

/// Whether a cgroup has a controller.
pub(crate) fn has(path: &Path, controller: &str) -> io::Result<bool> {
    available(path).map(|names| names.split(' ').any(|name| name == controller))
}

/// Whether a hierarchy of cgroup version 1 has a controller, so that no cgroup of version 2 can have it (cgroups(7)).
pub(crate) fn is_of_version_1(controller: &str) -> bool {
    fs::read_to_string("/proc/self/cgroup").is_ok_and(|hierarchies| names_version_1(&hierarchies, controller))
}

/// Each line is the number of a hierarchy, its controllers of version 1 and the cgroup of the process in it.
fn names_version_1(hierarchies: &str, controller: &str) -> bool {
    let then = if controller == "io" { "blkio" } else { controller };
    hierarchies.lines().filter_map(|line| line.split(':').nth(1)).any(|names| names.split(',').any(|name| name == then))
}

/// What the processes of a cgroup have of memory together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CgroupMemory {
    /// Bytes now, with caches.
    pub(crate) current: u64,
    /// The most that it has been (Linux 5.19).
    pub(crate) peak: Option<u64>,
    /// How many the kernel has killed for lack of memory.
    pub(crate) oom_kills: u64,
    /// How long some of them have waited for memory (Linux 5.2 with `CONFIG_PSI`).
    pub(crate) pressure: Option<Duration>,
}

/// What it has; `None` where its memory is not controlled.
pub(crate) fn memory(path: &Path) -> Option<CgroupMemory> {
    let text = |file: &str| fs::read_to_string(path.join(file)).ok();
    let number = |file: &str| text(file)?.trim_end().parse().ok();
    let current = number("memory.current")?;
    let pressure = text("memory.pressure").as_deref().and_then(waited);
    Some(CgroupMemory { current, peak: number("memory.peak"), oom_kills: oom_kills(path)?, pressure })
}

/// The time in a pressure file in which some process has waited, in microseconds there.
fn waited(pressure: &str) -> Option<Duration> {
    let some = pressure.lines().find_map(|line| line.strip_prefix("some "))?;
    let total = some.split(' ').find_map(|field| field.strip_prefix("total="))?;
    total.parse().map(Duration::from_micros).ok()
}

/// How many of its processes the kernel has killed for lack of memory; `None` if its memory is not controlled.
pub(crate) fn oom_kills(path: &Path) -> Option<u64> {
    // With those below it.
    let events = fs::read_to_string(path.join("memory.events")).ok()?;
    events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controllers_of_version_1_are_those_of_numbered_hierarchies() {
        let hybrid = "5:cpu,cpuacct:/\n4:blkio:/a:memory\n1:name=systemd:/x\n0::/init.scope\n";
        assert_eq!(
            ["cpu", "io", "memory", "blkio"].map(|name| names_version_1(hybrid, name)),
            [true, true, false, true]
        );
        assert!(!names_version_1("0::/user.slice\n", "memory"));
    }

    #[test]
    fn wait_for_memory_is_the_total_of_some() {
        let text =
            "some avg10=0.00 avg60=1.20 avg300=0.00 total=1500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        assert_eq!(waited(text), Some(Duration::from_millis(1500)));
        assert_eq!(waited("full avg10=0.00 total=7\n"), None);
        assert_eq!(waited(""), None);
    }
}
