// SPDX-License-Identifier: MPL-2.0
//! The lock of an open file: flock(2).

use std::io::{self};
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::sys::{check, fail};

/// Tries to take the exclusive lock of an open file (flock(2)), without waiting; false when another has it.
pub(crate) fn try_lock(file: BorrowedFd<'_>) -> io::Result<bool> {
    fail::failing("lock:try")?;
    // SAFETY: the descriptor is open for the time of the call.
    match check(i64::from(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) })) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// Releases the lock of an open file, also for those who inherited the descriptor.
pub(crate) fn unlock(file: BorrowedFd<'_>) {
    // SAFETY: the descriptor is open for the time of the call; unlocking an open file cannot fail.
    unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_UN) };
}
