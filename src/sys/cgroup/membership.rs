// SPDX-License-Identifier: MPL-2.0
//! Control groups: a child is in those of its parent until something moves it (cgroups(7)).

/// Whether a process is in the same control groups as this one. When that cannot be known, it may be.
pub(crate) fn shares_ours(pid: i32) -> bool {
    let read = |whose: &dyn std::fmt::Display| std::fs::read(format!("/proc/{whose}/cgroup"));
    match (read(&"self"), read(&pid)) {
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
