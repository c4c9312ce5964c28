// SPDX-License-Identifier: MPL-2.0
//! Whether the end of the agent is that of its machine or container, after which no next agent finds the proxies.

use std::fs;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::process::parent_id;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How long systemd is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest state of systemd, and more.
const LONGEST_STATE: u64 = 64;

/// The pid namespace of the machine: PROC_PID_INIT_INO, which the kernel promises to keep (Linux 3.8, proc_ns.h).
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// Whether the machine is shut down, as systemd says, or there is no systemd and the agent is what its container runs. What
/// cannot be found out is no shutdown.
pub(super) fn is_under_way() -> bool {
    match state_of_systemd().as_deref() {
        Some("stopping") => true,
        None | Some("" | "offline") => is_what_the_container_runs(),
        Some(_) => false,
    }
}

/// What `systemctl is-system-running` prints; `None` where there is no such program, or it does not answer.
fn state_of_systemd() -> Option<String> {
    let mut systemctl = Command::new("systemctl");
    systemctl.arg("is-system-running").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut asked = systemctl.spawn().ok()?;
    let state = read_state(&mut asked);
    if state.is_none() {
        log::warn!("systemctl is-system-running: no answer within {PATIENCE:?}");
    }
    // It may have closed its output and go on.
    let _ = asked.kill();
    let _ = asked.wait();
    state
}

fn read_state(asked: &mut Child) -> Option<String> {
    let mut answer = asked.stdout.take()?.take(LONGEST_STATE);
    let (by, mut state) = (Instant::now() + PATIENCE, Vec::new());
    loop {
        let left = PollTimeout::try_from(by.saturating_duration_since(Instant::now())).ok()?;
        let mut ready = [PollFd::new(answer.get_ref().as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, left) {
            // A read would wait as long as it likes.
            Err(Errno::EINTR) => continue,
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
        let mut part = [0; 64];
        match answer.read(&mut part).ok()? {
            0 => return Some(String::from_utf8_lossy(&state).trim().to_owned()),
            length => state.extend_from_slice(&part[..length]),
        }
    }
}

/// Whether the agent is PID 1 of a container, or the child of an init there, which ends with it: then the kernel kills all other
/// processes of the container.
fn is_what_the_container_runs() -> bool {
    let namespace = fs::read_link("/proc/self/ns/pid");
    let is_inner = namespace.is_ok_and(|namespace| namespace != Path::new(FIRST_PID_NAMESPACE));
    is_inner && (std::process::id() == 1 || parent_id() == 1)
}
