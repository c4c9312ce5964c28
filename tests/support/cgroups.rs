// SPDX-License-Identifier: MPL-2.0
//! The cgroups of this machine: which one a process is in, and what tests leave there.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Whether tests that do not say which want no cgroups.
pub(crate) fn without_cgroups() -> bool {
    std::env::var_os("PROXYPROCESS_TEST_CGROUP").is_some_and(|cgroup| cgroup == "off")
}

/// The directory of the cgroup v2 of a process, below the only mount of it.
pub(crate) fn cgroup_of(pid: u32) -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("read mountinfo");
    let mount = mounts.lines().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let is_whole = kind.starts_with("cgroup2 ") && place.split(' ').nth(3) == Some("/");
        is_whole.then(|| PathBuf::from(place.split(' ').nth(4).unwrap()))
    })?;
    let all = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = all.lines().find_map(|line| line.strip_prefix("0::/"))?.to_owned();
    Some(if path.is_empty() { mount } else { mount.join(path) })
}

/// Removes the cgroups of the managers that had their data directory in this one. No agent comes after them that would.
pub(crate) fn remove_cgroups_of(dir: &Path) {
    let mut homes = Vec::new();
    name_homes(dir, 3, &mut homes);
    let Some(base) = cgroup_of(std::process::id()) else { return };
    for home in fs::read_dir(base).into_iter().flatten().flatten() {
        let name = home.file_name();
        if homes.iter().any(|own| name.to_string_lossy().starts_with(own)) {
            remove_with_all_below(&home.path());
        }
    }
}

/// How the names of such cgroups begin: the number of a data directory is in each.
fn name_homes(dir: &Path, depth: usize, homes: &mut Vec<String>) {
    let Ok(metadata) = fs::symlink_metadata(dir) else { return };
    if !metadata.is_dir() || depth == 0 {
        return;
    }
    homes.push(format!("proxyprocess-{:x}-{:x}-", metadata.dev(), metadata.ino()));
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        name_homes(&entry.path(), depth - 1, homes);
    }
}

fn remove_with_all_below(cgroup: &Path) {
    for entry in fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_with_all_below(&entry.path());
        }
    }
    // One that a living manager of the test has is removed by that.
    let _ = fs::remove_dir(cgroup);
}
