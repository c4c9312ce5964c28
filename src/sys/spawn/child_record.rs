// SPDX-License-Identifier: MPL-2.0
//! How the child writes its own record, between clone and exec: system calls only, see
//! [`child_before_exec`](super::child_before_exec).

use std::ffi::{c_char, c_int};

use super::child_step::ChildStep;
use super::child_step::{Failed, errno, pass, step};
use crate::sys::boot_time::BootTime;
use crate::sys::digest;
use crate::sys::fail::{ChildPlan, child_points as points};
use crate::sys::file::stat_at;
use crate::sys::pidfd;
use crate::sys::proc::stat::Stat;

/// The record that the child writes of itself: `<head>"pid":<pid>,"start_ticks":<ticks>,"pidfd_inode":<inode>,
/// "check":"<digest>"}` and a newline; without the inode where processes have none.
#[derive(Debug)]
pub(crate) struct RawRecord {
    pub(crate) dir: c_int,
    pub(crate) temporary: *const c_char,
    pub(crate) name: *const c_char,
    pub(crate) head: *const u8,
    pub(crate) head_len: usize,
    /// Of the head.
    pub(crate) digest: u64,
    pub(crate) with_inode: bool,
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
pub(crate) fn write_record(plan: &ChildPlan, record: &RawRecord, start_ticks: u64) -> Result<(), Failed> {
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
    tail.push_check(record.digest);

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
fn overwrite(plan: &ChildPlan, record: &RawRecord, tail: &Tail) -> Result<bool, Failed> {
    let flags = libc::O_WRONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    // SAFETY: `name` is a NUL-terminated string that the waiting parent owns; `dir` is open.
    let file = unsafe { libc::syscall(libc::SYS_openat, record.dir, record.name, flags) };
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
fn write_over(plan: &ChildPlan, record: &RawRecord, file: i64, size: usize, tail: &Tail) -> Result<bool, Failed> {
    let spaces = [b' '; 64];
    let length = record.head_len + tail.len;
    let filling = size.saturating_sub(length);
    if length + filling > PAGE || filling > spaces.len() {
        return Ok(false);
    }
    pass(plan, points::RECORD_WRITE, ChildStep::Record)?;
    pass(plan, points::RECORD_RENAME, ChildStep::Record)?;
    let part = |base: *const u8, len| libc::iovec { iov_base: base.cast_mut().cast(), iov_len: len };
    let parts =
        [part(record.head, record.head_len), part(tail.text.as_ptr(), tail.len), part(spaces.as_ptr(), filling)];
    // SAFETY: each part is of memory that lives through the call, and is only read.
    let written = unsafe { libc::syscall(libc::SYS_writev, file, parts.as_ptr(), parts.len()) };
    let is_whole = written == (length + filling) as i64;
    if !is_whole {
        // What is there now is neither the one nor the other, if it cannot be replaced either.
        // SAFETY: `name` is a NUL-terminated string that the waiting parent owns; `dir` is open.
        unsafe { libc::syscall(libc::SYS_unlinkat, record.dir, record.name, 0) };
    }
    Ok(is_whole)
}

/// Writes the record to a temporary file and renames it into place.
fn replace(plan: &ChildPlan, record: &RawRecord, tail: &Tail) -> Result<(), Failed> {
    // The umask of a clone without CLONE_FS is its own; the host's must not take away the owner's rights.
    // SAFETY: no pointers are passed.
    let umask = unsafe { libc::syscall(libc::SYS_umask, 0o077) };
    let mut file = create_record(record);
    if file == -1 && errno() == libc::EEXIST {
        // What was left or planted there is removed and never opened: a pipe would hold us up, and with us the agent.
        // SAFETY: `temporary` is a NUL-terminated string that the waiting parent owns; `dir` is open.
        unsafe { libc::syscall(libc::SYS_unlinkat, record.dir, record.temporary, 0) };
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
        unsafe { libc::syscall(libc::SYS_unlinkat, record.dir, record.temporary, 0) };
    }
    // SAFETY: `file` was opened above and is not used again.
    unsafe { libc::syscall(libc::SYS_close, file) };
    written
}

fn create_record(record: &RawRecord) -> i64 {
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC;
    // SAFETY: `temporary` is a NUL-terminated string that the waiting parent owns; `dir` is open.
    unsafe { libc::syscall(libc::SYS_openat, record.dir, record.temporary, flags, 0o600) }
}

fn fill_record(plan: &ChildPlan, record: &RawRecord, file: i64, tail: &Tail) -> Result<(), Failed> {
    pass(plan, points::RECORD_WRITE, ChildStep::Record)?;
    write_all(file, record.head, record.head_len)?;
    write_all(file, tail.text.as_ptr(), tail.len)?;
    pass(plan, points::RECORD_RENAME, ChildStep::Record)?;
    // SAFETY: the waiting parent owns both NUL-terminated strings; `dir` is open.
    step(ChildStep::Record, unsafe {
        libc::syscall(libc::SYS_renameat2, record.dir, record.temporary, record.dir, record.name, 0)
    })
}

fn write_all(file: i64, mut from: *const u8, mut left: usize) -> Result<(), Failed> {
    while left > 0 {
        // SAFETY: `from` has `left` readable bytes: both only ever move together.
        let written = unsafe { libc::syscall(libc::SYS_write, file, from, left) };
        step(ChildStep::Record, written)?;
        let written = (written as usize).min(left);
        // SAFETY: at most `left` further on is within, or one past, the same memory.
        from = unsafe { from.add(written) };
        left -= written;
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

    /// Ends the record with the digest of all that is before.
    fn push_check(&mut self, head: u64) {
        let digest = self.text.get(..self.len).map_or(head, |text| digest::add(head, text));
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
