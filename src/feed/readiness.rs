// SPDX-License-Identifier: MPL-2.0
//! The descriptor of one reader, for hosts that poll.

use std::io;
use std::os::fd::BorrowedFd;

use crate::error::Result;
use crate::sys::epoll::Wakeup;
use crate::sys::fork::HomeProcess;

/// Readable from [`Readiness::set`] to [`Readiness::clear`]; the caller alternates the two.
///
/// A worker that the host forked shares the open descriptor, but not the memory that says what it should show: what the
/// worker does must not change it for the agent.
#[derive(Debug)]
pub(crate) struct Readiness {
    wakeup: Wakeup,
    home: HomeProcess,
}

impl Readiness {
    /// Creates one that is not readable.
    pub(crate) fn new() -> io::Result<Readiness> {
        Ok(Readiness { wakeup: Wakeup::new()?, home: HomeProcess::here() })
    }

    /// # Errors
    /// [`crate::ErrorCode::Forked`] in a process that the host forked off.
    pub(crate) fn fd(&self) -> Result<BorrowedFd<'_>> {
        self.home.check()?;
        Ok(self.wakeup.fd())
    }

    pub(crate) fn set(&self) {
        if self.home.is_here() {
            self.wakeup.wake();
        }
    }

    pub(crate) fn clear(&self) {
        if self.home.is_here() {
            self.wakeup.drain();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use crate::sys::pid::Pid;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    fn is_readable(readiness: &Readiness) -> bool {
        let mut polled = [PollFd::from_borrowed_fd(readiness.wakeup.fd(), PollFlags::IN)];
        poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 1
    }

    #[test]
    fn forked_worker_does_not_change_the_descriptor() {
        let mut readiness = Readiness::new().unwrap();
        let worker = HomeProcess::of(Pid::from_raw(i32::MAX).unwrap());
        for readable in [false, true] {
            let agent = std::mem::replace(&mut readiness.home, worker);
            readiness.set();
            assert_eq!(is_readable(&readiness), readable);
            readiness.clear();
            assert_eq!(is_readable(&readiness), readable);
            assert_eq!(readiness.fd().unwrap_err().code(), ErrorCode::Forked);
            readiness.home = agent;
            readiness.set();
            assert!(is_readable(&readiness) && readiness.fd().is_ok());
        }
        readiness.clear();
        assert!(!is_readable(&readiness));
    }
}
