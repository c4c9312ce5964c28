//! Descriptors: kept above the three standard ones, because a child overwrites those before it executes.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

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
    // SAFETY: `fd` is open for the time of the call.
    let moved = check(i64::from(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3) }))?;
    // SAFETY: fcntl has just created `moved`; nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(moved as RawFd) })
}
