//! What the child does between clone and exec: one line of system calls.
//!
//! It runs in the memory of the agent, on a stack of its own, while the spawner thread is suspended and the agent's
//! other threads run on; or, where vfork is emulated by fork, in a copy of that memory while the spawner thread waits.
//! So: no allocation, no lock, no panic, no library call that might do one of these. Nothing here returns an error by
//! value; a failure is an [`Outcome`], which the spawner thread reads.

use std::ffi::{c_char, c_int, c_void};

use super::boot_time::BootTime;
use super::digest;
use super::fail::{ChildPlan, child as points};
use super::limits::Limit;
use super::outcome::{Outcome, Step};
use super::stat::Stat;
use super::{pidfd, signal};

/// Everything that the child needs, prepared by the parent; the pointers are to memory that outlives the child's use.
#[derive(Debug)]
pub(super) struct Instructions {
    /// Programs to try in this order, NULL-terminated.
    pub(super) programs: *const *const c_char,
    pub(super) argv: *const *const c_char,
    pub(super) envp: *const *const c_char,
    /// NULL to stay in the agent's directory.
    pub(super) dir: *const c_char,
    /// Descriptors above 2 that become 0, 1 and 2.
    pub(super) standard: [c_int; 3],
    pub(super) credentials: Option<RawCredentials>,
    pub(super) descriptors: Option<Limit>,
    pub(super) record: Option<RawRecord>,
    /// Where the child leaves what went wrong.
    pub(super) outcome: *mut Outcome,
    /// Where it writes the same, when its memory may be a copy: a close-on-exec descriptor above 2.
    pub(super) pipe: Option<c_int>,
    pub(super) fail: ChildPlan,
}

#[derive(Debug)]
pub(super) struct RawCredentials {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: *const u32,
    pub(super) group_count: usize,
}

/// The record that the child writes of itself: `<head>"pid":<pid>,"start_ticks":<ticks>,"pidfd_inode":<inode>,
/// "check":"<digest>"}` and a newline; without the inode where processes have none.
#[derive(Debug)]
pub(super) struct RawRecord {
    pub(super) dir: c_int,
    pub(super) temporary: *const c_char,
    pub(super) name: *const c_char,
    pub(super) head: *const u8,
    pub(super) head_len: usize,
    /// Of the head.
    pub(super) digest: u64,
    pub(super) with_inode: bool,
    /// What the clock said just before the clone, where start times are known to follow it.
    pub(super) cloned_after: Option<BootTime>,
}

/// A failed step, on its way to [`Outcome`].
struct Failed(Step, c_int);

/// The child's entry point.
///
/// `argument` points to [`Instructions`] that are valid until this process executes or exits.
pub(super) extern "C" fn run(argument: *mut c_void) -> c_int {
    // SAFETY: the parent passes its Instructions, and waits while we use them (CLONE_VFORK), or they are our own copy.
    let instructions = unsafe { &*argument.cast::<Instructions>() };
    // SAFETY: `outcome` points into the waiting parent's frame; nobody else accesses it meanwhile.
    unsafe { instructions.outcome.write_volatile(Outcome::BEGUN) };
    let Failed(step, errno) = prepare_and_execute(instructions);
    let outcome = Outcome::failed(step, errno);
    // SAFETY: as above.
    unsafe { instructions.outcome.write_volatile(outcome) };
    if let Some(pipe) = instructions.pipe {
        // It fails only when the agent is dead, and then there is nobody to tell.
        // SAFETY: the pointer and size are of one live value.
        unsafe { libc::syscall(libc::SYS_write, pipe, &raw const outcome, size_of::<Outcome>()) };
    }
    loop {
        // CHILD: exit_group and not exit(3): no atexit handler and no destructor of the agent may run here.
        // SAFETY: no pointers are passed.
        unsafe { libc::syscall(libc::SYS_exit_group, 127) };
    }
}

fn prepare_and_execute(it: &Instructions) -> Failed {
    match prepare(it) {
        Ok(()) => execute(it),
        Err(failed) => failed,
    }
}

/// Passes a fail point.
fn pass(it: &Instructions, point: u32, before: Step) -> Result<(), Failed> {
    match it.fail.point(point) {
        0 => Ok(()),
        errno => Err(Failed(before, errno)),
    }
}

fn prepare(it: &Instructions) -> Result<(), Failed> {
    pass(it, points::BEGUN, Step::Session)?;
    // ORDER: before the mask is emptied no handler of the host may be left, for it would run in the host's memory.
    reset_dispositions();
    // SAFETY: no pointers are passed.
    step(Step::Session, unsafe { libc::syscall(libc::SYS_setsid) })?;
    pass(it, points::SESSION, Step::StartTime)?;
    if let Some(record) = &it.record {
        write_record(it, record)?;
    }
    for (to, &from) in (0..).zip(&it.standard) {
        // SAFETY: no pointers are passed; the descriptors are above 2 and open, so dup3 clears CLOEXEC.
        step(Step::StandardStreams, unsafe { libc::syscall(libc::SYS_dup3, from, to, 0) })?;
    }
    close_on_exec_from(3)?;
    if !it.dir.is_null() {
        // SAFETY: `dir` is a NUL-terminated string that the waiting parent owns.
        step(Step::ChangeDirectory, unsafe { libc::syscall(libc::SYS_chdir, it.dir) })?;
    }
    if let Some(credentials) = &it.credentials {
        change_user(credentials)?;
    }
    if let Some(limit) = &it.descriptors {
        let wanted = libc::rlimit { rlim_cur: limit.soft, rlim_max: limit.hard };
        let (nobody, no_old) = (0, std::ptr::null_mut::<c_void>());
        // SAFETY: `wanted` lives through the call, and a null pointer says that the old limit is not asked for.
        step(Step::DescriptorLimit, unsafe {
            libc::syscall(libc::SYS_prlimit64, nobody, libc::RLIMIT_NOFILE, &raw const wanted, no_old)
        })?;
    }
    signal::exchange_mask(0);
    pass(it, points::EXECUTE, Step::Execute)
}

/// Raw calls: the C library's setuid family would signal every thread of the memory that we share.
fn change_user(to: &RawCredentials) -> Result<(), Failed> {
    // SAFETY: the pointer and count are of one array that the waiting parent owns.
    step(Step::Groups, unsafe { libc::syscall(libc::SYS_setgroups, to.group_count, to.groups) })?;
    // SAFETY: no pointers are passed.
    step(Step::Group, unsafe { libc::syscall(libc::SYS_setresgid, to.gid, to.gid, to.gid) })?;
    // SAFETY: no pointers are passed.
    step(Step::User, unsafe { libc::syscall(libc::SYS_setresuid, to.uid, to.uid, to.uid) })
}

fn execute(it: &Instructions) -> Failed {
    // As execvp(3): a program that is there but may not be executed is worth more to the reader than a missing one.
    let mut worst = libc::ENOENT;
    let mut program = it.programs;
    loop {
        // SAFETY: `programs` is NULL-terminated and this loop ends at the NULL.
        let path = unsafe { *program };
        if path.is_null() {
            return Failed(Step::Execute, worst);
        }
        // SAFETY: path, argv and envp are NUL-terminated strings and NULL-terminated arrays of the waiting parent.
        unsafe { libc::syscall(libc::SYS_execve, path, it.argv, it.envp) };
        match errno() {
            libc::ENOENT | libc::ENOTDIR => {}
            libc::EACCES => worst = libc::EACCES,
            other => return Failed(Step::Execute, other),
        }
        // SAFETY: `program` is before the NULL, so the next element exists.
        program = unsafe { program.add(1) };
    }
}

/// Every signal gets its default disposition: a host's handler must not run here, and an ignored SIGPIPE, SIGCHLD or
/// SIGTERM would be inherited through exec.
fn reset_dispositions() {
    // The kernel's struct sigaction for SIG_DFL: all zero, whatever the order of its fields.
    let default = [0u64; 4];
    let no_old = std::ptr::null_mut::<c_void>();
    for number in 1..=signal::MAX_SIGNAL {
        // SIGKILL and SIGSTOP refuse, and have no other disposition.
        // SAFETY: `default` is at least as large as the kernel's struct; 8 is the size of its signal set.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, number, default.as_ptr(), no_old, 8) };
    }
}

/// Nothing of the agent's may stay open in the process: not its sockets, not the lock of the data directory.
fn close_on_exec_from(first: u32) -> Result<(), Failed> {
    const CLOSE_RANGE_CLOEXEC: u32 = 1 << 2;
    if !cfg!(proxyprocess_no_pidfd) {
        // SAFETY: no pointers are passed.
        if unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, CLOSE_RANGE_CLOEXEC) } == 0 {
            return Ok(());
        }
    }
    // Before Linux 5.11, or refused by a sandbox: one by one, as /proc names them.
    // SAFETY: the path is a NUL-terminated literal.
    let dir = unsafe {
        let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
        libc::syscall(libc::SYS_openat, libc::AT_FDCWD, c"/proc/self/fd".as_ptr(), flags)
    };
    step(Step::CloseDescriptors, dir)?;
    let mut buffer = [0u64; 512];
    loop {
        let bytes = size_of_val(&buffer);
        // SAFETY: the pointer and size are of one live buffer, aligned for struct linux_dirent64.
        let filled = unsafe { libc::syscall(libc::SYS_getdents64, dir, buffer.as_mut_ptr(), bytes) };
        step(Step::CloseDescriptors, filled)?;
        if filled == 0 {
            return Ok(()); // `dir` itself is close-on-exec
        }
        mark_entries(&buffer, filled as usize, first);
    }
}

/// Marks the descriptors that a buffer of struct linux_dirent64 names: ino, off (8 bytes each), reclen (2), type, name.
fn mark_entries(buffer: &[u64], filled: usize, first: u32) {
    let mut at = 0;
    while at + 19 < filled {
        let byte = |offset: usize| -> u8 {
            let word = buffer.get(offset / 8).copied().unwrap_or(0).to_ne_bytes();
            word.get(offset % 8).copied().unwrap_or(0)
        };
        let length = usize::from(u16::from_ne_bytes([byte(at + 16), byte(at + 17)]));
        let mut number = 0u32;
        let mut offset = at + 19;
        while byte(offset).is_ascii_digit() {
            number = number.wrapping_mul(10).wrapping_add(u32::from(byte(offset) - b'0'));
            offset += 1;
        }
        if number >= first {
            // SAFETY: no pointers are passed.
            unsafe { libc::syscall(libc::SYS_fcntl, number, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
        if length == 0 {
            return;
        }
        at += length;
    }
}

/// Writes who we are to a temporary file and renames it into place, so that a record is whole or not there.
fn write_record(it: &Instructions, record: &RawRecord) -> Result<(), Failed> {
    // Reading it takes a tenth of the time of a start.
    let start_ticks = match record.cloned_after.and_then(|before| before.start_ticks_if_now_is(BootTime::now()?)) {
        Some(ticks) => ticks,
        None => read_own_stat()?.start_ticks,
    };
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

    pass(it, points::RECORD_OPEN, Step::Record)?;
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
    let opened = step(Step::Record, file);
    // SAFETY: no pointers are passed.
    unsafe { libc::syscall(libc::SYS_umask, umask) };
    opened?;
    let written = fill_record(it, record, file, &tail);
    if written.is_err() {
        // Nobody else would remove it before the next start, which may never be.
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

fn fill_record(it: &Instructions, record: &RawRecord, file: i64, tail: &Tail) -> Result<(), Failed> {
    pass(it, points::RECORD_WRITE, Step::Record)?;
    write_all(file, record.head, record.head_len)?;
    write_all(file, tail.text.as_ptr(), tail.len)?;
    pass(it, points::RECORD_RENAME, Step::Record)?;
    // SAFETY: the waiting parent owns both NUL-terminated strings; `dir` is open.
    step(Step::Record, unsafe {
        libc::syscall(libc::SYS_renameat2, record.dir, record.temporary, record.dir, record.name, 0)
    })?;
    pass(it, points::RECORD_RENAMED, Step::StandardStreams)
}

fn write_all(file: i64, mut from: *const u8, mut left: usize) -> Result<(), Failed> {
    while left > 0 {
        // SAFETY: `from` has `left` readable bytes: both only ever move together.
        let written = unsafe { libc::syscall(libc::SYS_write, file, from, left) };
        step(Step::Record, written)?;
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
    step(Step::StartTime, file)?;
    let mut text = [0u8; 1024];
    // SAFETY: the pointer and length are of one live buffer.
    let length = unsafe { libc::syscall(libc::SYS_read, file, text.as_mut_ptr(), text.len()) };
    step(Step::StartTime, length)?;
    // SAFETY: `file` was opened above and is not used again.
    unsafe { libc::syscall(libc::SYS_close, file) };
    let read = text.get(..length as usize).unwrap_or(&[]);
    Stat::parse(read).ok_or(Failed(Step::StartTime, libc::EIO))
}

fn own_inode(pid: i64) -> Result<u64, Failed> {
    // SAFETY: no pointers are passed.
    let opened = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    step(Step::Inode, opened)?;
    let inode = pidfd::inode_of(opened as c_int);
    // SAFETY: it was opened above and is not used again.
    unsafe { libc::syscall(libc::SYS_close, opened) };
    inode.map_err(|error| Failed(Step::Inode, error.raw_os_error().unwrap_or(libc::EIO)))
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

fn step(step: Step, result: i64) -> Result<(), Failed> {
    if result == -1 { Err(Failed(step, errno())) } else { Ok(()) }
}

fn errno() -> c_int {
    // SAFETY: the function has no preconditions.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: it is this thread's errno, which the child shares with the waiting spawner thread only, or its copy.
    unsafe { *place }
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
