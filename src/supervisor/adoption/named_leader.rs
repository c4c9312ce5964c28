// SPDX-License-Identifier: MPL-2.0
//! Proving that a process belongs to the proxy that names it as its leader (`MAINPID=` of sd_notify(3)).

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use super::cannot_be_ours;
use crate::supervisor::other_agent;
use crate::supervisor::reaper::process::Process;
use crate::supervisor::scan::known_tag::{KnownOwner, KnownTag};
use crate::supervisor::spec::Spec;
use crate::sys::pid::{Pid, own_pid};
use crate::sys::proc::stat;
use crate::sys::process_identity::Identity;
use crate::sys::{fail, pidfd};

/// A process that is named as the leader of a proxy, and what the processes of that are known by.
#[derive(Debug)]
pub(crate) struct NamedLeader {
    pub(crate) pid: Pid,
    /// The leader that there is, and its group.
    pub(crate) instead_of: (Pid, Pid),
    pub(crate) token: Option<String>,
    pub(crate) owner_tag: Arc<str>,
}

/// A process with its group and its session, which are 0 where they are outside of this pid namespace.
type Place = (i32, i32, i32);

/// What its place says of a process.
#[derive(Debug, PartialEq, Eq)]
enum Membership {
    Proven,
    /// What it carries has to prove it.
    Doubtful,
    Refused(&'static str),
}

/// Whether a process is of the proxy with this leader and group. Only descendants of the leader can be in its session or group,
/// so its environment, which it may have cleared, is not asked for then.
fn membership((_, group, session): Place, instead_of: (Pid, Pid), agent: Place) -> Membership {
    let of_proxy = [instead_of.0.as_raw(), instead_of.1.as_raw()];
    match (group, session) {
        (0, _) | (_, 0) => Membership::Refused("is in a group outside of this pid namespace"),
        // Its group would be signalled, which may be that of the agent.
        _ if session == agent.2 => Membership::Refused("is in the session of this process"),
        _ if of_proxy.contains(&group) || of_proxy.contains(&session) => Membership::Proven,
        _ => Membership::Doubtful,
    }
}

/// Proves that the process lives and is of the proxy; or says why it is refused.
pub(crate) fn prove(spec: &Spec, named: &NamedLeader) -> Result<(Process, Identity), String> {
    let pid = named.pid;
    cannot_be_ours(pid).map_err(|refusal| refusal.reason)?;
    let unreadable = |error: io::Error| format!("read pid {pid}: {error}");
    let gone = || format!("no process with pid {pid} lives");
    // ORDER: the descriptor first. The proof is of the pid, and of the process that was opened if that lives when it is done.
    let pidfd = match pidfd::is_supported().then(|| pidfd::open(pid)).transpose() {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ESRCH | libc::EINVAL | libc::ENOENT)) => {
            return Err(gone());
        }
        opened => opened.map_err(unreadable)?,
    };
    if pidfd.is_none() && stat::is_thread(pid.as_raw()).map_err(unreadable)? {
        return Err(gone());
    }
    fail::point("leader:opened");
    let inode = pidfd.as_ref().map_or(Ok(None), |fd| pidfd::inode(fd.as_fd())).map_err(unreadable)?;
    let identity = Identity::of(pid, inode).map_err(unreadable)?.ok_or_else(gone)?;
    let place = stat::with_session(pid.as_raw()).ok_or_else(gone)?;
    let agent = stat::with_session(own_pid().as_raw()).ok_or_else(gone)?;
    match membership(place, named.instead_of, agent) {
        Membership::Proven => {}
        Membership::Doubtful => {
            let tag = KnownTag {
                id: &spec.id,
                token: named.token.as_deref(),
                owner_tag: KnownOwner::Known(&named.owner_tag),
                logs: spec.log_files().map_err(|error| format!("look for the logs: {error}"))?,
            };
            if !tag.are_on(pid.as_raw()).map_err(unreadable)? {
                return Err(format!("pid {pid} is neither of its session or group nor carries its id and token"));
            }
        }
        Membership::Refused(why) => return Err(format!("pid {pid} {why}")),
    }
    let fd = pidfd.as_ref().map(AsFd::as_fd);
    let rival = other_agent::claim(pid, fd, Some(&named.owner_tag), &spec.context.owner_tag).map_err(unreadable)?;
    if let Some(reason) = rival {
        return Err(reason);
    }
    let lives = identity.stat().map_err(unreadable)?.is_some_and(|stat| !stat.is_dead());
    if !lives || fd.is_some_and(pidfd::has_ended) {
        return Err(gone());
    }
    Ok((Process { pid, pidfd, identity: Some(Box::new(identity.clone())) }, identity))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_of_the_session_or_group_is_of_the_proxy_and_one_beside_the_agent_never() {
        let pid = |raw| Pid::from_raw(raw).unwrap();
        let of = |place| membership(place, (pid(20), pid(10)), (5, 5, 4));
        for place in [(30, 10, 10), (30, 30, 10), (30, 20, 20), (10, 10, 10), (30, 10, 3)] {
            assert_eq!(of(place), Membership::Proven, "{place:?}");
        }
        for place in [(30, 30, 30), (30, 30, 3), (10, 30, 30)] {
            assert_eq!(of(place), Membership::Doubtful, "{place:?}");
        }
        for place in [(30, 10, 4), (30, 5, 4), (30, 0, 10), (30, 10, 0)] {
            assert!(matches!(of(place), Membership::Refused(_)), "{place:?}");
        }
    }
}
