// SPDX-License-Identifier: MPL-2.0
//! Starting a process that is an orphan before it executes: an intermediate child clones it and exits.
//!
//! A program can ask to be killed when the thread that started it ends (`PR_SET_PDEATHSIG`, prctl(2)). It is not killed
//! when its parent is no thread of the agent: what has lost its parent is given to the nearest of its ancestors that is a
//! subreaper (`PR_SET_CHILD_SUBREAPER`), or to init.
//!
//! 1. The spawner thread clones the intermediate child as a vfork: it does not go on before that child has exited.
//! 2. The intermediate child sets the OOM score of the process as its own, clones the process, which inherits it, opens its
//!    pidfd in the agent's table of descriptors, which it shares, and exits. It does not reap the process, so until then no
//!    other one can have the pid.
//! 3. The process does nothing but ask who its parent is, until that is no longer the intermediate child. From there on
//!    it is as any child of the agent: it writes its record and executes.
//! 4. The spawner thread waits in a futex. The kernel wakes it when the process no longer has the agent's memory
//!    (`CLONE_CHILD_CLEARTID`), because it has executed or ended: the instant at which the parent of a vfork goes on.
//!
//! All three have the same memory and, with it, the same `errno`. So never two of them make calls at the same time that
//! can fail: the process begins when the intermediate child is gone, and the spawner thread only waits meanwhile.
//! Rejected: a fork, which takes the longer the more memory the agent has (0.1 s for 8 GiB) and holds up all of its
//! threads; and `CLONE_PARENT`, which makes the process a child of the agent's own parent.
//!
//! Where vfork is only a fork (see [`child_report`]), each has a copy of everything, and the process tells who
//! it is through the pipe. There, and where a sandbox refuses to share the table, the spawner thread opens the pidfd.
//!
//! The intermediate child sends no signal when it ends: neither a handler of SIGCHLD nor a wait for any child in the host
//! sees it.

use std::ffi::{c_int, c_void};
use std::io;
use std::sync::atomic::Ordering;

use super::child_before_exec::{self, Instructions};
use super::child_report::{self, ChildOutcome, ChildReport, VFORK};
use super::child_stack::ChildStack;
use super::child_step::ChildStep;
use super::child_step::{Failed, pass, step};
use super::detached_report::DetachedReport;
use super::oom_score;
use crate::sys::fail::child_points as points;
use crate::sys::pid::Pid;
use crate::sys::signal_mask::MaskGuard;
use crate::sys::{check, is_refused, pidfd, wait};

/// Finds out whether vfork is what it promises to be, if that is not known yet, and prepares a start.
///
/// # Errors
/// When no process can be cloned.
pub(crate) fn prepare(stack: &mut ChildStack) -> io::Result<DetachedReport> {
    if !child_report::memory_is_shared() {
        try_vfork_out(stack)?;
    }
    Ok(DetachedReport::new(stack.top_beside_intermediate(), child_report::memory_is_shared(), pidfd::is_supported()))
}

/// Has a child write into our memory.
fn try_vfork_out(stack: &mut ChildStack) -> io::Result<()> {
    let mut report = ChildReport::default();
    let guard = MaskGuard::block_all();
    // SAFETY: `write_and_exit` keeps to system calls, on a stack that nothing else uses; `report` outlives it, for the
    // kernel suspends this thread until the child has exited. Or it has a copy of both.
    let child = unsafe { libc::clone(write_and_exit, stack.top(), VFORK, (&raw mut report.outcome).cast()) };
    let child = check(i64::from(child));
    drop(guard);
    reap(child?);
    // SAFETY: the child, the only writer, has exited; or it has a copy.
    child_report::of_child(unsafe { (&raw const report).read_volatile() }, None);
    Ok(())
}

extern "C" fn write_and_exit(argument: *mut c_void) -> c_int {
    // SAFETY: it points to the ChildOutcome of the waiting parent, or to our own copy.
    unsafe { argument.cast::<ChildOutcome>().write_volatile(ChildOutcome::BEGUN) };
    child_before_exec::exit()
}

/// Clones the intermediate child. It returns when that is reaped, and the process has executed or ended if there is one;
/// or, where that has a copy of our memory, runs.
pub(crate) fn clone(stack: &mut ChildStack, it: &Instructions<'_>, detached: &DetachedReport) -> io::Result<()> {
    match clone_intermediate(stack, it, detached) {
        Err(error) if is_refused(&error) && detached.shares_table.swap(false, Ordering::Relaxed) => {
            clone_intermediate(stack, it, detached)
        }
        cloned => cloned,
    }
}

fn clone_intermediate(stack: &mut ChildStack, it: &Instructions<'_>, detached: &DetachedReport) -> io::Result<()> {
    detached.lent_to.store(0, Ordering::Relaxed);
    let sharing = if detached.shares_table.load(Ordering::Relaxed) { libc::CLONE_FILES } else { 0 };
    let argument = std::ptr::from_ref(it).cast_mut().cast();
    let guard = MaskGuard::block_all();
    // SAFETY: `run` keeps to system calls, on a stack that nothing else uses, with instructions that live until it has
    // exited and the process has executed or ended, which is waited for below. Or they have copies of all that.
    let child = unsafe { libc::clone(run, stack.top(), VFORK | sharing, argument) };
    if child != -1 {
        detached.await_return_of_memory();
    }
    let child = check(i64::from(child));
    drop(guard);
    reap(child?);
    Ok(())
}

fn reap(child: i64) {
    if let Some(pid) = Pid::from_raw(child as i32) {
        // Only a host that waits for all kinds of children (__WALL) can have reaped it before us.
        let _ = wait::wait_for_clone(pid);
    }
}

/// CHILD: the entry point of the intermediate child. `argument` points to [`Instructions`], as that of
/// [`child_before_exec::run`].
extern "C" fn run(argument: *mut c_void) -> c_int {
    // SAFETY: the parent passes its Instructions, and waits while we use them (CLONE_VFORK), or they are our own copy.
    let it = unsafe { &*argument.cast::<Instructions<'_>>() };
    if let Some(Err(failed)) = it.detached.as_ref().map(|detached| clone_process(it, detached, argument)) {
        child_before_exec::report(it, &failed);
    }
    child_before_exec::exit()
}

fn clone_process(it: &Instructions<'_>, detached: &DetachedReport, argument: *mut c_void) -> Result<(), Failed> {
    pass(&it.fail, points::BETWEEN, ChildStep::Clone)?;
    // SAFETY: no pointers are passed.
    let own = unsafe { libc::syscall(libc::SYS_getpid) };
    detached.intermediate.store(own as c_int, Ordering::Relaxed);
    if let Some(score) = &it.oom_score {
        oom_score::set(score)?;
    }
    let lending = libc::CLONE_VM | libc::CLONE_PARENT_SETTID | libc::CLONE_CHILD_CLEARTID;
    let lending = if detached.shares_memory { lending } else { 0 };
    let sharing = if it.division.is_shared() { libc::CLONE_FILES } else { 0 };
    let flags = lending | sharing | libc::SIGCHLD;
    let (lent_to, no_tls) = (detached.lent_to.as_ptr(), std::ptr::null_mut::<c_void>());
    // SAFETY: `child_before_exec::run` keeps to system calls, on a stack that nothing else uses, with instructions that
    // live until the kernel has cleared `lent_to`; or it has a copy of both.
    let pid = unsafe { libc::clone(child_before_exec::run, detached.stack, flags, argument, lent_to, no_tls, lent_to) };
    step(ChildStep::Clone, pid.into())?;
    let opened = pass(&it.fail, points::CLONED, ChildStep::OpenPidfd).and_then(|()| open_pidfd(detached, pid));
    if opened.is_err() {
        // It waits for our end, and has done nothing yet.
        kill_and_reap(pid);
    }
    opened
}

/// Not by CLONE_PIDFD, which excludes CLONE_PARENT_SETTID.
fn open_pidfd(detached: &DetachedReport, pid: c_int) -> Result<(), Failed> {
    if !detached.has_pidfds || !detached.shares_table.load(Ordering::Relaxed) {
        return Ok(());
    }
    // SAFETY: no pointers are passed.
    let opened = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    step(ChildStep::OpenPidfd, opened)?;
    detached.pidfd.store(opened as c_int, Ordering::Relaxed);
    Ok(())
}

fn kill_and_reap(pid: c_int) {
    // SAFETY: no pointers are passed. The pid is our child's, which is not reaped.
    unsafe { libc::syscall(libc::SYS_kill, pid, libc::SIGKILL) };
    let (no_info, no_usage) = (std::ptr::null_mut::<libc::siginfo_t>(), std::ptr::null_mut::<libc::rusage>());
    // SAFETY: null pointers say that nothing is asked for.
    unsafe { libc::syscall(libc::SYS_waitid, libc::P_PID, pid, no_info, libc::WEXITED, no_usage) };
}
