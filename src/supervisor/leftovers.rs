//! What is left of the group of a process that ended while no agent was there to end it.
//!
//! Its leader is gone, and with it what the record could prove. But the members inherited what no stranger has: the id
//! and the secret token in their environment, or, of programs that clear theirs, the logs, open for writing.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use crate::defaults;
use crate::sys::identity::{Identity, Pid, boot_id};
use crate::sys::signal::{self, Signal};
use crate::sys::{environ, fail, fdinfo, pidfd, stat};

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
    pub(super) fn are_in_environment_of(&self, pid: i32) -> io::Result<bool> {
        fail::failing("environ:read")?;
        let environment = std::fs::read(format!("/proc/{pid}/environ"))?;
        let has = |name: &str, value: &str| environ::has(&environment, name, value);
        let token = self.token.filter(|token| !token.is_empty());
        Ok(token.is_some_and(|token| has(defaults::ENV_PROXY_ID, self.id) && has(defaults::ENV_PROXY_TOKEN, token)))
    }

    /// Whether the process has one of the logs open as we opened it: for writing alone, unlike those who read or
    /// rotate it.
    pub(super) fn are_open_in(&self, pid: i32) -> io::Result<bool> {
        fail::failing("descriptors:list")?;
        for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
            let entry = entry?;
            // What was closed meanwhile is as good as never open.
            let Ok(file) = std::fs::metadata(entry.path()) else { continue };
            let is_log = self.logs.contains(&(file.dev(), file.ino()));
            if is_log && fdinfo::access_mode(pid, &entry.file_name())? == Some(libc::O_WRONLY) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Kills what is left of the group of a process that is gone, and returns when it is gone as well.
///
/// A crash is not a stop: what is left is in the way of the successor, and had no grace period to come.
///
/// # Errors
/// What outlived SIGKILL, or why nobody can tell now: the proxy must not be started beside it.
pub(super) fn end(leader: &Identity, marks: &Marks<'_>) -> Result<(), String> {
    let unknown = |error: io::Error| format!("look for what is left of the group of pid {}: {error}", leader.pid);
    if *boot_id().map_err(unknown)? != leader.boot_id {
        return Ok(());
    }
    let give_up_at = Instant::now() + PATIENCE;
    let mut found_nobody = false;
    // One call for the usual case, that nobody is left.
    while signal::group_exists(leader.pid) {
        let members = members(leader, marks).map_err(unknown)?;
        if members.is_empty() {
            // Zombies, or strangers. But one look can miss a member that is just being forked.
            if std::mem::replace(&mut found_nobody, true) {
                break;
            }
            continue;
        }
        found_nobody = false;
        if Instant::now() >= give_up_at {
            return Err(format!("processes {members:?} of the group of pid {} outlived SIGKILL", leader.pid));
        }
        fail::point("leftovers:found");
        for pid in members {
            kill(pid, leader, marks).map_err(unknown)?;
            fail::point("leftovers:killed");
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

fn members(leader: &Identity, marks: &Marks<'_>) -> io::Result<Vec<i32>> {
    let groups = stat::groups()?;
    let mut members = Vec::new();
    for &pid in groups.get(&leader.pid.as_raw()).into_iter().flatten() {
        if is_member(pid, leader, marks)? {
            members.push(pid);
        }
    }
    Ok(members)
}

fn is_member(pid: i32, leader: &Identity, marks: &Marks<'_>) -> io::Result<bool> {
    let Some(stat) = stat::read(pid)? else { return Ok(false) };
    if stat.is_dead() || stat.group != leader.pid.as_raw() || stat.start_ticks < leader.start_ticks {
        return Ok(false);
    }
    let carries = marks.are_in_environment_of(pid);
    carries.and_then(|carries| if carries { Ok(true) } else { marks.are_open_in(pid) }).or_else(|error| {
        match error.raw_os_error() {
            // Gone meanwhile, or of another user and so none of ours.
            Some(libc::ENOENT | libc::ESRCH | libc::EACCES | libc::EPERM) => Ok(false),
            _ => Err(error),
        }
    })
}

/// ORDER: the descriptor first, then the proof; so the signal goes to the process that the proof was of.
fn kill(pid: i32, leader: &Identity, marks: &Marks<'_>) -> io::Result<()> {
    let Some(pid) = Pid::from_raw(pid) else { return Ok(()) };
    let process = match pidfd::is_supported().then(|| pidfd::open(pid)).transpose() {
        // Gone, or the number is a thread's by now.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ESRCH | libc::EINVAL | libc::ENOENT)) => return Ok(()),
        process => process?,
    };
    if is_member(pid.as_raw(), leader, marks)? {
        // Gone meanwhile is as good; whoever may not be signalled outlives it, which will be said.
        let _ = match &process {
            Some(process) => pidfd::signal(process.as_fd(), Signal::KILL),
            None => signal::kill_process(pid, Signal::KILL),
        };
    }
    Ok(())
}
