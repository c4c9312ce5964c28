// SPDX-License-Identifier: MPL-2.0
//! clone3(2), for what clone(2) has no flags for:
//!
//! - `CLONE_CLEAR_SIGHAND` (Linux 5.5): the child has no signal handler of the host from its first instant. So it resets only the
//!   signals that the host ignores, and not all 64.
//! - `CLONE_INTO_CGROUP` (Linux 5.7): the child is in its cgroup from its first instant. A process that moves itself there has the
//!   kernel wait for all processors, and the cgroups of the whole system are locked meanwhile: a restart takes several times as long.
//!
//! The C library has no function for it, and a child on a stack of its own cannot return from the one for any system call; so the
//! call is made here. Where that is not written down for the architecture, or a kernel or sandbox refuses it, clone(2) is used: the
//! child resets all signals, and moves itself.
//!
//! Linux 6.18 (6.12.117 and 7.3 do not) kills a child at once that is cloned into a cgroup which `cgroup.kill` was written to at any time
//! before, or from such a one: the number of kills is compared with that of the parent's cgroup
//! (`findings/clone-into-killed-cgroup.sh`). Such a child never begins, which the parent sees, and another one moves itself.

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use super::child_stack::ChildStack;
use crate::sys::pid::Pid;

const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

static IS_REFUSED: AtomicBool = AtomicBool::new(false);

/// Whether it is worth trying.
pub(crate) fn may_work() -> bool {
    let is_written_down = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));
    is_written_down && !cfg!(proxyprocess_no_pidfd) && !IS_REFUSED.load(Ordering::Relaxed)
}

/// Whether the kernel or a sandbox does not do it, whichever the cgroup. It is not tried again then.
pub(crate) fn is_refused(error: &io::Error) -> bool {
    let refused = matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM | libc::EINVAL | libc::E2BIG));
    if refused {
        IS_REFUSED.store(true, Ordering::Relaxed);
    }
    refused
}

/// Clones a child that runs a function on a stack of its own, without signal handlers, and in this cgroup if there is one. With
/// `CLONE_PIDFD` in the flags also its pidfd.
///
/// # Safety
/// As for clone(2): the function and what its argument points to are fit to be used by the child, and the stack by nothing
/// else, until the child has executed or exited.
pub(crate) unsafe fn clone_child(
    cgroup: Option<BorrowedFd<'_>>,
    flags: c_int,
    stack: &mut ChildStack,
    run: extern "C" fn(*mut c_void) -> c_int,
    argument: *mut c_void,
) -> io::Result<(Pid, RawFd)> {
    let mut raw_pidfd: RawFd = -1;
    let (stack, stack_size) = stack.bounds();
    let signal = flags & 0xff;
    let arguments = Arguments {
        flags: (flags & !signal) as u64 | CLONE_CLEAR_SIGHAND | cgroup.map_or(0, |_| CLONE_INTO_CGROUP),
        pidfd: (&raw mut raw_pidfd) as u64,
        exit_signal: signal as u64,
        stack,
        stack_size,
        cgroup: cgroup.map_or(0, |cgroup| cgroup.as_raw_fd() as u64),
        ..Arguments::default()
    };
    // SAFETY: as for this function.
    let result = unsafe { clone3(&arguments, run, argument) };
    match Pid::from_raw(i32::try_from(result).unwrap_or_default()) {
        Some(pid) => Ok((pid, raw_pidfd)),
        None => Err(io::Error::from_raw_os_error(i32::try_from(-result).unwrap_or(libc::EINVAL))),
    }
}

/// The call, whose child calls the function on its stack and exits.
///
/// # Safety
/// As for [`clone_child`].
#[cfg(target_arch = "x86_64")]
unsafe fn clone3(arguments: &Arguments, run: extern "C" fn(*mut c_void) -> c_int, argument: *mut c_void) -> i64 {
    let result: i64;
    // SAFETY: the child returns from the system call on its own stack, aligned as a function expects it, with all registers as
    // here: it calls the function, which the caller vouches for, and exits. In the parent the call changes rax, rcx and r11.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r9",
            "call r8",
            "mov edi, eax",
            "mov eax, {exit_group}",
            "syscall",
            "ud2",
            "2:",
            exit_group = const libc::SYS_exit_group,
            inlateout("rax") libc::SYS_clone3 => result,
            in("rdi") std::ptr::from_ref(arguments),
            in("rsi") size_of::<Arguments>(),
            in("r8") run,
            in("r9") argument,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

/// The call, whose child calls the function on its stack and exits.
///
/// # Safety
/// As for [`clone_child`].
#[cfg(target_arch = "aarch64")]
unsafe fn clone3(arguments: &Arguments, run: extern "C" fn(*mut c_void) -> c_int, argument: *mut c_void) -> i64 {
    let result: i64;
    // SAFETY: the child returns from the system call on its own stack, aligned as a function expects it, with all registers as
    // here but x0: it calls the function, which the caller vouches for, and exits. In the parent the call changes x0.
    unsafe {
        std::arch::asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x3",
            "blr x2",
            "mov x8, {exit_group}",
            "svc #0",
            "brk #1",
            "2:",
            exit_group = const libc::SYS_exit_group,
            inlateout("x0") std::ptr::from_ref(arguments) => result,
            in("x1") size_of::<Arguments>(),
            in("x2") run,
            in("x3") argument,
            in("x8") libc::SYS_clone3,
        );
    }
    result
}

/// Not written down for other architectures: [`may_work`] says so.
///
/// # Safety
/// None: it does nothing.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe fn clone3(_arguments: &Arguments, _run: extern "C" fn(*mut c_void) -> c_int, _argument: *mut c_void) -> i64 {
    -i64::from(libc::ENOSYS)
}

/// The kernel's struct clone_args, as of Linux 5.7.
#[derive(Debug, Default)]
#[repr(C)]
struct Arguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::{AsFd, FromRawFd, OwnedFd};

    use super::*;
    use crate::sys::cgroup::directory;
    use crate::sys::cgroup::hierarchy::{Whose, directory_of};
    use crate::sys::random::uuid;

    /// Ends with 7 when it is told to, by what its argument points to, which it shares with its parent.
    extern "C" fn wait(argument: *mut c_void) -> c_int {
        // SAFETY: the test passes an AtomicBool that lives until the child has ended.
        let may_end = unsafe { &*argument.cast::<AtomicBool>() };
        while !may_end.load(Ordering::Relaxed) {
            let millisecond = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000 };
            // SAFETY: a time that lives through the call, and no other pointer.
            unsafe { libc::syscall(libc::SYS_ppoll, 0, 0, &raw const millisecond, 0, 0) };
        }
        7
    }

    fn has_no_seccomp() -> bool {
        fs::read_to_string("/proc/self/status").is_ok_and(|status| status.contains("\nSeccomp:\t0\n"))
    }

    #[test]
    fn child_is_in_its_cgroup_runs_its_function_and_exits_with_its_result() {
        let Some(own) = directory_of(Whose::Own).unwrap() else { return };
        let path = own.join(format!("proxyprocess-test-{}", uuid().unwrap()));
        if !may_work() || directory::make(&path).is_err() {
            return; // not on this architecture, or not as this user
        }
        let entrance = directory::open(&path).unwrap();
        let (mut stack, mut may_end) = (ChildStack::new().unwrap(), AtomicBool::new(false));
        let flags = libc::CLONE_VM | libc::CLONE_PIDFD | libc::SIGCHLD;
        let argument = (&raw mut may_end).cast();
        // SAFETY: `wait` makes system calls alone, on a stack that nothing else uses, and `may_end` outlives it.
        let cloned = unsafe { clone_child(Some(entrance.directory.as_fd()), flags, &mut stack, wait, argument) };
        let (pid, pidfd) = match cloned {
            Err(error) if error.raw_os_error() == Some(libc::ENOSYS) && !has_no_seccomp() => {
                return directory::remove(&path).unwrap();
            }
            cloned => cloned.unwrap(),
        };
        // SAFETY: the kernel has just created it for this call.
        let _pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
        assert_eq!(directory::processes(&path).unwrap(), [pid]);
        may_end.store(true, Ordering::Relaxed);
        let mut status = 0;
        // SAFETY: a child of this process, and a place for its status.
        assert_eq!(unsafe { libc::waitpid(pid.as_raw(), &raw mut status, 0) }, pid.as_raw());
        assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 7, "{status:#x}");
        directory::remove(&path).unwrap();
    }
}
