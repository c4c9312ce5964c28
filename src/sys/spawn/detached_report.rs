// SPDX-License-Identifier: MPL-2.0
//! What a spawner thread, the intermediate child that it clones and the process that this one clones tell each other; see
//! [`intermediate`](super::intermediate_child).

use std::ffi::c_void;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

/// Prepared by the spawner thread.
#[derive(Debug)]
pub(crate) struct DetachedReport {
    /// For the process; the intermediate child has one of its own.
    pub(crate) stack: *mut c_void,
    pub(crate) shares_memory: bool,
    /// Whether the intermediate child has the agent's table of descriptors, in which it can leave the pidfd.
    pub(crate) shares_table: AtomicBool,
    pub(crate) has_pidfds: bool,
    /// The pid of the intermediate child, by itself.
    pub(crate) intermediate: AtomicI32,
    /// The pid of the process as long as it has our memory. Written by the kernel.
    pub(crate) lent_to: AtomicU32,
    /// Opened by the intermediate child; -1 until then.
    pub(crate) pidfd: AtomicI32,
}

impl DetachedReport {
    pub(crate) fn new(stack: *mut c_void, shares_memory: bool, has_pidfds: bool) -> DetachedReport {
        DetachedReport {
            stack,
            shares_memory,
            shares_table: AtomicBool::new(shares_memory),
            has_pidfds,
            intermediate: AtomicI32::new(0),
            lent_to: AtomicU32::new(0),
            pidfd: AtomicI32::new(-1),
        }
    }

    /// The pidfd of the process, if there is one.
    pub(crate) fn take_pidfd(&self) -> Option<OwnedFd> {
        let raw = self.pidfd.swap(-1, Ordering::Relaxed);
        // SAFETY: the intermediate child has opened it in our table for us, and it is taken once.
        (raw >= 0).then(|| unsafe { OwnedFd::from_raw_fd(raw) })
    }

    /// Waits until the process no longer has our memory. No call here can fail before that, for signals are blocked.
    pub(crate) fn await_return_of_memory(&self) {
        loop {
            let holder = self.lent_to.load(Ordering::Acquire);
            if holder == 0 {
                return;
            }
            let forever = std::ptr::null::<libc::timespec>();
            // The kernel wakes by the address in memory, which FUTEX_PRIVATE_FLAG would hide from it.
            // SAFETY: the word lives through the call; a null timeout is no timeout.
            unsafe { libc::syscall(libc::SYS_futex, self.lent_to.as_ptr(), libc::FUTEX_WAIT, holder, forever) };
        }
    }

    /// CHILD: the process waits until it is an orphan. No call here can fail, so `errno` stays that of the intermediate
    /// child, which ends at once: only a debugger, or a SIGSTOP to the group of the agent, can keep it.
    pub(crate) fn await_orphanhood(&self) {
        let pause = libc::timespec { tv_sec: 0, tv_nsec: 20_000 };
        let left = std::ptr::null_mut::<libc::timespec>();
        // SAFETY: no pointers are passed.
        while unsafe { libc::syscall(libc::SYS_getppid) } == i64::from(self.intermediate.load(Ordering::Relaxed)) {
            // SAFETY: `pause` lives through the call, and what is left of it is not asked for.
            unsafe { libc::syscall(libc::SYS_nanosleep, &raw const pause, left) };
        }
    }
}
