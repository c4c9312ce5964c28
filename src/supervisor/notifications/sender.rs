// SPDX-License-Identifier: MPL-2.0
//! Whether a notification comes from the proxy: an abstract socket has no owner, and every process of its network
//! namespace can read its name (`/proc/net/unix`) and send to it.

use std::os::unix::fs::MetadataExt;

use crate::sys::notify_socket::Sender;
use crate::sys::pid::{Pid, effective_uid};
use crate::sys::proc::stat;

/// How many ancestors of a sender are examined.
const MOST_ANCESTORS: usize = 16;

/// The process of a proxy with its group, and the user that it is declared to run as, if one is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leader {
    pub(crate) pid: Pid,
    pub(crate) group: Pid,
    pub(crate) declared_uid: Option<u32>,
}

impl Leader {
    /// Whether the sender is of the proxy: the leader, a process of its session or group, or a descendant of one of them.
    ///
    /// One that has ended is known by its user alone: nothing else is left of it, and `systemd-notify` may have ended before
    /// its message is read. A user who may send so may also kill the process.
    pub(crate) fn has_sent(self, sender: &Sender) -> bool {
        match sender.has_ended() {
            Some(true) => return self.is_of_user(sender.uid),
            // It lives, so that its pid is its own.
            Some(false) if sender.pid == Some(self.pid) => return true,
            Some(false) | None => {}
        }
        let member = match sender.pid {
            Some(pid) => self.has(pid),
            // One that lives is in a pid namespace that is not seen from here. Without a pidfd it may be gone as well.
            None => sender.has_ended().map(|_| false),
        };
        match member {
            // ORDER: what was read is of the pid; it is of the sender if that had not ended by then.
            Some(member) if sender.has_ended() != Some(true) => member,
            _ => self.is_of_user(sender.uid),
        }
    }

    /// Whether a process is of the proxy; `None` when it is gone, or that cannot be known now.
    fn has(self, pid: Pid) -> Option<bool> {
        let mut pid = pid.as_raw();
        for _ in 0..MOST_ANCESTORS {
            let (_, group, session) = stat::with_session(pid)?;
            if [self.pid, self.group].iter().any(|own| [pid, group, session].contains(&own.as_raw())) {
                return Some(true);
            }
            pid = stat::read(pid).ok()??.parent;
            if pid <= 1 {
                break;
            }
        }
        Some(false)
    }

    /// Whether a user may send for the proxy: its own, the agent's, and root.
    fn is_of_user(self, uid: u32) -> bool {
        let owner = || std::fs::metadata(format!("/proc/{}", self.pid)).ok().map(|process| process.uid());
        uid == 0 || uid == effective_uid() || Some(uid) == self.declared_uid || Some(uid) == owner()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::notify_socket::SenderProcess;
    use crate::sys::pid::own_pid;
    use crate::sys::pidfd;
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};

    const STRANGER: u32 = 12_345;

    fn pid_of(raw: u32) -> Pid {
        Pid::from_raw(raw as i32).unwrap()
    }

    fn sender(pid: Pid, uid: u32) -> Sender {
        let process = pidfd::open(pid).map_or(SenderProcess::Unknown, SenderProcess::Open);
        Sender { pid: Some(pid), uid, process }
    }

    /// The leader of a group, a member, and a child in a session of its own.
    fn group() -> (Child, [Pid; 3]) {
        let mut shell = Command::new("/bin/sh");
        let script = "sleep 1000 & echo $!; setsid sleep 1000 & echo $!; wait";
        let mut leader = shell.args(["-c", script]).process_group(0).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(leader.stdout.take().unwrap()).lines();
        let mut next = || pid_of(lines.next().unwrap().unwrap().parse().unwrap());
        let pids = [pid_of(leader.id()), next(), next()];
        while stat::with_session(pids[2].as_raw()).unwrap().2 != pids[2].as_raw() {
            std::thread::yield_now();
        }
        (leader, pids)
    }

    #[test]
    fn leader_member_and_descendant_are_of_the_proxy_and_other_processes_are_not() {
        let (mut leader, pids) = group();
        let of = Leader { pid: pids[0], group: pids[0], declared_uid: None };
        for pid in pids {
            assert!(of.has_sent(&sender(pid, STRANGER)), "{pid}");
            assert!(Leader { pid: pids[1], ..of }.has_sent(&sender(pid, STRANGER)), "{pid} of another leader's group");
        }
        assert!(!of.has_sent(&sender(own_pid(), effective_uid())), "the agent");
        let unseen = Sender { pid: None, ..sender(own_pid(), 0) };
        assert_eq!(of.has_sent(&unseen), matches!(unseen.process, SenderProcess::Unknown));
        for pid in pids.into_iter().rev() {
            crate::sys::signal::kill_process(pid, crate::sys::signal::Signal::KILL).unwrap();
        }
        leader.wait().unwrap();
    }

    #[test]
    fn sender_that_is_gone_is_known_by_its_user() {
        let of = Leader { pid: own_pid(), group: own_pid(), declared_uid: Some(STRANGER) };
        for process in [|| SenderProcess::Gone, || SenderProcess::Unknown] {
            let sent = |uid| of.has_sent(&Sender { pid: None, uid, process: process() });
            assert!(sent(0) && sent(effective_uid()) && sent(STRANGER) && !sent(STRANGER + 1));
        }
        let mut child = Command::new("true").spawn().unwrap();
        let pid = pid_of(child.id());
        let another = Leader { pid, group: pid, declared_uid: None };
        let by = |uid| sender(pid, uid);
        let (own, stranger) = (by(effective_uid()), by(STRANGER));
        child.wait().unwrap();
        assert!(another.has_sent(&own) && !another.has_sent(&stranger));
    }
}
