// SPDX-License-Identifier: MPL-2.0
//! The exit of a process, and its status, where waitid(2) does not report them: for an adopted process, a child whose
//! status the host took, and a child whose zombie only its tracer can see.

use std::os::fd::BorrowedFd;

use super::pid::{Pid, effective_uid};
use super::pidfd;
use super::proc::stat::{self, Stat};
use super::process_identity::Identity;
use super::wait::ExitStatus;

/// A process that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// Whether it is a zombie that its parent, which is not this process, will reap: a matter of microseconds, as a
    /// rule. Until then it counts as a member of its group, and its status may not be readable yet.
    pub(crate) awaits_reaping: bool,
    /// Whether it is a child of ours that cannot be reaped before its tracer, a debugger of another process, has waited
    /// for it or let it go. Until then it counts as a member of its group as well.
    pub(crate) held_by_tracer: bool,
}

/// How a child has ended that waitid(2) says runs; `None` if it runs.
///
/// A zombie is shown to its tracer alone, until that has waited for it or let it go (ptrace(2)). The kernel reports it
/// through the pidfd all the same, which the caller has polled since: `reported`. It does not where the threads of the
/// process are zombies that the tracer has not waited for.
pub(crate) fn hidden(child: Pid, reported: bool) -> Option<Ended> {
    // The pid of a child that was not reaped is not recycled.
    let stat = stat::check_mounted().and_then(|()| stat::read(child.as_raw())).ok().flatten();
    let dead = stat.filter(Stat::is_dead);
    (reported || dead.is_some()).then(|| {
        let status = dead.and_then(|stat| status_of_zombie(child, &stat)).unwrap_or(ExitStatus::Unknown);
        Ended { status, awaits_reaping: false, held_by_tracer: true }
    })
}

/// How the process ended; `None` while it runs. With a pidfd, call it once that reports the end.
pub(crate) fn ended(process: Option<BorrowedFd<'_>>, identity: Option<&Identity>) -> Option<Ended> {
    let awaits_reaping = process.is_some_and(|process| !pidfd::is_reaped(process));
    let reported = |status| Some(Ended { status, awaits_reaping, held_by_tracer: false });
    if let Some(status) = process.and_then(pidfd::exit_status) {
        return reported(status);
    }
    if let Some(identity) = identity {
        match identity.stat() {
            // With a pidfd that reports the end, a living process with this pid has got it recycled.
            Ok(Some(stat)) if !stat.is_dead() && process.is_none() => return None,
            Ok(Some(stat)) if !stat.is_dead() => {}
            // A zombie that its parent has not reaped yet.
            Ok(Some(stat)) => {
                if let Some(status) = status_of_zombie(identity.pid, &stat) {
                    return reported(status);
                }
            }
            Ok(None) => {}
            // Without a pidfd there is nothing else to go by: it may still run.
            Err(_) if process.is_none() => return None,
            Err(_) => {}
        }
    }
    // It may have been reaped since it was asked.
    reported(process.and_then(pidfd::exit_status).unwrap_or(ExitStatus::Unknown))
}

/// The status of a zombie, if the kernel shows it to us: field 52 of its stat reads 0 to processes that may not know
/// it, and not to root and to the process's own user.
fn status_of_zombie(pid: Pid, stat: &Stat) -> Option<ExitStatus> {
    use std::os::unix::fs::MetadataExt;
    let owner = || std::fs::metadata(format!("/proc/{pid}")).map(|found| found.uid());
    let may_know = stat.wait_status != 0 || effective_uid() == 0 || owner().is_ok_and(|owner| owner == effective_uid());
    may_know.then(|| ExitStatus::from_wait_status(stat.wait_status))
}
