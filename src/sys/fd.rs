// SPDX-License-Identifier: MPL-2.0
//! Descriptors: kept above the three standard ones, because a child overwrites those before it executes.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::check;
use super::pid::own_pid;

/// Takes ownership of a descriptor that a system call has just returned, and moves it above the standard ones.
///
/// A host may run with 0, 1 and 2 closed; a lock or directory that landed there would be replaced in every child
/// between clone and exec.
pub(super) fn own(raw: i64) -> io::Result<OwnedFd> {
    // SAFETY: the caller passes the fresh result of a system call that creates a descriptor; nothing else has it.
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
pub(crate) fn duplicate(fd: BorrowedFd<'_>, from: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the descriptor is open for the time of the call.
    let duplicate = check(i64::from(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, from) }))?;
    // SAFETY: fcntl has just created it; nothing else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(duplicate as RawFd) })
}

/// The same open file as one of the agent's, by its number, which another thread of the host may close meanwhile.
///
/// # Errors
/// EBADF: the agent has none of this number.
pub(crate) fn duplicate_of_agent(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: no pointers are passed; where nothing has the number the call fails.
    let duplicate = check(i64::from(unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) }))?;
    // SAFETY: fcntl has just created it; nothing else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(duplicate as RawFd) })
}

/// Whether a descriptor is open for writing.
pub(crate) fn is_writable(fd: BorrowedFd<'_>) -> bool {
    // SAFETY: no pointers are passed.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    flags != -1 && flags & libc::O_PATH == 0 && flags & libc::O_ACCMODE != libc::O_RDONLY
}

/// Whether two descriptors are of one open file (kcmp(2)). Where the kernel does not compare, two that are of the same inode
/// and were opened in the same way are taken for one, as by systemd.
pub(crate) fn is_same_file(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    // KCMP_FILE of linux/kcmp.h.
    const FILE: libc::c_int = 0;
    let (own, one, other) = (own_pid().as_raw(), one.as_raw_fd(), other.as_raw_fd());
    // SAFETY: no pointers are passed.
    let order = unsafe { libc::syscall(libc::SYS_kcmp, own, own, FILE, one, other) };
    if order != -1 {
        return order == 0;
    }
    // SAFETY: no pointers are passed.
    let mode = |fd| unsafe { libc::fcntl(fd, libc::F_GETFL) };
    file_number(one).is_some_and(|file| file_number(other) == Some(file)) && mode(one) == mode(other)
}

/// What tells an open file from all others that are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileNumber {
    pub(super) device: u64,
    pub(super) inode: u64,
}

/// Device and inode of an open file, where they can be known.
pub(crate) fn number_of_file(fd: BorrowedFd<'_>) -> Option<(u64, u64)> {
    file_number(fd.as_raw_fd()).map(|found| (found.device, found.inode))
}

/// Which file has this number; `None` where it has none, or where that cannot be known. Async-signal-safe, and does not
/// wait for a file system that does not answer (AT_STATX_DONT_SYNC): it may run in a worker that the host has just forked.
pub(crate) fn file_number(fd: RawFd) -> Option<FileNumber> {
    let mut found = MaybeUninit::<libc::statx>::zeroed();
    let flags = libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC;
    // SAFETY: the path is a string that ends, `found` is writable memory of the right type, and both live through the
    // call.
    let result =
        unsafe { libc::syscall(libc::SYS_statx, fd, c"".as_ptr(), flags, libc::STATX_INO, found.as_mut_ptr()) };
    if result == 0 {
        // SAFETY: zeroed, of which all bytes are valid, and filled by statx.
        let found = unsafe { found.assume_init() };
        let device = libc::makedev(found.stx_dev_major, found.stx_dev_minor);
        return Some(FileNumber { device, inode: found.stx_ino });
    }
    // Before Linux 4.11, and in sandboxes that do not know the call.
    let mut found = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `found` is writable memory of the right type that lives through the call.
    if unsafe { libc::fstat(fd, found.as_mut_ptr()) } == -1 {
        return None;
    }
    // SAFETY: fstat succeeded and has written the whole struct.
    let found = unsafe { found.assume_init() };
    Some(FileNumber { device: found.st_dev, inode: found.st_ino })
}
