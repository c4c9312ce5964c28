//! The end of a process that waitid(2) does not tell us: an adopted one, or a child whose status the host took.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use super::identity::{Identity, effective_uid};
use super::pidfd;
use super::wait::ExitStatus;

/// How often, and how long each time, the status of a process that is just being reaped is waited for: the kernel
/// reports the end before the reaping that makes the status readable. Microseconds, as a rule.
const RETRIES: u32 = 50;
const RETRY_AFTER: Duration = Duration::from_micros(100);

/// How the process ended; `None` while it runs. With a pidfd, call it once that reports the end.
pub(crate) fn ended(process: Option<BorrowedFd<'_>>, identity: Option<&Identity>) -> Option<ExitStatus> {
    let from_kernel = || process.and_then(pidfd::exit_status);
    if let Some(status) = from_kernel() {
        return Some(status);
    }
    if let Some(identity) = identity {
        match identity.stat() {
            // With a pidfd that reports the end, whoever lives has got the number meanwhile.
            Ok(Some(stat)) if !stat.is_dead() && process.is_none() => return None,
            Ok(Some(stat)) if !stat.is_dead() => {}
            // A zombie that its parent has not reaped yet: field 52, which reads 0 to those who may not know.
            Ok(Some(stat)) if stat.wait_status != 0 || may_know(identity) => {
                return Some(ExitStatus::from_wait_status(stat.wait_status));
            }
            Ok(_) => {}
            // Without a pidfd there is nothing else to go by: it may still run.
            Err(_) if process.is_none() => return None,
            Err(_) => {}
        }
    }
    if process.is_none() {
        return Some(ExitStatus::Unknown);
    }
    for _ in 0..RETRIES {
        if let Some(status) = from_kernel() {
            return Some(status);
        }
        std::thread::sleep(RETRY_AFTER);
    }
    Some(ExitStatus::Unknown)
}

/// Whether the kernel shows us the status of a zombie: it does to root and to the process's own user.
fn may_know(identity: &Identity) -> bool {
    use std::os::unix::fs::MetadataExt;
    let owner = std::fs::metadata(format!("/proc/{}", identity.pid)).map(|found| found.uid());
    effective_uid() == 0 || owner.is_ok_and(|owner| owner == effective_uid())
}
