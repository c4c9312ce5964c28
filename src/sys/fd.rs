//! Descriptors: kept above the three standard ones, because a child overwrites those before it executes.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::check;

/// Takes ownership of a descriptor that a system call has just returned, and moves it above the standard ones.
///
/// A host may run with 0, 1 and 2 closed; a lock or directory that landed there would be replaced in every child
/// between clone and exec.
pub(super) fn own(raw: i64) -> io::Result<OwnedFd> {
    // SAFETY: the caller passes the fresh result of a system call that creates a descriptor; nobody else has it.
    let fd = unsafe { OwnedFd::from_raw_fd(raw as RawFd) };
    above_standard(fd)
}

/// The same open file under a number above 2.
pub(super) fn above_standard(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() > 2 {
        return Ok(fd);
    }
    duplicate(fd.as_fd(), 3)
}

/// The same open file under the lowest free number from this one on.
pub(super) fn duplicate(fd: BorrowedFd<'_>, from: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the descriptor is open for the time of the call.
    let duplicate = check(i64::from(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, from) }))?;
    // SAFETY: fcntl has just created it; nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(duplicate as RawFd) })
}
