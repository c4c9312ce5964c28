//! What is left of the group of a process that ended while no agent was there to end it.
//!
//! Its leader is gone, and with it what the record could prove. But the members inherited what no stranger has: the id
//! and the secret token in their environment, or, of programs that clear theirs, the logs as open descriptors.

use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use crate::defaults;
use crate::sys::identity::{Identity, Pid, boot_id};
use crate::sys::signal::{self, Signal};
use crate::sys::{fail, pidfd, stat};

/// How long they may outlive SIGKILL before it is said that they did.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(2);

/// By what a process of a proxy is known.
#[derive(Debug, Clone)]
pub(super) struct Marks<'a> {
    pub(super) id: &'a str,
    pub(super) token: Option<&'a str>,
    /// Device and inode of its logs.
    pub(super) logs: Vec<(u64, u64)>,
}

impl Marks<'_> {
    /// Whether the process has the id and the token in its environment. Without a token nothing is proven.
    pub(super) fn are_in_environment_of(&self, pid: i32) -> std::io::Result<bool> {
        fail::failing("environ:read")?;
        let environment = std::fs::read(format!("/proc/{pid}/environ"))?;
        let has = |name: &str, value: &str| {
            let wanted = [name.as_bytes(), b"=", value.as_bytes()].concat();
            environment.split(|&byte| byte == 0).any(|entry| entry == wanted)
        };
        let token = self.token.filter(|token| !token.is_empty());
        Ok(token.is_some_and(|token| has(defaults::ENV_PROXY_ID, self.id) && has(defaults::ENV_PROXY_TOKEN, token)))
    }

    /// Whether the process has one of the logs open.
    pub(super) fn are_open_in(&self, pid: i32) -> bool {
        let Ok(descriptors) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        let open = descriptors.flatten().filter_map(|entry| std::fs::metadata(entry.path()).ok());
        open.into_iter().any(|file| self.logs.contains(&(file.dev(), file.ino())))
    }
}

/// Kills what is left of the group of a process that is gone, and returns when it is gone as well.
///
/// The grace period was theirs when their leader was stopped or crashed; what is left would only be in the way of the
/// successor.
///
/// # Errors
/// What outlived SIGKILL: the proxy must not be started beside it.
pub(super) fn end(leader: &Identity, marks: &Marks<'_>) -> Result<(), String> {
    let same_boot = boot_id().is_ok_and(|boot| *boot == *leader.boot_id);
    if !same_boot {
        return Ok(());
    }
    let give_up_at = Instant::now() + PATIENCE;
    loop {
        let members = members(leader, marks);
        if members.is_empty() {
            return Ok(());
        }
        if Instant::now() >= give_up_at {
            return Err(format!("processes {members:?} of the group of pid {} outlived SIGKILL", leader.pid));
        }
        fail::point("leftovers:found");
        for pid in members {
            kill(pid, leader, marks);
            fail::point("leftovers:killed");
        }
        std::thread::sleep(PAUSE);
    }
}

fn members(leader: &Identity, marks: &Marks<'_>) -> Vec<i32> {
    // One call for the usual case, that nobody is left.
    if !signal::group_exists(leader.pid) {
        return Vec::new();
    }
    let groups = stat::groups().unwrap_or_default();
    let members = groups.get(&leader.pid.as_raw()).cloned().unwrap_or_default();
    members.into_iter().filter(|pid| is_member(*pid, leader, marks)).collect()
}

fn is_member(pid: i32, leader: &Identity, marks: &Marks<'_>) -> bool {
    let Ok(Some(stat)) = stat::read(pid) else { return false };
    !stat.is_dead()
        && stat.group == leader.pid.as_raw()
        && stat.start_ticks >= leader.start_ticks
        && (marks.are_in_environment_of(pid).unwrap_or(false) || marks.are_open_in(pid))
}

/// ORDER: the descriptor first, then the proof; so the signal goes to the process that the proof was of.
fn kill(pid: i32, leader: &Identity, marks: &Marks<'_>) {
    let Some(pid) = Pid::from_raw(pid) else { return };
    if !pidfd::is_supported() {
        if is_member(pid.as_raw(), leader, marks) {
            // Gone meanwhile is as good.
            let _ = signal::kill_process(pid, Signal::KILL);
        }
        return;
    }
    if let Ok(process) = pidfd::open(pid) {
        if is_member(pid.as_raw(), leader, marks) {
            let _ = pidfd::signal(std::os::fd::AsFd::as_fd(&process), Signal::KILL);
        }
    }
}
