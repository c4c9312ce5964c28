// SPDX-License-Identifier: MPL-2.0
//! openat(2) and fstatat(2): system calls on a name in a directory.

use std::ffi::CStr;
use std::io::{self};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use crate::sys::{check, fd};

pub(crate) fn open_at(dir: i32, name: &CStr, flags: i32, mode: u32) -> io::Result<OwnedFd> {
    // SAFETY: the name is NUL-terminated and lives through the call.
    let raw = unsafe { libc::openat(dir, name.as_ptr(), flags | libc::O_CLOEXEC, mode) };
    fd::own(check(i64::from(raw))?)
}

/// Where the next byte of a file that is open for appending will be; `None` of what is no file with a length.
pub(crate) fn end_of(file: BorrowedFd<'_>) -> Option<u64> {
    // SAFETY: the borrowed descriptor is open through the call, which takes no pointer.
    let end = unsafe { libc::lseek(file.as_raw_fd(), 0, libc::SEEK_END) };
    u64::try_from(end).ok()
}

/// A system call and no more: a child makes it as well.
pub(crate) fn stat_at(dir: i32, name: &CStr, flags: i32) -> io::Result<libc::stat> {
    let mut found = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `name` is NUL-terminated, `found` is writable memory of the right type, and both live through the call.
    check(i64::from(unsafe { libc::fstatat(dir, name.as_ptr(), found.as_mut_ptr(), flags) }))?;
    // SAFETY: fstatat succeeded and has written the whole struct.
    Ok(unsafe { found.assume_init() })
}
