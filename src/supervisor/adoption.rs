//! Adoption: proving that a recorded process is the one that lives now. On any doubt it is refused, and why is said.

use std::os::fd::{AsFd, OwnedFd};

use super::leftovers::{self, Marks};
use super::mailbox::{Claim, Refusal, Verdict};
use super::process::Process;
use super::spec::{Files, Spec};
use crate::declaration::Fingerprint;
use crate::error::Result;
use crate::sys::identity::{self, Identity, Pid, Presence, boot_id};
use crate::sys::{fail, pidfd, stat};

type Proof<T> = std::result::Result<T, Refusal>;

/// A process that was proven to be the claimed one, and whether its pid file could be written.
pub(super) type Proven = (Process, Result<()>);

/// Proves a claim. If the process is gone, so is, when this returns, what it left of its group; unless that is declared to
/// have time: then it gets the stop signal first, with what is found outside of the group.
pub(super) fn prove(spec: &Spec, claim: &Claim) -> Proof<Proven> {
    let proven = prove_leader(spec, claim);
    match proven {
        _ if !spec.config.stop.leftover_grace.is_zero() => proven,
        Err(Refusal { reason, verdict: verdict @ (Verdict::Ended | Verdict::Unproven) }) => {
            match end_leftovers(spec, claim) {
                Ok(()) => Err(Refusal { reason, verdict }),
                Err(left) => Err(Refusal { reason: format!("{reason}; {left}"), verdict: Verdict::Unknown }),
            }
        }
        proven => proven,
    }
}

/// Ends what the process of a claim, which is gone, has left of its group.
///
/// # Errors
/// What is still there, or why nobody can tell.
pub(super) fn end_leftovers(spec: &Spec, claim: &Claim) -> std::result::Result<(), String> {
    let own_token = spec.config.token.as_deref();
    let (leader, token) = match claim {
        Claim::Recorded { identity, token, .. } => (identity.clone(), token.as_deref()),
        Claim::Told { identity, .. } => (identity.clone(), own_token),
        // When it was started is not known; what the members of its group carry has to prove them anyway.
        Claim::Number { pid, .. } => {
            let boot_id = boot_id().map_err(|error| format!("read boot id: {error}"))?.clone();
            (Identity { pid: *pid, start_ticks: 0, boot_id, inode: None }, own_token)
        }
    };
    let logs = spec.log_files().map_err(|error| format!("look for the logs: {error}"))?;
    leftovers::end(&leader, &Marks { id: &spec.id, token, logs })
}

fn prove_leader(spec: &Spec, claim: &Claim) -> Proof<Proven> {
    let pid = match claim {
        Claim::Recorded { identity, .. } | Claim::Told { identity, .. } => identity.pid,
        Claim::Number { pid, .. } => *pid,
    };
    cannot_be_ours(pid)?;
    // ORDER: the descriptor first. The proof is of the number, and of the process that was opened if that still lives
    // when the proof is done: then the number has been its own all along.
    let pidfd = if pidfd::is_supported() { Some(open(pid)?) } else { None };
    if pidfd.is_none() && stat::is_thread(pid.as_raw()) {
        return Err(thread(pid));
    }
    fail::point("adopt:opened");
    let inode = pidfd.as_ref().map_or(Ok(None), |fd| pidfd::inode(fd.as_fd()));
    let inode = inode.map_err(|error| undecided(pid, "read inode of pidfd", &error))?;
    let identity = match claim {
        Claim::Recorded { identity, .. } | Claim::Told { identity, .. } => identity.clone(),
        Claim::Number { pid, .. } => {
            let identity = Identity::of(*pid, inode).map_err(|error| undecided(*pid, "read start time", &error))?;
            identity.ok_or_else(|| no_process(*pid))?
        }
    };
    match identity.presence(inode) {
        Ok(Presence::Alive) => {}
        // Of a number alone nobody knows whose end that is.
        Ok(Presence::Ended(how)) if !matches!(claim, Claim::Number { .. }) => return Err(ended(&how)),
        Ok(Presence::Ended(reason) | Presence::Another(reason)) => return Err(unproven(reason)),
        Err(error) => return Err(unknown(format!("read /proc/{pid}/stat: {error}"))),
    }
    if let Claim::Number { .. } = claim {
        prove_by_marks(spec, pid)?;
    }
    if pidfd.as_ref().is_some_and(|fd| pidfd::has_ended(fd.as_fd())) {
        return Err(Refusal { reason: format!("pid {pid} has ended just now"), verdict: Verdict::Ended });
    }
    fail::point("adopt:proven");
    record(spec, claim, &identity).map_err(|error| unknown(error.to_string()))?;
    // An agent that was killed may have left it without its pid file, or with that of its predecessor.
    let written = spec.write_pid_file(pid);
    fail::point("adopt:written-down");
    Ok((Process { pid, pidfd, identity: Some(Box::new(identity)) }, written))
}

/// From here on the process is known like one that we started. Supervised without a record, it would be lost together
/// with this agent.
fn record(spec: &Spec, claim: &Claim, identity: &Identity) -> Result<()> {
    let Files::DataDir(data_dir) = &spec.context.files else { return Ok(()) };
    let mut recorded = spec.record_origin();
    match claim {
        Claim::Recorded { .. } => return Ok(()),
        Claim::Told { origin: Some(origin), .. } => recorded.process_origin = Some(origin),
        Claim::Told { origin: None, .. } | Claim::Number { as_declared: true, .. } => {}
        Claim::Number { as_declared: false, .. } => recorded.fingerprint = Fingerprint::new(),
    }
    data_dir.write_record(recorded, identity)
}

fn open(pid: Pid) -> Proof<OwnedFd> {
    fail::failing("adopt:open").and_then(|()| pidfd::open(pid)).map_err(|error| match error.raw_os_error() {
        Some(libc::ESRCH) => no_process(pid),
        // EINVAL, and ENOENT since Linux 6.15: the number is now of a thread, whose process has another one.
        Some(libc::EINVAL | libc::ENOENT) => thread(pid),
        _ => unknown(format!("open pidfd of {pid}: {error}")),
    })
}

/// The usual end of a process whose agent was away: nothing is wrong with what was recorded.
fn ended(how: &str) -> Refusal {
    Refusal { reason: format!("ended while no agent was there: {how}"), verdict: Verdict::Ended }
}

fn unproven(reason: String) -> Refusal {
    Refusal { reason, verdict: Verdict::Unproven }
}

fn unknown(reason: String) -> Refusal {
    Refusal { reason, verdict: Verdict::Unknown }
}

fn no_process(pid: Pid) -> Refusal {
    ended(&format!("no process has pid {pid}"))
}

fn thread(pid: Pid) -> Refusal {
    unproven(format!("pid {pid} is a thread"))
}

/// Whatever is written anywhere: a proxy is neither the agent itself nor the first process of all.
fn cannot_be_ours(pid: Pid) -> Proof<()> {
    let who = match pid {
        own if own == identity::own_pid() => "this process",
        init if init.as_raw() == 1 => "init",
        _ => return Ok(()),
    };
    Err(unproven(format!("pid {pid} is {who}")))
}

/// What is to be said of a process that cannot be looked at.
fn undecided(pid: Pid, what: &str, error: &std::io::Error) -> Refusal {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ESRCH) => no_process(pid),
        // Another user's: ours runs as ourselves, unless we are root and then may read it.
        Some(libc::EACCES | libc::EPERM) => unproven(format!("pid {pid} is another user's")),
        _ => unknown(format!("{what} of {pid}: {error}")),
    }
}

/// A number alone says nothing. But the process carries its id and its secret token in its environment, or writes its
/// logs, which no stranger has or does.
fn prove_by_marks(spec: &Spec, pid: Pid) -> Proof<()> {
    let undecided = |what: &'static str| move |error: std::io::Error| undecided(pid, what, &error);
    let logs = spec.log_files().map_err(undecided("look for the logs"))?;
    let marks = Marks { id: &spec.id, token: spec.config.token.as_deref(), logs };
    let carried = marks.are_in_environment_of(pid.as_raw()).map_err(undecided("read environment"))?;
    if carried || marks.are_open_in(pid.as_raw()).map_err(undecided("list descriptors"))? {
        return Ok(());
    }
    Err(unproven(format!("pid {pid} does not carry the id and token of {}", spec.id.escape_debug())))
}
