//! The descriptor of one reader of events, for hosts that poll.

use std::io;
use std::os::fd::BorrowedFd;

use crate::error::{Error, ErrorCode, Result};
use crate::sys::epoll::Wakeup;
use crate::sys::identity::{Pid, own_pid};

/// Polls readable from [`Readiness::set`] to [`Readiness::clear`]; whoever calls them keeps to turns.
///
/// A worker that the host forked off shares the open descriptor, though not the memory that says what it should show:
/// what is done in the worker must not show in the agent.
#[derive(Debug)]
pub(super) struct Readiness {
    wakeup: Wakeup,
    process: Pid,
}

impl Readiness {
    /// One that is not readable.
    pub(super) fn new() -> io::Result<Readiness> {
        Ok(Readiness { wakeup: Wakeup::new()?, process: own_pid() })
    }

    /// # Errors
    /// [`ErrorCode::Forked`] in a process that the host forked off.
    pub(super) fn fd(&self) -> Result<BorrowedFd<'_>> {
        if self.is_inherited() {
            let message = format!("the descriptor belongs to process {}, which forked this one", self.process);
            return Err(Error::new(ErrorCode::Forked, message));
        }
        Ok(self.wakeup.fd())
    }

    pub(super) fn set(&self) {
        if !self.is_inherited() {
            self.wakeup.wake();
        }
    }

    pub(super) fn clear(&self) {
        if !self.is_inherited() {
            self.wakeup.drain();
        }
    }

    fn is_inherited(&self) -> bool {
        self.process != own_pid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    fn is_readable(readiness: &Readiness) -> bool {
        let mut polled = [PollFd::from_borrowed_fd(readiness.wakeup.fd(), PollFlags::IN)];
        poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 1
    }

    #[test]
    fn what_a_forked_worker_does_does_not_show() {
        let mut readiness = Readiness::new().unwrap();
        let worker = Pid::from_raw(i32::MAX).unwrap();
        for readable in [false, true] {
            let agent = std::mem::replace(&mut readiness.process, worker);
            readiness.set();
            assert_eq!(is_readable(&readiness), readable);
            readiness.clear();
            assert_eq!(is_readable(&readiness), readable);
            assert_eq!(readiness.fd().unwrap_err().code(), ErrorCode::Forked);
            readiness.process = agent;
            readiness.set();
            assert!(is_readable(&readiness) && readiness.fd().is_ok());
        }
        readiness.clear();
        assert!(!is_readable(&readiness));
    }
}
