//! Adoption: proving that a recorded process is the one that lives now. On any doubt it is refused, and why is said.

use std::os::fd::OwnedFd;

use super::leftovers::{self, Marks};
use super::mailbox::{Claim, Refusal};
use super::reaper::Process;
use super::spec::{Files, Spec};
use crate::error::Result;
use crate::logging::{self, Level};
use crate::sys::identity::{Identity, Pid, Presence};
use crate::sys::{fail, pidfd, stat};

type Proof<T> = std::result::Result<T, Refusal>;

/// Proves a claim. If the process is gone, so is, when this returns, what it left of its group.
pub(super) fn prove(spec: &Spec, claim: &Claim) -> Proof<Process> {
    let proven = prove_leader(spec, claim);
    let known = match claim {
        Claim::Recorded { identity, token } => Some((identity, token.as_deref())),
        Claim::Told(identity) => Some((identity, spec.config.token.as_deref())),
        Claim::Number(_) => None,
    };
    match (proven, known) {
        (Err(Refusal { reason, gone: true }), Some((identity, token))) => {
            let marks = Marks { id: &spec.id, token, logs: spec.log_files() };
            match leftovers::end(identity, &marks) {
                Ok(()) => Err(Refusal { reason, gone: true }),
                Err(left) => Err(Refusal { reason: format!("{reason}; {left}"), gone: false }),
            }
        }
        (proven, _) => proven,
    }
}

fn prove_leader(spec: &Spec, claim: &Claim) -> Proof<Process> {
    let pid = match claim {
        Claim::Recorded { identity, .. } | Claim::Told(identity) => identity.pid,
        Claim::Number(pid) => *pid,
    };
    // ORDER: the descriptor first. If the proof then holds for the number, it held when the descriptor was opened, for
    // a process cannot be older than it was recorded to be.
    let pidfd = if pidfd::is_supported() { Some(open(pid)?) } else { None };
    if pidfd.is_none() && stat::is_thread(pid.as_raw()) {
        return Err(thread(pid));
    }
    fail::point("adopt:opened");
    let identity = match claim {
        Claim::Recorded { identity, .. } | Claim::Told(identity) => identity.clone(),
        Claim::Number(pid) => prove_by_marks(spec, *pid)?,
    };
    match identity.presence() {
        Ok(Presence::Alive) => {}
        Ok(Presence::Gone(reason)) => return Err(Refusal { reason, gone: true }),
        Err(error) => return Err(Refusal { reason: format!("read /proc/{pid}/stat: {error}"), gone: false }),
    }
    fail::point("adopt:proven");
    if let Err(error) = write_down(spec, claim, &identity) {
        logging::about(Level::Error, &spec.id, format_args!("{error}"));
    }
    fail::point("adopt:written-down");
    Ok(Process { pid, pidfd, identity: Some(identity) })
}

fn open(pid: Pid) -> Proof<OwnedFd> {
    fail::failing("adopt:open").and_then(|()| pidfd::open(pid)).map_err(|error| match error.raw_os_error() {
        Some(libc::ESRCH) => no_process(pid),
        // EINVAL, and ENOENT since Linux 6.15: the number is now of a thread, whose process has another one.
        Some(libc::EINVAL | libc::ENOENT) => thread(pid),
        _ => Refusal { reason: format!("open pidfd of {pid}: {error}"), gone: false },
    })
}

fn no_process(pid: Pid) -> Refusal {
    Refusal { reason: format!("no process has pid {pid}"), gone: true }
}

fn thread(pid: Pid) -> Refusal {
    Refusal { reason: format!("pid {pid} is a thread"), gone: true }
}

/// A number alone says nothing. But the process carries its id and its secret token in its environment, or has its logs
/// open, which no stranger has or does; and it leads its group, which its own children do not.
fn prove_by_marks(spec: &Spec, pid: Pid) -> Proof<Identity> {
    let undecided = |what: &str, error: std::io::Error| match error.raw_os_error() {
        Some(libc::ENOENT | libc::ESRCH) => no_process(pid),
        // Another user's: ours runs as ourselves, unless we are root and then may read it.
        Some(libc::EACCES | libc::EPERM) => Refusal { reason: format!("pid {pid} is another user's"), gone: true },
        _ => Refusal { reason: format!("{what}: {error}"), gone: false },
    };
    let identity = Identity::of(pid).map_err(|error| undecided("read start time", error))?;
    let identity = identity.ok_or_else(|| no_process(pid))?;
    let marks = Marks { id: &spec.id, token: spec.config.token.as_deref(), logs: spec.log_files() };
    let carried = marks.are_in_environment_of(pid.as_raw());
    let carried = carried.map_err(|error| undecided("read environment", error))? || marks.are_open_in(pid.as_raw());
    let leads = identity.stat().is_ok_and(|stat| stat.is_some_and(|stat| stat.group == pid.as_raw()));
    if leads && carried {
        Ok(identity)
    } else {
        let reason = format!("pid {pid} does not carry the id and token of {}", spec.id.escape_debug());
        Err(Refusal { reason, gone: true })
    }
}

/// From now on the process is known like one that we started. An agent that was killed may have left it without its pid
/// file, or with that of its predecessor.
fn write_down(spec: &Spec, claim: &Claim, identity: &Identity) -> Result<()> {
    if let (Files::DataDir(data_dir), Claim::Told(_) | Claim::Number(_)) = (&spec.context.files, claim) {
        data_dir.write_record(spec.record_origin(), identity)?;
    }
    spec.write_pid_file(identity.pid)
}
