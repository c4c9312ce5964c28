//! The end of a process that waitid(2) does not tell us: an adopted one, or a child whose status the host took.

use std::os::fd::BorrowedFd;

use super::identity::{Identity, effective_uid};
use super::pidfd;
use super::wait::ExitStatus;

/// A process that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// Whether it is a zombie that its parent, who is not us, will reap: a matter of microseconds, as a rule. Until then
    /// it counts as a member of its group, and its status may not be readable yet.
    pub(crate) awaits_reaping: bool,
}

/// How the process ended; `None` while it runs. With a pidfd, call it once that reports the end.
pub(crate) fn ended(process: Option<BorrowedFd<'_>>, identity: Option<&Identity>) -> Option<Ended> {
    let awaits_reaping = process.is_some_and(|process| !pidfd::is_reaped(process));
    let reported = |status| Some(Ended { status, awaits_reaping });
    if let Some(status) = process.and_then(pidfd::exit_status) {
        return reported(status);
    }
    if let Some(identity) = identity {
        match identity.stat() {
            // With a pidfd that reports the end, whoever lives has got the number meanwhile.
            Ok(Some(stat)) if !stat.is_dead() && process.is_none() => return None,
            Ok(Some(stat)) if !stat.is_dead() => {}
            // A zombie that its parent has not reaped yet: field 52, which reads 0 to those who may not know.
            Ok(Some(stat)) if stat.wait_status != 0 || may_know(identity) => {
                return reported(ExitStatus::from_wait_status(stat.wait_status));
            }
            Ok(_) => {}
            // Without a pidfd there is nothing else to go by: it may still run.
            Err(_) if process.is_none() => return None,
            Err(_) => {}
        }
    }
    // It may have been reaped since it was asked.
    reported(process.and_then(pidfd::exit_status).unwrap_or(ExitStatus::Unknown))
}

/// Whether the kernel shows us the status of a zombie: it does to root and to the process's own user.
fn may_know(identity: &Identity) -> bool {
    use std::os::unix::fs::MetadataExt;
    let owner = std::fs::metadata(format!("/proc/{}", identity.pid)).map(|found| found.uid());
    effective_uid() == 0 || owner.is_ok_and(|owner| owner == effective_uid())
}
