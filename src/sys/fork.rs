// SPDX-License-Identifier: MPL-2.0
//! A host that forks: the worker has a copy of our memory, and none of our threads.

use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::pid::{Pid, own_pid};
use crate::error::{Error, ErrorCode, Result};

/// The process in which a handle was made: in a worker that the host forked off, there are copies of our memory and
/// none of our threads, so whatever waits for them or for a lock of theirs would wait for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HomeProcess {
    pid: Pid,
    forks: u64,
}

/// How many forks lie between the process that has first used the library and this one. The pid alone does not tell them
/// apart: an agent that is process 1 of its namespace and a worker that is process 1 of a namespace of its own have the
/// same. A worker that was cloned without the C library keeps the count, and is told apart by its pid.
static FORKS: AtomicU64 = AtomicU64::new(0);

extern "C" fn count_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

impl HomeProcess {
    /// This process.
    pub(crate) fn here() -> HomeProcess {
        static REGISTERED: AtomicBool = AtomicBool::new(false);
        in_workers(&REGISTERED, count_fork);
        HomeProcess { pid: own_pid(), forks: FORKS.load(Ordering::Relaxed) }
    }

    /// As if it had been made in another process.
    #[cfg(test)]
    pub(crate) fn of(pid: Pid) -> HomeProcess {
        HomeProcess { pid, ..HomeProcess::here() }
    }

    /// Whether it is this process.
    pub(crate) fn is_here(self) -> bool {
        self.pid == own_pid() && self.forks == FORKS.load(Ordering::Relaxed)
    }

    /// # Errors
    /// [`ErrorCode::Forked`] in another process.
    pub(crate) fn check(self) -> Result<()> {
        if self.is_here() {
            return Ok(());
        }
        let message = format!("the handle belongs to process {}, which forked this one", self.pid);
        Err(Error::new(ErrorCode::Forked, message))
    }
}

/// Has a function called in every process that the C library's fork(3) makes of this one, before fork returns there.
pub(super) fn in_workers(registered: &AtomicBool, handler: unsafe extern "C" fn()) {
    // Not a Once, which a worker would find locked for ever if it was forked at this moment.
    if registered.swap(true, Ordering::AcqRel) {
        return;
    }
    // SAFETY: the handler is a plain function that is there as long as the library is loaded; the C library forgets it
    // when the library is unloaded.
    unsafe { libc::pthread_atfork(None, None, Some(handler)) };
}

/// A value that only its own process drops: a worker leaves it alone, with all that dropping it would wait for or tell
/// others.
#[derive(Debug)]
pub(crate) struct OnlyHome<T> {
    value: ManuallyDrop<T>,
    home: HomeProcess,
}

impl<T> OnlyHome<T> {
    pub(crate) fn new(value: T) -> OnlyHome<T> {
        OnlyHome { value: ManuallyDrop::new(value), home: HomeProcess::here() }
    }

    /// The value, wherever it is asked for.
    pub(crate) fn anywhere(&self) -> &T {
        &self.value
    }

    /// The value, for what needs its process.
    ///
    /// # Errors
    /// [`ErrorCode::Forked`] in another process.
    pub(crate) fn get(&self) -> Result<&T> {
        self.home.check().map(|()| self.anywhere())
    }
}

impl<T> Drop for OnlyHome<T> {
    fn drop(&mut self) {
        if self.home.is_here() {
            // SAFETY: this is the drop of what holds it, so it is not used again.
            unsafe { ManuallyDrop::drop(&mut self.value) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worker_with_pid_of_agent_is_not_home() {
        let agent = HomeProcess::here();
        assert!(agent.is_here());
        // SAFETY: the worker only looks and exits, without running anything of the parent's.
        let worker = unsafe { libc::fork() };
        if worker == 0 {
            let same_pid = HomeProcess { pid: own_pid(), ..agent };
            // SAFETY: ends the worker.
            unsafe { libc::_exit(i32::from(same_pid.is_here())) };
        }
        let mut status = 0;
        // SAFETY: `status` lives through the call.
        assert_eq!(unsafe { libc::waitpid(worker, &raw mut status, 0) }, worker);
        assert_eq!(status, 0, "taken for the agent");
    }
}
