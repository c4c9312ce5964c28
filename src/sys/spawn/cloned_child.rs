// SPDX-License-Identifier: MPL-2.0
//! The clone itself, and what is known of the child then.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::child_before_exec::{self, Instructions};
use super::child_report::{ChildIdentity, VFORK};
use super::child_stack::ChildStack;
use super::{clone3, intermediate_child};
use crate::sys::pid::{Pid, own_pid};
use crate::sys::proc::stat;
use crate::sys::signal_mask::MaskGuard;
use crate::sys::wait::{self, Target};
use crate::sys::{check, fail, is_refused, pidfd};

/// Clones the child that follows the instructions, in this cgroup if one is given, and returns when it has executed or ended.
///
/// # Errors
/// Those of clone(2) and clone3(2).
pub(super) fn clone(
    stack: &mut ChildStack,
    instructions: &Instructions<'_>,
    cgroup: Option<BorrowedFd<'_>>,
) -> io::Result<Child> {
    if let Some(detached) = &instructions.detached {
        fail::failing("start:clone")?;
        intermediate_child::clone(stack, instructions, detached)?;
        fail::point("start:cloned");
        return Ok(Child { pid: None, pidfd: detached.take_pidfd(), start_ticks: None });
    }
    if !pidfd::is_supported() {
        return clone_with(0, stack, instructions, cgroup);
    }
    match clone_with(libc::CLONE_PIDFD, stack, instructions, cgroup) {
        // An emulator (qemu-user) or a sandbox that has pidfds, but not from clone. The pid is the child's own until
        // it is reaped.
        Err(error) if instructions.ignored.is_none() && is_refused(&error) => {
            let child = clone_with(0, stack, instructions, None)?;
            Ok(Child { pidfd: child.pid.and_then(|pid| pidfd::open(pid).ok()), ..child })
        }
        result => result,
    }
}

fn clone_with(
    flags: c_int,
    stack: &mut ChildStack,
    instructions: &Instructions<'_>,
    cgroup: Option<BorrowedFd<'_>>,
) -> io::Result<Child> {
    let sharing = if instructions.division.is_shared() { libc::CLONE_FILES } else { 0 };
    let flags = VFORK | libc::SIGCHLD | flags | sharing;
    let mut raw_pidfd: RawFd = -1;
    let argument = std::ptr::from_ref(instructions).cast_mut().cast();
    fail::failing("start:clone")?;
    // The child inherits the mask and opens it when no handler of the host is left.
    let guard = MaskGuard::block_all();
    if instructions.ignored.is_some() {
        // SAFETY: as below.
        let cloned = unsafe { clone3::clone_child(cgroup, flags, stack, child_before_exec::run, argument) };
        drop(guard);
        fail::point("start:cloned");
        let (pid, pidfd) = cloned?;
        // SAFETY: as below.
        let pidfd = (pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) });
        return Ok(Child { pid: Some(pid), pidfd, start_ticks: None });
    }
    let top = stack.top();
    // SAFETY: `child_before_exec::run` keeps to system calls, on a stack that nothing else uses, with instructions that
    // live until it is done: the kernel suspends this thread until the child has executed or exited. Or it has a copy
    // of both.
    let pid = unsafe { libc::clone(child_before_exec::run, top, flags, argument, &raw mut raw_pidfd) };
    let pid = check(i64::from(pid));
    drop(guard);
    fail::point("start:cloned");
    let pid = Pid::from_raw(pid? as i32).ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
    // The kernel has filled it in if it knows CLONE_PIDFD (Linux 5.2); before, it ignored the flag.
    // It may be one of 0 to 2: that does no harm to a pidfd, and moving it could fail with the child already running.
    // SAFETY: the kernel has just created it for this call; nothing else has it.
    let pidfd = (raw_pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(raw_pidfd) });
    Ok(Child { pid: Some(pid), pidfd, start_ticks: None })
}

/// What is known of the process that was cloned.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) pid: Option<Pid>,
    pub(super) pidfd: Option<OwnedFd>,
    pub(super) start_ticks: Option<u64>,
}

impl Child {
    /// One that is detached reports itself which it is.
    pub(super) fn known_by(self, birth: ChildIdentity) -> Child {
        let Some(pid) = Pid::from_raw(birth.pid as i32) else { return self };
        let pidfd = self.pidfd.or_else(|| open_proven(pid, birth.start_ticks));
        Child { pid: Some(pid), pidfd, start_ticks: Some(birth.start_ticks) }
    }

    /// A process that is detached is not ours to reap, unless we are given those that have lost their parent.
    pub(super) fn reap_failed(&self) {
        let target = match (&self.pidfd, self.pid) {
            (Some(fd), _) => Target::Pidfd(fd.as_fd()),
            (None, Some(pid)) if self.is_child(pid) => Target::Pid(pid),
            _ => return,
        };
        // The host may have reaped it (ECHILD), and then there is nothing left to do.
        let _ = wait::wait_blocking(target);
    }

    fn is_child(&self, pid: Pid) -> bool {
        let is_it = |ticks| {
            let stat = stat::read(pid.as_raw()).ok().flatten();
            stat.is_some_and(|stat| stat.parent == own_pid().as_raw() && stat.start_ticks == ticks)
        };
        self.start_ticks.is_none_or(is_it)
    }
}

/// The pidfd of a process that is not our child, by pid.
fn open_proven(pid: Pid, start_ticks: u64) -> Option<OwnedFd> {
    if !pidfd::is_supported() {
        return None;
    }
    let pidfd = pidfd::open(pid).ok()?;
    // ORDER: the descriptor first, then the proof: if that process lives when it is done, the pid was its own.
    let is_it = stat::read(pid.as_raw()).ok().flatten().is_some_and(|stat| stat.start_ticks == start_ticks);
    (is_it && !pidfd::has_ended(pidfd.as_fd())).then_some(pidfd)
}
