// SPDX-License-Identifier: MPL-2.0
//! The child's own table of descriptors, with no more in it than it needs.
//!
//! clone(2) copies the agent's, and what was copied is closed by the exec: with ten thousand processes, of each of which
//! the agent has a pidfd, that is most of a start. So a child shares the table at first (`CLONE_FILES`), and then takes a
//! copy of its lower part (close_range(2) with `CLOSE_RANGE_UNSHARE`, Linux 5.9).
//!
//! A table that is still shared is the agent's: nothing may be opened, closed or marked in it. So a child that has a copy
//! already tries out whether the call is there, and each child looks for a descriptor that must be missing in its own. That
//! the call ends the sharing before it closes anything is the kernel's word.

use std::ffi::{c_int, c_uint};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU8, Ordering};

use super::child_step::errno;
use crate::sys::fd::duplicate;

const UNTRIED: u8 = 0;
const WORKS: u8 = 1;
const REFUSED: u8 = 2;

/// Tables come in multiples of it. Before Linux 5.18 a copy up to anything else has descriptors at its end that are open and
/// do not count as such: the files of those would never be closed, and what was locked by one stay so.
const UNIT: c_uint = 64;

static STATE: AtomicU8 = AtomicU8::new(UNTRIED);

/// What a child does about its descriptors, prepared by the parent.
#[derive(Debug)]
pub(crate) struct FdTablePlan {
    /// This one and those above are not needed. Nothing where the child has to do with a copy of all.
    first: Option<c_uint>,
    /// One of them that is open in the parent. Taken in any case: see [`streams`](super::standard_streams).
    beyond: OwnedFd,
    is_shared: bool,
}

impl FdTablePlan {
    /// For a child that needs these descriptors, or with `None` all; `any` is open.
    ///
    /// # Errors
    /// EMFILE when there is no descriptor left.
    pub(crate) fn above(
        needed: Option<&[c_int]>,
        any: BorrowedFd<'_>,
        memory_is_shared: bool,
    ) -> io::Result<FdTablePlan> {
        let state = STATE.load(Ordering::Relaxed);
        if let Some(needed) = needed.filter(|_| state != REFUSED) {
            let first = needed.iter().fold(2, |highest, &fd| highest.max(fd)) + 1;
            let first = (first as c_uint).next_multiple_of(UNIT);
            // None is free above, or the limit is below: what is high does not come down, and what is below may be free.
            if let Ok(beyond) = duplicate(any, first as c_int) {
                return Ok(FdTablePlan { first: Some(first), beyond, is_shared: state == WORKS && memory_is_shared });
            }
        }
        Ok(FdTablePlan { first: None, beyond: duplicate(any, 3)?, is_shared: false })
    }

    #[cfg(test)]
    pub(crate) fn first(&self) -> Option<c_uint> {
        self.first
    }

    /// Whether the child begins with the descriptors of the agent, and not with a copy.
    pub(crate) fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// For another child, after this one could not leave, and the next can neither.
    pub(crate) fn give_up(&mut self) {
        (self.first, self.is_shared) = (None, false);
    }

    /// CHILD: leaves the table of the agent, or says why that was not possible; false where it is not to.
    pub(crate) fn leave(&self) -> Result<bool, c_int> {
        const CLOSE_RANGE_UNSHARE: u32 = 1 << 1;
        let Some(first) = self.first else { return Ok(false) };
        // SAFETY: no pointers are passed. Of a table that is shared a copy is made, in which these are missing.
        if unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, CLOSE_RANGE_UNSHARE) } == -1 {
            return Err(errno());
        }
        // SAFETY: no pointers are passed, and nothing is changed.
        let flags = unsafe { libc::syscall(libc::SYS_fcntl, self.beyond.as_raw_fd(), libc::F_GETFD) };
        if flags == -1 && errno() == libc::EBADF { Ok(true) } else { Err(libc::EBADF) }
    }
}

/// A child that had a copy could divide it.
pub(crate) fn works() {
    let _ = STATE.compare_exchange(UNTRIED, WORKS, Ordering::Relaxed, Ordering::Relaxed);
}

/// A child could not: it is not tried again, unless there was only no memory for it.
pub(crate) fn failed(errno: c_int) {
    if errno != libc::ENOMEM {
        STATE.store(REFUSED, Ordering::Relaxed);
    }
}
