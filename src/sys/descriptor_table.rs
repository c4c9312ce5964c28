//! The child's own table of descriptors, with no more in it than it needs.
//!
//! clone(2) copies the agent's, and what was copied is closed by the exec: with ten thousand processes, of each of which
//! the agent has a pidfd, that is most of a start. So a child shares the table at first (`CLONE_FILES`), and then takes a
//! copy of its lower part (close_range(2) with `CLOSE_RANGE_UNSHARE`, Linux 5.9).
//!
//! A table that is still shared is the agent's: nothing may be opened, closed or marked in it. So whether the call does
//! what it says is first tried out by a child that has a copy already; and each child looks for a descriptor that must be
//! missing in its own.

use std::ffi::{c_int, c_uint};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU8, Ordering};

use super::check;
use super::child::errno;

const UNTRIED: u8 = 0;
const WORKS: u8 = 1;
const REFUSED: u8 = 2;

static STATE: AtomicU8 = AtomicU8::new(UNTRIED);

/// What a child does about its descriptors, prepared by the parent.
#[derive(Debug)]
pub(super) struct Division {
    /// Not needed, nor any above.
    first: c_uint,
    /// One of them that is open in the parent.
    beyond: OwnedFd,
    pub(super) is_shared: bool,
}

impl Division {
    /// For a child that needs these descriptors; `any` is open. Nothing where it has to do with a copy of all.
    ///
    /// # Errors
    /// EMFILE when there is no descriptor left to know the own table by.
    pub(super) fn above(needed: &[c_int], any: BorrowedFd<'_>, memory_is_shared: bool) -> io::Result<Option<Division>> {
        let state = STATE.load(Ordering::Relaxed);
        if state == REFUSED {
            return Ok(None);
        }
        let first = needed.iter().fold(2, |highest, &fd| highest.max(fd)) + 1;
        // SAFETY: `any` is open for the time of the call.
        let beyond = match check(i64::from(unsafe { libc::fcntl(any.as_raw_fd(), libc::F_DUPFD_CLOEXEC, first) })) {
            // The limit was lowered since, and is below what is open.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => return Ok(None),
            beyond => beyond?,
        };
        // SAFETY: fcntl has just created it; nobody else has it.
        let beyond = unsafe { OwnedFd::from_raw_fd(beyond as c_int) };
        Ok(Some(Division { first: first as c_uint, beyond, is_shared: state == WORKS && memory_is_shared }))
    }

    #[cfg(test)]
    pub(super) fn first(&self) -> c_uint {
        self.first
    }

    /// CHILD: leaves the table of the agent, or says why that was not possible.
    pub(super) fn leave(&self) -> Result<(), c_int> {
        const CLOSE_RANGE_UNSHARE: u32 = 1 << 1;
        // SAFETY: no pointers are passed. Of a table that is shared a copy is made, in which these are missing.
        if unsafe { libc::syscall(libc::SYS_close_range, self.first, u32::MAX, CLOSE_RANGE_UNSHARE) } == -1 {
            return Err(errno());
        }
        // SAFETY: no pointers are passed, and nothing is changed.
        let is_missing = unsafe { libc::syscall(libc::SYS_fcntl, self.beyond.as_raw_fd(), libc::F_GETFD) } == -1;
        if is_missing { Ok(()) } else { Err(libc::EBADF) }
    }
}

/// A child that had a copy could divide it.
pub(super) fn works() {
    let _ = STATE.compare_exchange(UNTRIED, WORKS, Ordering::Relaxed, Ordering::Relaxed);
}

/// A child could not: it is not tried again, unless there was only no memory for it.
pub(super) fn failed(errno: c_int) {
    if errno != libc::ENOMEM {
        STATE.store(REFUSED, Ordering::Relaxed);
    }
}
