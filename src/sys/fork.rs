//! A host that forks: the worker must not keep the lock of a data directory, nor believe that it has our threads.
//!
//! flock(2) belongs to the open file, which a forked worker shares until it executes something or exits. So the worker
//! closes its copy, in a handler of pthread_atfork(3); the agent's own copy, and the lock, stay. Our own children are
//! cloned without that handler and keep the lock until they execute: on purpose.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Once;
use std::sync::atomic::{AtomicI32, Ordering};

/// How many locks one process can hold at once; a further one is simply inherited by forked workers.
const PLACES: usize = 64;

const FREE: RawFd = -1;

static CLOSED_IN_WORKERS: [AtomicI32; PLACES] = [const { AtomicI32::new(FREE) }; PLACES];

/// A descriptor that forked workers of the host do not keep.
#[derive(Debug)]
pub(crate) struct NotInWorkers {
    place: Option<&'static AtomicI32>,
    fd: OwnedFd,
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
        NotInWorkers { place, fd }
    }

    pub(crate) fn as_fd(&self) -> &OwnedFd {
        &self.fd
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
