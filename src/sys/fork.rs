//! A host that forks: the worker must not keep the lock of a data directory, nor believe that it has our threads.
//!
//! flock(2) belongs to the open file, which a forked worker shares until it executes something or exits. So the worker
//! closes its copy, in a handler of pthread_atfork(3); the agent's own copy, and the lock, stay. Our own children are
//! cloned without that handler and keep the lock until they execute: on purpose.

use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Once;
use std::sync::atomic::{AtomicI32, Ordering};

use super::identity::{Pid, own_pid};
use crate::error::{Error, ErrorCode, Result};

/// The process in which a handle was made: in a worker that the host forked off, there are copies of our memory and
/// none of our threads, so whatever waits for them or for a lock of theirs would wait for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HomeProcess(Pid);

impl HomeProcess {
    /// This process.
    pub(crate) fn here() -> HomeProcess {
        HomeProcess(own_pid())
    }

    /// As if it had been made in another process.
    #[cfg(test)]
    pub(crate) fn of(pid: Pid) -> HomeProcess {
        HomeProcess(pid)
    }

    /// Whether it is this process.
    pub(crate) fn is_here(self) -> bool {
        self.0 == own_pid()
    }

    /// # Errors
    /// [`ErrorCode::Forked`] in another process.
    pub(crate) fn check(self) -> Result<()> {
        if self.is_here() {
            return Ok(());
        }
        let message = format!("the handle belongs to process {}, which forked this one", self.0);
        Err(Error::new(ErrorCode::Forked, message))
    }
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
            // SAFETY: this is the drop of what holds it, so nobody uses it again.
            unsafe { ManuallyDrop::drop(&mut self.value) };
        }
    }
}

/// How many locks one process can hold at once; a further one is simply inherited by forked workers.
const PLACES: usize = 1024;

const FREE: RawFd = -1;

static CLOSED_IN_WORKERS: [AtomicI32; PLACES] = [const { AtomicI32::new(FREE) }; PLACES];

/// A descriptor that forked workers of the host do not keep.
#[derive(Debug)]
pub(crate) struct NotInWorkers {
    place: Option<&'static AtomicI32>,
    fd: OnlyHome<OwnedFd>,
}

impl NotInWorkers {
    pub(crate) fn new(fd: OwnedFd) -> NotInWorkers {
        static REGISTERED: Once = Once::new();
        REGISTERED.call_once(|| {
            // SAFETY: the handler is a plain function that is there as long as the library is loaded; the C library
            // forgets it when the library is unloaded.
            unsafe { libc::pthread_atfork(None, None, Some(close_in_worker)) };
        });
        let raw = fd.as_raw_fd();
        let place = CLOSED_IN_WORKERS
            .iter()
            .find(|place| place.compare_exchange(FREE, raw, Ordering::AcqRel, Ordering::Relaxed).is_ok());
        NotInWorkers { place, fd: OnlyHome::new(fd) }
    }

    /// The descriptor; nothing in a worker, where another file may have its number.
    pub(crate) fn get(&self) -> Option<&OwnedFd> {
        self.fd.get().ok()
    }
}

impl Drop for NotInWorkers {
    fn drop(&mut self) {
        // ORDER: forgotten before it is closed, for the number may be given to a file of the host's at once.
        if let Some(place) = self.place {
            place.store(FREE, Ordering::Release);
        }
    }
}

extern "C" fn close_in_worker() {
    for place in &CLOSED_IN_WORKERS {
        let fd = place.load(Ordering::Acquire);
        if fd != FREE {
            // SAFETY: the number is of an OwnedFd of this library, and this process is a copy in which nothing uses
            // it again: every handle of the library refuses to work here. close(2) is async-signal-safe.
            unsafe { libc::close(fd) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::file::{self, Dir};
    use std::os::fd::AsFd;

    #[test]
    fn a_forked_worker_does_not_keep_a_lock() {
        let place = tempfile::tempdir().unwrap();
        let dir = Dir::open(place.path()).unwrap();
        let open = || OwnedFd::from(dir.open_file(c"lock", libc::O_RDWR | libc::O_CREAT).unwrap());
        let held = NotInWorkers::new(open());
        assert!(file::try_lock(held.get().unwrap().as_fd()).unwrap());
        let second = open();
        assert!(!file::try_lock(second.as_fd()).unwrap());
        let mut hold = [0; 2];
        // SAFETY: `hold` is an array of two descriptors, as pipe2 fills.
        assert_eq!(unsafe { libc::pipe2(hold.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
        // SAFETY: the worker only closes, reads and exits, without running anything of the parent's.
        let worker = unsafe { libc::fork() };
        if worker == 0 {
            let mut byte = 0u8;
            // SAFETY: as above; the read ends when the parent closes its end.
            unsafe { libc::close(hold[1]) };
            // SAFETY: one byte of live memory.
            unsafe { libc::read(hold[0], (&raw mut byte).cast(), 1) };
            // SAFETY: ends the worker.
            unsafe { libc::_exit(0) };
        }
        drop(held); // as when the agent dies: closed, not unlocked
        // The worker may not have come to its handler yet, and another test's child may be in flight.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !file::try_lock(second.as_fd()).unwrap() {
            assert!(std::time::Instant::now() < deadline, "the worker still has the lock");
            std::thread::yield_now();
        }
        for end in hold {
            // SAFETY: both ends are ours and not used again.
            unsafe { libc::close(end) };
        }
        let mut status = 0;
        // SAFETY: `status` lives through the call.
        assert_eq!(unsafe { libc::waitpid(worker, &raw mut status, 0) }, worker);
    }
}
