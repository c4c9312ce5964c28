// SPDX-License-Identifier: MPL-2.0
//! What the attacks share.

use std::fs;

use crate::support::{Agent, Config, Deadline, Scene, Start};

/// Ends when a process is in this state of proc_pid_stat(5).
#[track_caller]
pub(crate) fn wait_for_state(start: &Start, wanted: &str) {
    wait_for_state_of(start.pid, wanted);
}

#[track_caller]
pub(crate) fn wait_for_state_of(pid: u32, wanted: &str) {
    let deadline = Deadline::of(format!("the state {wanted} of {pid}"));
    loop {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(wanted)) {
            return;
        }
        deadline.left();
        std::thread::yield_now();
    }
}

/// Whose processes are stopped: those that the agent started, or those that it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    Own,
    Adopted,
}

impl Whose {
    /// The agent that is to stop these leaders, which `agent` has started.
    #[track_caller]
    pub(crate) fn agent(self, scene: &Scene, config: &Config, agent: Agent, leaders: &[Start]) -> Agent {
        if self == Whose::Own {
            return agent;
        }
        agent.kill();
        let next = Agent::start(scene, config);
        for leader in leaders {
            assert!(next.status_running(scene, &leader.id, leader.pid)[&*leader.id].adopted);
        }
        next
    }
}

/// A kernel with all that is used, one before 6.9, and one without pidfds.
pub(crate) const KERNELS: [&str; 3] = ["", "signal-to-group=EINVAL", "pidfd_open=ENOSYS"];

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
