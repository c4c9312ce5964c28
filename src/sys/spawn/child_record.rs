// SPDX-License-Identifier: MPL-2.0
//! How the child writes its own record, between clone and exec: system calls only, see
//! [`child_before_exec`](super::child_before_exec).

use std::ffi::{CString, c_int};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::PathBuf;
use std::sync::Arc;

use super::child_step::ChildStep;
use super::child_step::{Failed, errno, pass, step};
use crate::sys::boot_time::BootTime;
use crate::sys::digest;
use crate::sys::fail::{ChildPlan, child_points as points};
use crate::sys::file::{Dir, stat_at};
use crate::sys::pidfd;
use crate::sys::proc::stat::Stat;

/// The record that the child writes of itself, as the parent prepares it: `<head>"pid":<pid>,"start_ticks":<ticks>,
/// "pidfd_inode":<inode>,"check":"<digest>"}` and a newline; without the inode where processes have none. The child only
/// reads it: in the memory of the waiting parent, or in its own copy.
#[derive(Debug)]
pub(crate) struct SelfRecord {
    pub(crate) dir: Arc<Dir>,
    /// The lock of the data directory, which the child keeps until it executes.
    pub(crate) lock: Vec<RawFd>,
    pub(crate) temporary: CString,
    pub(crate) name: CString,
    /// Where both are, for messages.
    pub(crate) within: PathBuf,
    /// A JSON object without its last members and its end.
    pub(crate) head: Vec<u8>,
    pub(crate) with_inode: bool,
}

impl SelfRecord {
    /// The descriptor of the directory.
    pub(crate) fn dir_fd(&self) -> RawFd {
        self.dir.as_fd().as_raw_fd()
    }

    /// The file that a failure is about: only what cannot be removed and has the temporary name is in its way.
    pub(crate) fn shown(&self, errno: i32) -> String {
        let name = if errno == libc::EEXIST { &self.temporary } else { &self.name };
        self.within.join(name.to_string_lossy().as_ref()).display().to_string()
    }
}

/// What is longer than a page is not written at once.
const PAGE: usize = 4096;

/// When we were started. `cloned_after` is a time before that, where start times are known to follow the clock.
pub(crate) fn own_start_ticks(cloned_after: Option<BootTime>) -> Result<u64, Failed> {
    // Reading it takes a tenth of the time of a start.
    match cloned_after.and_then(|before| before.start_ticks_if_now_is(BootTime::now()?)) {
        Some(ticks) => Ok(ticks),
        None => Ok(read_own_stat()?.start_ticks),
    }
}

/// Writes who we are, so that a record is whole or not there.
pub(crate) fn write_record(plan: &ChildPlan, record: &SelfRecord, start_ticks: u64) -> Result<(), Failed> {
    // SAFETY: no pointers are passed.
    let pid = unsafe { libc::syscall(libc::SYS_getpid) };
    let mut tail = Tail { text: [0; 160], len: 0 };
    tail.push(b"\"pid\":");
    tail.push_number(pid as u64);
    tail.push(b",\"start_ticks\":");
    tail.push_number(start_ticks);
    if record.with_inode {
        tail.push(b",\"pidfd_inode\":");
        tail.push_number(own_inode(pid)?);
    }
    tail.push_check(&record.head);

    pass(plan, points::RECORD_OPEN, ChildStep::Record)?;
    if !overwrite(plan, record, &tail)? {
        replace(plan, record, &tail)?;
    }
    pass(plan, points::RECORD_RENAMED, ChildStep::StandardStreams)
}

/// Writes the record over that of the process before us, which is gone; false if there is none, or none that this can be
/// done with.
///
/// A new file in its place takes a file system as long as the rest of a start: it looks for an inode, and writes a file
/// that replaces another to the disk at once (ext4, btrfs). No reader sees half of it: a write within a page is not
/// interrupted, and the next agent, which reads records, waits for us to execute, since until then we have the directory's lock.
fn overwrite(plan: &ChildPlan, record: &SelfRecord, tail: &Tail) -> Result<bool, Failed> {
    let flags = libc::O_WRONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    // SAFETY: `name` is a NUL-terminated string that the waiting parent owns; `dir` is open.
    let file = unsafe { libc::syscall(libc::SYS_openat, record.dir_fd(), record.name.as_ptr(), flags) };
    if file == -1 {
        return Ok(false);
    }
    let written = own_size(file).map_or(Ok(false), |size| write_over(plan, record, file, size, tail));
    // SAFETY: `file` was opened above and is not used again.
    unsafe { libc::syscall(libc::SYS_close, file) };
    written
}

/// The size of a file that is this user's alone, and has no other name.
fn own_size(file: i64) -> Option<usize> {
    let found = stat_at(file as c_int, c"", libc::AT_EMPTY_PATH).ok()?;
    // SAFETY: no pointers are passed.
    let us = unsafe { libc::syscall(libc::SYS_geteuid) };
    let ours = found.st_mode == libc::S_IFREG | 0o600 && found.st_nlink == 1 && i64::from(found.st_uid) == us;
    if ours { usize::try_from(found.st_size).ok() } else { None }
}

/// What was longer is filled up with spaces.
fn write_over(plan: &ChildPlan, record: &SelfRecord, file: i64, size: usize, tail: &Tail) -> Result<bool, Failed> {
    let spaces = [b' '; 64];
    let length = record.head.len() + tail.len;
    let Some(filling) = spaces.get(..size.saturating_sub(length)) else { return Ok(false) };
    if length + filling.len() > PAGE {
        return Ok(false);
    }
    pass(plan, points::RECORD_WRITE, ChildStep::Record)?;
    pass(plan, points::RECORD_RENAME, ChildStep::Record)?;
    let part = |bytes: &[u8]| libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let parts = [part(&record.head), part(tail.as_bytes()), part(filling)];
    // SAFETY: each part is of memory that lives through the call, and is only read.
    let written = unsafe { libc::syscall(libc::SYS_writev, file, parts.as_ptr(), parts.len()) };
    let is_whole = written == (length + filling.len()) as i64;
    if !is_whole {
        // What is there now is neither the one nor the other, if it cannot be replaced either.
        // SAFETY: `name` is a NUL-terminated string that the waiting parent owns; `dir` is open.
        unsafe { libc::syscall(libc::SYS_unlinkat, record.dir_fd(), record.name.as_ptr(), 0) };
    }
    Ok(is_whole)
}

/// Writes the record to a temporary file and renames it into place.
fn replace(plan: &ChildPlan, record: &SelfRecord, tail: &Tail) -> Result<(), Failed> {
    // The umask of a clone without CLONE_FS is its own; the host's must not take away the owner's rights.
    // SAFETY: no pointers are passed.
    let umask = unsafe { libc::syscall(libc::SYS_umask, 0o077) };
    let mut file = create_record(record);
    if file == -1 && errno() == libc::EEXIST {
        // What was left or planted there is removed and never opened: a pipe would hold us up, and with us the agent.
        // SAFETY: `temporary` is a NUL-terminated string that the waiting parent owns; `dir` is open.
        unsafe { libc::syscall(libc::SYS_unlinkat, record.dir_fd(), record.temporary.as_ptr(), 0) };
        file = create_record(record);
    }
    let opened = step(ChildStep::Record, file);
    // SAFETY: no pointers are passed.
    unsafe { libc::syscall(libc::SYS_umask, umask) };
    opened?;
    let written = fill_record(plan, record, file, tail);
    if written.is_err() {
        // It would not be removed before the next start, which may never be.
        // SAFETY: `temporary` is a NUL-terminated string that the waiting parent owns; `dir` is open.
        unsafe { libc::syscall(libc::SYS_unlinkat, record.dir_fd(), record.temporary.as_ptr(), 0) };
    }
    // SAFETY: `file` was opened above and is not used again.
    unsafe { libc::syscall(libc::SYS_close, file) };
    written
}

fn create_record(record: &SelfRecord) -> i64 {
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC;
    // SAFETY: `temporary` is a NUL-terminated string that the waiting parent owns; `dir` is open.
    unsafe { libc::syscall(libc::SYS_openat, record.dir_fd(), record.temporary.as_ptr(), flags, 0o600) }
}

fn fill_record(plan: &ChildPlan, record: &SelfRecord, file: i64, tail: &Tail) -> Result<(), Failed> {
    pass(plan, points::RECORD_WRITE, ChildStep::Record)?;
    write_all(file, &record.head)?;
    write_all(file, tail.as_bytes())?;
    pass(plan, points::RECORD_RENAME, ChildStep::Record)?;
    let (dir, temporary, name) = (record.dir_fd(), record.temporary.as_ptr(), record.name.as_ptr());
    // SAFETY: the waiting parent owns both NUL-terminated strings; `dir` is open.
    step(ChildStep::Record, unsafe { libc::syscall(libc::SYS_renameat2, dir, temporary, dir, name, 0) })
}

fn write_all(file: i64, mut left: &[u8]) -> Result<(), Failed> {
    while !left.is_empty() {
        // SAFETY: the pointer and length are of one slice, which lives through the call and is only read.
        let written = unsafe { libc::syscall(libc::SYS_write, file, left.as_ptr(), left.len()) };
        step(ChildStep::Record, written)?;
        left = left.get(written as usize..).unwrap_or_default();
    }
    Ok(())
}

fn read_own_stat() -> Result<Stat, Failed> {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: the path is a NUL-terminated literal.
    let file = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, c"/proc/self/stat".as_ptr(), flags) };
    step(ChildStep::StartTime, file)?;
    let mut text = [0u8; 1024];
    // SAFETY: the pointer and length are of one live buffer.
    let length = unsafe { libc::syscall(libc::SYS_read, file, text.as_mut_ptr(), text.len()) };
    step(ChildStep::StartTime, length)?;
    // SAFETY: `file` was opened above and is not used again.
    unsafe { libc::syscall(libc::SYS_close, file) };
    let read = text.get(..length as usize).unwrap_or(&[]);
    Stat::parse(read).ok_or(Failed(ChildStep::StartTime, libc::EIO))
}

fn own_inode(pid: i64) -> Result<u64, Failed> {
    // SAFETY: no pointers are passed.
    let opened = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    step(ChildStep::Inode, opened)?;
    let inode = pidfd::inode_of(opened as c_int);
    // SAFETY: it was opened above and is not used again.
    unsafe { libc::syscall(libc::SYS_close, opened) };
    inode.map_err(|error| Failed(ChildStep::Inode, error.raw_os_error().unwrap_or(libc::EIO)))
}

/// Text of bounded length without allocation; what does not fit is left out, and a record without its end is void.
struct Tail {
    text: [u8; 160],
    len: usize,
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if let Some(place) = self.text.get_mut(self.len) {
                *place = byte;
                self.len += 1;
            }
        }
    }

    fn as_bytes(&self) -> &[u8] {
        self.text.get(..self.len).unwrap_or_default()
    }

    /// Ends the record with the digest of all that is before.
    fn push_check(&mut self, head: &[u8]) {
        let digest = digest::add(digest::add(digest::EMPTY, head), self.as_bytes());
        self.push(b",\"check\":\"");
        for at in (0..16).rev() {
            let digit = (digest >> (4 * at) & 0xf) as u8;
            self.push(&[if digit < 10 { b'0' + digit } else { b'a' - 10 + digit }]);
        }
        self.push(b"\"}\n");
    }

    fn push_number(&mut self, number: u64) {
        let mut divisor = 10_000_000_000_000_000_000u64;
        let mut started = false;
        while divisor > 0 {
            let digit = (number / divisor % 10) as u8;
            started |= digit != 0 || divisor == 1;
            if started {
                self.push(&[b'0' + digit]);
            }
            divisor /= 10;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_decimal() {
        for number in [0, 7, 10, 1_000_001, u64::MAX] {
            let mut tail = Tail { text: [0; 160], len: 0 };
            tail.push_number(number);
            assert_eq!(&tail.text[..tail.len], number.to_string().as_bytes());
        }
    }
}
