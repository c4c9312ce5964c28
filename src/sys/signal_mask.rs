// SPDX-License-Identifier: MPL-2.0
//! The signals that the calling thread blocks, and what this process does when it gets others.

use std::cell::Cell;
use std::io;
use std::mem::MaybeUninit;

use super::signal::MAX_SIGNAL;

/// What the kernel sends to the thread whose instruction faulted, or whose system call a filter caught (signal(7)). A host
/// may handle them and go on: runtimes have write barriers, checks for null and stack guards made of faults, sandboxes
/// answer a caught call. Blocked they are not held back: the kernel ends the whole process. So they stay open on threads
/// that run the host's callbacks.
const SYNCHRONOUS: [i32; 6] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS];

/// While it lives, the calling thread has signals blocked; dropped, the thread has its earlier mask back.
#[derive(Debug)]
pub(crate) struct MaskGuard {
    earlier: u64,
}

impl MaskGuard {
    /// Blocks all signals that come from elsewhere, for a thread that lives on.
    ///
    /// Open stay those that a thread raises itself by a fault, [`SYNCHRONOUS`], and the two that the C library keeps for
    /// itself (32 and 33 with glibc): setuid() in the host waits until every thread has handled one.
    pub(crate) fn block_asynchronous() -> MaskGuard {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: `set` is writable memory of the right type; sigfillset leaves out the C library's own signals.
        unsafe { libc::sigfillset(set.as_mut_ptr()) };
        // SAFETY: sigfillset has initialized the set, whose first 64 bits are the kernel's mask on Linux.
        let mask = unsafe { set.as_ptr().cast::<u64>().read_unaligned() };
        let open = SYNCHRONOUS.iter().fold(0, |open, signal| open | 1 << (signal - 1));
        MaskGuard { earlier: exchange_mask(mask & !open) }
    }

    /// Blocks all signals, also the C library's own: for the short time of a clone that shares memory.
    pub(super) fn block_all() -> MaskGuard {
        MaskGuard { earlier: exchange_mask(u64::MAX) }
    }
}

impl Drop for MaskGuard {
    fn drop(&mut self) {
        exchange_mask(self.earlier);
    }
}

/// Sets the signal mask of the calling thread and returns the earlier one. A raw call: the C library's refuses to
/// touch its own signals.
pub(super) fn exchange_mask(mask: u64) -> u64 {
    change_mask(libc::SIG_SETMASK, mask)
}

fn change_mask(how: i32, mask: u64) -> u64 {
    let mut earlier = 0u64;
    // SAFETY: both pointers are to 8 bytes, the size of the kernel's signal set, and live through the call.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, how, &raw const mask, &raw mut earlier, size_of::<u64>()) };
    earlier
}

/// Whether a signal is in the kernel's mask.
pub(super) fn is_in(mask: u64, number: i32) -> bool {
    mask & (1 << (number - 1)) != 0
}

/// The signals that this process ignores, as a mask.
pub(super) fn ignored() -> u64 {
    (1..=MAX_SIGNAL).filter(|number| is_ignored(*number)).fold(0, |mask, number| mask | 1 << (number - 1))
}

/// A raw call: the C library's refuses to tell of its own signals.
fn is_ignored(number: i32) -> bool {
    // The kernel's struct sigaction, whose first field is the handler.
    let mut action = [0usize; 8];
    let no_new = std::ptr::null::<u8>();
    // SAFETY: `action` is larger than the kernel's struct (32 bytes where pointers have 8) and writable; 8 is the size of its
    // signal set.
    let known = unsafe { libc::syscall(libc::SYS_rt_sigaction, number, no_new, action.as_mut_ptr(), 8) };
    known == 0 && action.first() == Some(&libc::SIG_IGN)
}

thread_local! {
    /// Whether the thread blocks all asynchronous signals for its whole life.
    static NEVER_SIGNALLED: Cell<bool> = const { Cell::new(false) };
}

/// Marks the calling thread as one of the library's, which block all asynchronous signals from their first instruction to
/// their last.
pub(super) fn mark_as_never_signalled() {
    NEVER_SIGNALLED.set(true);
}

/// Does what writes to a file, and keeps the calling thread from being sent SIGXFSZ when the file would become larger
/// than RLIMIT_FSIZE allows: EFBIG says the same, and the signal would end the host.
pub(super) fn without_file_size_signal<T>(write: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    if NEVER_SIGNALLED.get() {
        // There it stays pending for ever, and ends no process.
        return write();
    }
    const SIGXFSZ: u64 = 1 << (libc::SIGXFSZ - 1);
    let earlier = change_mask(libc::SIG_BLOCK, SIGXFSZ);
    // One that was there before, in a host that blocks it, is the host's.
    let was_pending = pending() & SIGXFSZ != 0;
    let written = write();
    let refused = matches!(&written, Err(error) if error.raw_os_error() == Some(libc::EFBIG));
    if refused && !was_pending {
        take_pending(SIGXFSZ);
    }
    exchange_mask(earlier);
    written
}

/// The signals that wait for the calling thread to unblock them.
fn pending() -> u64 {
    let mut found = 0u64;
    // SAFETY: the pointer is to 8 bytes, the size of the kernel's signal set, and lives through the call.
    unsafe { libc::syscall(libc::SYS_rt_sigpending, &raw mut found, size_of::<u64>()) };
    found
}

/// Takes one signal away that waits for the calling thread, if one does.
fn take_pending(signals: u64) {
    let (no_info, at_once) = (std::ptr::null_mut::<libc::siginfo_t>(), libc::timespec { tv_sec: 0, tv_nsec: 0 });
    // SAFETY: the pointers are to 8 bytes, the size of the kernel's signal set, and to a time; both live through the
    // call, and nothing is written.
    unsafe {
        libc::syscall(libc::SYS_rt_sigtimedwait, &raw const signals, no_info, &raw const at_once, size_of::<u64>())
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signal_of_a_file_that_may_not_grow_is_taken_and_one_of_the_hosts_is_left() {
        const SIGXFSZ: u64 = 1 << (libc::SIGXFSZ - 1);
        let write = || -> io::Result<()> {
            // SAFETY: no pointers are passed; the signal goes to this thread, which blocks it.
            unsafe { libc::raise(libc::SIGXFSZ) };
            Err(io::Error::from_raw_os_error(libc::EFBIG))
        };
        without_file_size_signal(write).unwrap_err();
        assert_eq!(pending() & SIGXFSZ, 0);
        let before = exchange_mask(SIGXFSZ);
        write().unwrap_err();
        without_file_size_signal(write).unwrap_err();
        assert_ne!(pending() & SIGXFSZ, 0, "the host's own is gone");
        take_pending(SIGXFSZ);
        assert_eq!(exchange_mask(before), SIGXFSZ);
    }

    #[test]
    fn the_signal_of_a_file_that_may_not_grow_ends_no_thread_of_the_library() {
        let body = || {
            let refused = without_file_size_signal(|| -> io::Result<()> {
                // SAFETY: no pointers are passed; the signal goes to this thread, which blocks it.
                unsafe { libc::raise(libc::SIGXFSZ) };
                Err(io::Error::from_raw_os_error(libc::EFBIG))
            });
            (refused.unwrap_err().raw_os_error(), exchange_mask(u64::MAX) & (1 << (libc::SIGXFSZ - 1)) != 0)
        };
        let ended = super::super::thread::start("test", body).unwrap().join().unwrap();
        assert_eq!(ended, (Some(libc::EFBIG), true));
    }

    #[test]
    fn a_guard_gives_the_mask_back() {
        let before = exchange_mask(1 << 9);
        {
            let _guard = MaskGuard::block_asynchronous();
            let blocked = exchange_mask(u64::MAX);
            for signal in 1..=MAX_SIGNAL {
                // setuid of the host needs 33; a fault of the host's callbacks is the host's to handle.
                let open = [libc::SIGKILL, libc::SIGSTOP, 32, 33].contains(&signal) || SYNCHRONOUS.contains(&signal);
                assert_eq!(blocked & (1 << (signal - 1)) == 0, open, "signal {signal}");
            }
        }
        assert_eq!(exchange_mask(before), 1 << 9);
    }
}
