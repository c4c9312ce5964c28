// SPDX-License-Identifier: MPL-2.0
//! Adoption: proving that a recorded process is the one that is alive now. In doubt it is refused, with the reason.

pub(crate) mod cgroup_leftovers;
pub(crate) mod claim;
mod group_leftovers;
pub(crate) mod named_leader;
pub(crate) mod unrecorded_process;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use super::other_agent;
use super::reaper::process::Process;
use super::scan::known_tag::{KnownOwner, KnownTag, Shown};
use super::spec::{Files, Spec};
use crate::declaration::Fingerprint;
use crate::error::Result;
use crate::lifecycle::start_numbers::StartNumbers;
use crate::logging::Level;
use crate::sys::pid::{Pid, own_pid};
use crate::sys::proc::stat;
use crate::sys::process_identity::{self, Identity, Presence};
use crate::sys::{fail, pidfd};
use claim::{Claim, Refusal, Verdict};

type Proof<T> = std::result::Result<T, Refusal>;

/// A process that was proven to be the claimed one.
pub(crate) struct Proven {
    pub(crate) process: Process,
    /// Whether its pid file could be written.
    pub(crate) written: Result<()>,
    /// More than was claimed, if the claim had only a pid.
    pub(crate) known: Option<Box<Claim>>,
}

/// Proves a claim. If the process is gone, the processes that it left in its group are gone too when this returns,
/// unless the declaration gives them time: then they get the stop signal first, together with processes outside of the
/// group.
pub(crate) fn prove(spec: &Spec, claim: &Claim) -> Proof<Proven> {
    // Also if the process is gone: the processes that it left do not belong to this agent.
    let starter = other_agent::starter(claim.pid(), claim.owner_tag(), &spec.context.owner_tag);
    if let Some(reason) = starter.map_err(|error| undecided(claim.pid(), "look for the agent", &error))? {
        return Err(supervised(reason));
    }
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

/// Ends the processes that a claimed process, which is gone, left in its group.
///
/// # Errors
/// What is still there, or why that cannot be determined.
pub(crate) fn end_leftovers(spec: &Spec, claim: &Claim) -> std::result::Result<(), String> {
    let own = &spec.context.owner_tag;
    let owner_tag = claim.owner_tag().map_or(KnownOwner::OwnOrNone(own), KnownOwner::Known);
    let marks = marks(spec, claim, owner_tag).map_err(|error| format!("look for the logs: {error}"))?;
    if claim.identity().is_none() {
        // Perhaps no process has its token any more.
        group_leftovers::end(
            claim.group(),
            &KnownTag { token: None, owner_tag: KnownOwner::Known(own), ..marks.clone() },
        )?;
    }
    group_leftovers::end(claim.group(), &marks)
}

/// What identifies the processes of a claim.
fn marks<'a>(spec: &'a Spec, claim: &'a Claim, owner_tag: KnownOwner<'a>) -> io::Result<KnownTag<'a>> {
    let token = match claim {
        Claim::Recorded { token, .. } => token.as_deref(),
        Claim::Snapshot { .. } | Claim::PidOnly { .. } => spec.config.token.as_deref(),
    };
    Ok(KnownTag { id: &spec.id, token, owner_tag, logs: spec.log_files()? })
}

fn prove_leader(spec: &Spec, claim: &Claim) -> Proof<Proven> {
    let pid = claim.pid();
    cannot_be_ours(pid)?;
    let boot = process_identity::boot_id();
    let boot = boot.map_err(|error| unknown(format!("read {}: {error}", process_identity::BOOT_ID)))?;
    // ORDER: the descriptor first. The proof is of the pid, and of the process that was opened if that still lives when
    // the proof is done: then the pid has been its own all along.
    let pidfd = if pidfd::is_supported() { Some(open(claim, &boot)?) } else { None };
    if pidfd.is_none() {
        let unreadable = |error| unknown(format!("read /proc/{pid}/status: {error}"));
        if stat::is_thread(pid.as_raw()).map_err(unreadable)? {
            return Err(thread(pid));
        }
    }
    fail::point("adopt:opened");
    let inode = pidfd.as_ref().map_or(Ok(None), |fd| pidfd::inode(fd.as_fd()));
    let inode = inode.map_err(|error| undecided(pid, "read inode of pidfd", &error))?;
    let unreadable = |error| unknown(format!("read /proc/{pid}/stat: {error}"));
    let Some(stat) = stat::read(pid.as_raw()).map_err(unreadable)? else { return Err(missing(claim, &boot)) };
    let now = Identity::seen(pid, &stat, boot.clone(), inode);
    // If only its pid is known, nothing shows that it leads in place of another process.
    let alone = Identity { group: pid, ..now.clone() };
    match claim.identity().unwrap_or(&alone).presence(&boot, &stat, inode).map_err(unreadable)? {
        Presence::Alive if claim.identity().is_none() => prove_by_marks(spec, claim, None)?,
        Presence::Alive => {}
        Presence::Doubtful(how) => prove_by_marks(spec, claim, Some(how))?,
        // If only a pid is known, it is not known which process ended.
        Presence::Ended(how) if !matches!(claim, Claim::PidOnly { .. }) => return Err(ended(&how)),
        Presence::Ended(reason) | Presence::Another(reason) => return Err(unproven(reason)),
        Presence::Absent(reason) => return Err(Refusal { reason, verdict: Verdict::Ended }),
    }
    if pidfd.as_ref().is_some_and(|fd| pidfd::has_ended(fd.as_fd())) {
        return Err(Refusal { reason: format!("pid {pid} has ended just now"), verdict: Verdict::Ended });
    }
    let known = match claim {
        Claim::PidOnly { .. } => {
            Some(Box::new(learn(spec, &now).map_err(|error| undecided(pid, "read environment", &error))?))
        }
        Claim::Recorded { .. } | Claim::Snapshot { .. } => None,
    };
    let owner_tag = known.as_deref().unwrap_or(claim).owner_tag();
    let numbers = known.as_deref().unwrap_or(claim).numbers();
    let rival = other_agent::claim(pid, pidfd.as_ref().map(|fd| fd.as_fd()), owner_tag, &spec.context.owner_tag);
    if let Some(reason) = rival.map_err(|error| undecided(pid, "look for the agent", &error))? {
        return Err(supervised(reason));
    }
    fail::point("adopt:proven");
    record(spec, claim, (owner_tag, numbers), &now).map_err(|error| unknown(error.to_string()))?;
    // An agent that was killed may have left it without its pid file, or with that of the previous process.
    let written = spec.write_pid_file(pid);
    fail::point("adopt:written-down");
    Ok(Proven { process: Process { pid, pidfd, identity: Some(Box::new(now)) }, written, known })
}

/// Whether a process runs as the user that the declaration names: the owner tag is not secret, and others can set it.
fn runs_as_declared_user(spec: &Spec, pid: Pid) -> io::Result<bool> {
    let owner = std::fs::metadata(format!("/proc/{pid}"))?.uid();
    match spec.look_up_uid() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        declared => Ok(declared? == owner),
    }
}

/// What a process says about itself that was known only by its pid.
fn learn(spec: &Spec, identity: &Identity) -> io::Result<Claim> {
    let identity = identity.clone();
    let Shown { token, owner_tag, numbers } = Shown::by(identity.pid.as_raw())?;
    let token = token.or_else(|| spec.config.token.clone()).map(String::into);
    Ok(Claim::Recorded { identity, token, owner_tag, numbers, notifications: None, sockets: [].into(), ended: None })
}

/// From here on the process is known like one that we started. Supervised without a record, it would be lost together
/// with this agent.
fn record(
    spec: &Spec,
    claim: &Claim,
    (owner_tag, numbers): (Option<&str>, StartNumbers),
    identity: &Identity,
) -> Result<()> {
    let Files::DataDir(data_dir) = &spec.context.files else { return Ok(()) };
    let mut recorded = spec.record_header(numbers, claim.sockets());
    recorded.owner_tag = owner_tag.or(recorded.owner_tag);
    match claim {
        Claim::Recorded { identity: recorded, .. } if recorded == identity => return Ok(()),
        // The present boot id or start time differs from the ones that the earlier agent recorded.
        Claim::Recorded { .. } => {
            if let Err(error) = data_dir.update_identity(spec.place, &spec.id, identity) {
                // The unchanged record still identifies the process.
                spec.context.log.about(Level::Warn, &spec.id, format_args!("{error}"));
            }
            return Ok(());
        }
        Claim::Snapshot { .. } | Claim::PidOnly { as_declared: true, .. } => {}
        Claim::PidOnly { as_declared: false, .. } => recorded.fingerprint = Fingerprint::new(),
    }
    data_dir.write_record(spec.place, recorded, identity)
}

fn open(claim: &Claim, boot: &str) -> Proof<OwnedFd> {
    let opened = fail::failing("adopt:open").and_then(|()| pidfd::open(claim.pid()));
    opened.map_err(|error| not_opened(claim, boot, &error))
}

fn not_opened(claim: &Claim, boot: &str, error: &io::Error) -> Refusal {
    let pid = claim.pid();
    match error.raw_os_error() {
        Some(libc::ESRCH) => missing(claim, boot),
        // A thread, whose process has another pid: EINVAL, and ENOENT since Linux 6.15. But EINVAL is also said, before
        // 6.16, of a pid that only a group has, whose leader is gone.
        Some(libc::EINVAL | libc::ENOENT) => match stat::is_thread(pid.as_raw()) {
            Ok(true) => thread(pid),
            Ok(false) => missing(claim, boot),
            Err(error) => unknown(format!("read /proc/{pid}/status: {error}")),
        },
        _ => unknown(format!("open pidfd of {pid}: {error}")),
    }
}

/// The usual end of a process while no agent was running: nothing is wrong with the record.
fn ended(how: &str) -> Refusal {
    Refusal { reason: format!("ended while no agent was there: {how}"), verdict: Verdict::Ended }
}

fn supervised(reason: String) -> Refusal {
    Refusal { reason, verdict: Verdict::Supervised }
}

fn unproven(reason: String) -> Refusal {
    Refusal { reason, verdict: Verdict::Unproven }
}

fn unknown(reason: String) -> Refusal {
    Refusal { reason, verdict: Verdict::Unknown }
}

/// What to report if no process has the pid of a claim.
fn missing(claim: &Claim, boot: &str) -> Refusal {
    match claim.identity().map(|identity| identity.missing(boot)) {
        Some(Presence::Absent(reason)) => Refusal { reason, verdict: Verdict::Ended },
        _ => ended(&format!("no process has pid {}", claim.pid())),
    }
}

fn thread(pid: Pid) -> Refusal {
    unproven(format!("pid {pid} is a thread"))
}

/// Whatever a file says: a proxy is neither the agent itself nor the init process.
fn cannot_be_ours(pid: Pid) -> Proof<()> {
    let who = match pid {
        own if own == own_pid() => "this process",
        init if init.as_raw() == 1 => "init",
        _ => return Ok(()),
    };
    Err(unproven(format!("pid {pid} is {who}")))
}

/// What to report about a process that cannot be read.
fn undecided(pid: Pid, what: &str, error: &io::Error) -> Refusal {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ESRCH) => ended(&format!("no process has pid {pid}")),
        // It belongs to another user: a process of ours runs as the agent's user, unless that is root, who may read all
        // processes.
        Some(libc::EACCES | libc::EPERM) => unproven(format!("pid {pid} is another user's")),
        _ => unknown(format!("{what} of {pid}: {error}")),
    }
}

/// For a process that pid and inode, or only a pid, do not identify sufficiently: it must have id, token and owner tag
/// in its environment, or write to its logs, which no other process does. `doubt`: what else speaks against it.
fn prove_by_marks(spec: &Spec, claim: &Claim, doubt: Option<String>) -> Proof<()> {
    let pid = claim.pid();
    // Another owner tag is examined later.
    let owner_tag = claim.owner_tag().map_or(KnownOwner::Any, KnownOwner::Known);
    let marks = marks(spec, claim, owner_tag).map_err(|error| undecided(pid, "look for the logs", &error))?;
    let unreadable = |error| undecided(pid, "read environment and descriptors", &error);
    let of_directory = claim.identity().is_none() && runs_as_declared_user(spec, pid).map_err(unreadable)?;
    // The declared token may have changed since, or the token may be unknown.
    let own = KnownTag { token: None, owner_tag: KnownOwner::Known(&spec.context.owner_tag), ..marks.clone() };
    // A process in the proxy's cgroup belongs to the proxy, whatever its environment shows.
    let is_member = || spec.context.cgroups.as_ref().is_some_and(|all| all.of_adopted(&spec.id, pid).is_some());
    if is_member()
        || marks.are_on(pid.as_raw()).map_err(unreadable)?
        || of_directory && own.are_on(pid.as_raw()).map_err(unreadable)?
    {
        return Ok(());
    }
    let missing = format!("does not carry the id and token of {}", spec.id.escape_debug());
    Err(unproven(match doubt {
        Some(doubt) => format!("{doubt}, and it {missing}"),
        None => format!("pid {pid} {missing}"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    /// Through Linux 6.15 pidfd_open says EINVAL of both.
    #[test]
    fn pid_of_a_group_without_leader_is_not_taken_for_a_thread() {
        let mut shell = Command::new("/bin/sh");
        let mut leader = shell
            .args(["-c", "exec 3<&0; (read x <&3) & wait"])
            .process_group(0)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let claim = |pid| Claim::PidOnly { pid, as_declared: true };
        let pid = Pid::from_raw(leader.id() as i32).unwrap();
        let input = leader.stdin.take();
        leader.kill().unwrap();
        leader.wait().unwrap();
        let boot = process_identity::boot_id().unwrap();
        for errno in [libc::EINVAL, libc::ENOENT, libc::ESRCH] {
            let refused = not_opened(&claim(pid), &boot, &io::Error::from_raw_os_error(errno));
            assert_eq!(refused.verdict, Verdict::Ended, "{}", refused.reason);
            assert!(refused.reason.ends_with(&format!("no process has pid {pid}")), "{}", refused.reason);
        }
        drop(input);
        let (number, end) = (std::sync::mpsc::channel(), std::sync::mpsc::channel::<()>());
        let thread = std::thread::spawn(move || {
            let own = std::fs::read_link("/proc/thread-self").unwrap();
            number.0.send(own.file_name().unwrap().to_str().unwrap().parse::<i32>().unwrap()).unwrap();
            let _ = end.1.recv();
        });
        let pid = Pid::from_raw(number.1.recv().unwrap()).unwrap();
        let refused = not_opened(&claim(pid), &boot, &io::Error::from_raw_os_error(libc::EINVAL));
        assert_eq!((refused.verdict, &*refused.reason), (Verdict::Unproven, &*format!("pid {pid} is a thread")));
        drop(end.0);
        thread.join().unwrap();
    }
}
