// SPDX-License-Identifier: MPL-2.0
//! Control groups: a child is in those of its parent until something moves it (cgroups(7)).

use crate::sys::proc::living_thread;

/// Whether a process is in the same control groups as this one. When that cannot be known, it may be.
pub(crate) fn shares_ours(pid: i32) -> bool {
    // A thread that has ended is shown in the root of each hierarchy of version 1.
    let its = living_thread::directory(pid).and_then(|directory| std::fs::read(directory.join("cgroup")));
    match (std::fs::read("/proc/self/cgroup"), its) {
        (Ok(own), Ok(its)) => own == its,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_shares_our_control_groups() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        assert!(shares_ours(child.id() as i32) && shares_ours(i32::MAX));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
