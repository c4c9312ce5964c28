// SPDX-License-Identifier: MPL-2.0
//! What the child does between clone and exec: one line of system calls.
//!
//! It runs in the memory of the agent, on a stack of its own, while the spawner thread is suspended and the agent's
//! other threads run on; or, where vfork is emulated by fork, in a copy of that memory while the spawner thread waits.
//! So: no allocation, no lock, no panic, no library call that might do one of these. Nothing here returns an error by
//! value; a failure is an [`ChildOutcome`], which the spawner thread reads.

use std::ffi::{c_char, c_int, c_void};

use super::child_record::{SelfRecord, own_start_ticks, write_record};
use super::child_report::{ChildIdentity, ChildOutcome, ChildReport};
use super::child_step::{ChildStep, Failed, errno, pass, step};
use super::detached_report::DetachedReport;
use super::fd_limit::Limit;
use super::fd_table::FdTablePlan;
use super::oom_score::{self, RawScore};
use super::pid_variable::PidVariable;
use super::process_settings::{self, RawSettings};
use crate::sys::boot_time::BootTime;
use crate::sys::fail::{ChildPlan, child_points as points};
use crate::sys::signal::MAX_SIGNAL;
use crate::sys::signal_mask;

/// Everything that the child needs, prepared by the parent; pointers and references are to memory that outlives the
/// child's use.
#[derive(Debug)]
pub(crate) struct Instructions<'a> {
    /// Programs to try in this order, NULL-terminated.
    pub(crate) programs: *const *const c_char,
    pub(crate) argv: *const *const c_char,
    pub(crate) envp: *const *const c_char,
    /// NULL to stay in the agent's directory.
    pub(crate) dir: *const c_char,
    /// The signals that it may have ignored, as a mask, when it was cloned without the handlers of all; else all are reset.
    pub(crate) ignored: Option<u64>,
    /// Descriptors above 2 that become 0, 1 and 2.
    pub(crate) standard: [c_int; 3],
    /// The `cgroup.procs` of the cgroup that it moves itself into, unless it was cloned into one.
    pub(crate) cgroup_procs: Option<c_int>,
    pub(crate) oom_score: Option<RawScore>,
    pub(crate) credentials: Option<RawCredentials>,
    pub(crate) division: FdTablePlan,
    pub(crate) descriptor_limit: Option<Limit>,
    pub(crate) settings: &'a RawSettings,
    /// Pairs of a descriptor and the number that it gets, from 3 on: none of a descriptor here, of `report` and of `pipe`.
    pub(crate) sockets: &'a [[c_int; 2]],
    /// Where the environment is to say which pid it has.
    pub(crate) pid_variables: &'a [*mut c_char],
    /// A descriptor above 2, and the number above 2 that it gets; none of `pipe` and of what keeps that.
    pub(crate) report: Option<[c_int; 2]>,
    pub(crate) record: Option<&'a SelfRecord>,
    /// What the clock said just before the clone, where start times are known to follow it.
    pub(crate) cloned_after: Option<BootTime>,
    /// Of a process that is to be an orphan.
    pub(crate) detached: Option<DetachedReport>,
    /// Where the child leaves what went wrong.
    pub(crate) outcome: *mut ChildOutcome,
    /// And who it is, if it is detached.
    pub(crate) birth: *mut ChildIdentity,
    /// Where it writes both, when its memory may be a copy: a close-on-exec descriptor above 2.
    pub(crate) pipe: Option<c_int>,
    pub(crate) fail: ChildPlan,
}

#[derive(Debug)]
pub(crate) struct RawCredentials {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: *const u32,
    pub(crate) group_count: usize,
}

/// The child's entry point.
///
/// `argument` points to [`Instructions`] that are valid until this process executes or exits.
pub(crate) extern "C" fn run(argument: *mut c_void) -> c_int {
    // SAFETY: the parent passes its Instructions, and waits while we use them (CLONE_VFORK), or they are our own copy.
    let instructions = unsafe { &*argument.cast::<Instructions<'_>>() };
    if let Some(detached) = &instructions.detached {
        detached.await_orphanhood();
    }
    // SAFETY: `outcome` points into the waiting parent's frame; nothing else accesses it meanwhile.
    unsafe { instructions.outcome.write_volatile(ChildOutcome::BEGUN) };
    report(instructions, &prepare_and_execute(instructions));
    exit()
}

/// Says what went wrong.
pub(crate) fn report(it: &Instructions<'_>, &Failed(step, errno): &Failed) {
    let outcome = ChildOutcome::failed(step, errno);
    // SAFETY: `outcome` points into the waiting parent's frame, or its copy; nothing else accesses it meanwhile.
    unsafe { it.outcome.write_volatile(outcome) };
    write_to_pipe(it, ChildReport { outcome, birth: ChildIdentity::default() });
}

/// Says which process this is.
fn tell(it: &Instructions<'_>, start_ticks: u64) {
    // SAFETY: no pointers are passed.
    let birth = ChildIdentity { pid: unsafe { libc::syscall(libc::SYS_getpid) }, start_ticks };
    // SAFETY: `birth` points into the waiting parent's frame, or its copy; nothing else accesses it meanwhile.
    unsafe { it.birth.write_volatile(birth) };
    write_to_pipe(it, ChildReport { outcome: ChildOutcome::BEGUN, birth });
}

fn write_to_pipe(it: &Instructions<'_>, report: ChildReport) {
    if let Some(pipe) = it.pipe {
        // It fails only when the agent is dead, and then there is no reader.
        // SAFETY: the pointer and size are of one live value.
        unsafe { libc::syscall(libc::SYS_write, pipe, &raw const report, size_of::<ChildReport>()) };
    }
}

/// Ends a child that does not execute.
pub(crate) fn exit() -> ! {
    loop {
        // CHILD: exit_group and not exit(3): no atexit handler and no destructor of the agent may run here.
        // SAFETY: no pointers are passed.
        unsafe { libc::syscall(libc::SYS_exit_group, 127) };
    }
}

fn prepare_and_execute(it: &Instructions<'_>) -> Failed {
    match prepare(it) {
        Ok(()) => execute(it),
        Err(failed) => failed,
    }
}

fn prepare(it: &Instructions<'_>) -> Result<(), Failed> {
    pass(&it.fail, points::BEGUN, ChildStep::Session)?;
    // ORDER: before the mask is emptied no handler of the host may be left, for it would run in the host's memory.
    reset_dispositions(it.ignored);
    // SAFETY: no pointers are passed.
    step(ChildStep::Session, unsafe { libc::syscall(libc::SYS_setsid) })?;
    leave_table(it)?;
    // ORDER: before the record, for what has one is in its cgroup.
    if let Some(procs) = it.cgroup_procs {
        // SAFETY: the pointer and size are of one literal; "0" is the writing process.
        step(ChildStep::Cgroup, unsafe { libc::syscall(libc::SYS_write, procs, c"0".as_ptr(), 1) })?;
    }
    pass(&it.fail, points::SESSION, ChildStep::StartTime)?;
    if it.record.is_some() || it.detached.is_some() {
        let start_ticks = own_start_ticks(it.cloned_after)?;
        if it.detached.is_some() {
            tell(it, start_ticks);
        }
        if let Some(record) = it.record {
            write_record(&it.fail, record, start_ticks)?;
        }
    }
    for (to, &from) in (0..).zip(&it.standard) {
        // SAFETY: no pointers are passed; the descriptors are above 2 and open, so dup3 clears CLOEXEC.
        step(ChildStep::StandardStreams, unsafe { libc::syscall(libc::SYS_dup3, from, to, 0) })?;
    }
    close_on_exec_from(3)?;
    if !it.dir.is_null() {
        // SAFETY: `dir` is a NUL-terminated string that the waiting parent owns.
        step(ChildStep::ChangeDirectory, unsafe { libc::syscall(libc::SYS_chdir, it.dir) })?;
    }
    // ORDER: before the user changes: a lower value than the agent's is permitted to privileged users only. A detached
    // process has it from the intermediate child.
    if let (Some(score), None) = (&it.oom_score, &it.detached) {
        oom_score::set(score)?;
    }
    // ORDER: before the limits, below which they need not be.
    for &[socket, number] in it.sockets {
        open_as(ChildStep::Sockets, socket, number)?;
    }
    for &text in it.pid_variables {
        // SAFETY: the parent made it and waits, or this is our own copy.
        unsafe { PidVariable::complete(text) };
    }
    if let Some(limit) = &it.descriptor_limit {
        let wanted = libc::rlimit { rlim_cur: limit.soft, rlim_max: limit.hard };
        let (own_pid, no_old) = (0, std::ptr::null_mut::<c_void>());
        // SAFETY: `wanted` lives through the call, and a null pointer says that the old limit is not asked for.
        step(ChildStep::DescriptorLimit, unsafe {
            libc::syscall(libc::SYS_prlimit64, own_pid, libc::RLIMIT_NOFILE, &raw const wanted, no_old)
        })?;
    }
    // ORDER: before the user changes, and with the OOM score: what is above the agent's is permitted to privileged users only.
    process_settings::apply(it.settings)?;
    if let Some(credentials) = &it.credentials {
        change_user(credentials)?;
    }
    if let Some([end, number]) = it.report {
        // It is below the limit of the process, or this fails.
        open_as(ChildStep::ReportDescriptor, end, number)?;
    }
    process_settings::give_up_privileges(it.settings)?;
    signal_mask::exchange_mask(0);
    pass(&it.fail, points::EXECUTE, ChildStep::Execute)
}

/// From here on descriptors are our own. A child that cannot leave the agent's may not go on; the parent starts another
/// one then, with a copy of all.
fn leave_table(it: &Instructions<'_>) -> Result<(), Failed> {
    let is_shared = it.division.is_shared();
    if is_shared {
        pass(&it.fail, points::DIVIDE, ChildStep::Descriptors)?;
    }
    match it.division.leave() {
        // SAFETY: `outcome` points into the waiting parent's frame, or its copy; nothing else accesses it meanwhile.
        Ok(true) => unsafe { it.outcome.write_volatile(ChildOutcome::DIVIDED) },
        Err(errno) if is_shared => return Err(Failed(ChildStep::Descriptors, errno)),
        Ok(false) | Err(_) => {}
    }
    Ok(())
}

/// Gives a descriptor the number that it has in the process.
fn open_as(what: ChildStep, end: c_int, number: c_int) -> Result<(), Failed> {
    if end == number {
        // SAFETY: no pointers are passed.
        return step(what, unsafe { libc::syscall(libc::SYS_fcntl, end, libc::F_SETFD, 0) });
    }
    // The lock of the data directory may have this number: it stays open under another one until the exec.
    // SAFETY: no pointers are passed. It fails where nothing has the number.
    unsafe { libc::syscall(libc::SYS_fcntl, number, libc::F_DUPFD_CLOEXEC, 3) };
    // SAFETY: no pointers are passed; `end` is open, and dup3 clears CLOEXEC.
    step(what, unsafe { libc::syscall(libc::SYS_dup3, end, number, 0) })
}

/// Raw calls: the C library's setuid family would signal every thread of the memory that we share.
fn change_user(to: &RawCredentials) -> Result<(), Failed> {
    // SAFETY: the pointer and count are of one array that the waiting parent owns.
    step(ChildStep::Groups, unsafe { libc::syscall(libc::SYS_setgroups, to.group_count, to.groups) })?;
    // SAFETY: no pointers are passed.
    step(ChildStep::Group, unsafe { libc::syscall(libc::SYS_setresgid, to.gid, to.gid, to.gid) })?;
    // SAFETY: no pointers are passed.
    step(ChildStep::User, unsafe { libc::syscall(libc::SYS_setresuid, to.uid, to.uid, to.uid) })
}

fn execute(it: &Instructions<'_>) -> Failed {
    // As execvp(3): a program that is there but may not be executed is worth more to the reader than a missing one.
    let mut worst = libc::ENOENT;
    let mut program = it.programs;
    loop {
        // SAFETY: `programs` is NULL-terminated and this loop ends at the NULL.
        let path = unsafe { *program };
        if path.is_null() {
            return Failed(ChildStep::Execute, worst);
        }
        // SAFETY: path, argv and envp are NUL-terminated strings and NULL-terminated arrays of the waiting parent.
        unsafe { libc::syscall(libc::SYS_execve, path, it.argv, it.envp) };
        match errno() {
            libc::ENOENT | libc::ENOTDIR => {}
            libc::EACCES => worst = libc::EACCES,
            other => return Failed(ChildStep::Execute, other),
        }
        // SAFETY: `program` is before the NULL, so the next element exists.
        program = unsafe { program.add(1) };
    }
}

/// Every signal gets its default disposition: a host's handler must not run here, and an ignored SIGPIPE, SIGCHLD or
/// SIGTERM would be inherited through exec.
fn reset_dispositions(ignored: Option<u64>) {
    // The kernel's struct sigaction for SIG_DFL: all zero, whatever the order of its fields.
    let default = [0u64; 4];
    let no_old = std::ptr::null_mut::<c_void>();
    let is_reset = |number: &c_int| ignored.is_none_or(|mask| signal_mask::is_in(mask, *number));
    for number in (1..=MAX_SIGNAL).filter(is_reset) {
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
    step(ChildStep::CloseDescriptors, dir)?;
    let mut buffer = [0u64; 512];
    loop {
        let bytes = size_of_val(&buffer);
        // SAFETY: the pointer and size are of one live buffer, aligned for struct linux_dirent64.
        let filled = unsafe { libc::syscall(libc::SYS_getdents64, dir, buffer.as_mut_ptr(), bytes) };
        step(ChildStep::CloseDescriptors, filled)?;
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
