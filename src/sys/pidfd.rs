//! pidfds: a process that cannot be mistaken for another (pidfd_open(2), Linux 5.3).
//!
//! Where the kernel has none, or a sandbox refuses them, [`is_supported`] says so once and the callers poll instead.
//! `--cfg proxyprocess_no_pidfd` forces that, for tests.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

use super::identity::{Pid, own_pid};
use super::signal::Signal;
use super::wait::ExitStatus;
use super::{check, fd};

/// `PIDFD_SIGNAL_PROCESS_GROUP`, Linux 6.9: the signal goes to the group that the process leads.
const SIGNAL_PROCESS_GROUP: u32 = 1 << 2;

/// `PIDFD_INFO_EXIT`, Linux 6.15: ask for the wait status of a process that was reaped.
const INFO_EXIT: u64 = 1 << 3;

/// `struct pidfd_info` of linux/pidfd.h in its first published size.
#[repr(C)]
#[derive(Default)]
struct Info {
    mask: u64,
    cgroup_id: u64,
    pid: u32,
    tgid: u32,
    ppid: u32,
    ids: [u32; 8],
    exit_code: i32,
}

/// `PIDFD_GET_INFO`: `_IOWR(0xFF, 11, struct pidfd_info)`.
const GET_INFO: u64 = 3 << 30 | (size_of::<Info>() as u64) << 16 | 0xFF << 8 | 11;

/// Whether pidfds can be used here. Exhausted descriptors are not an answer: that is asked again.
pub(crate) fn is_supported() -> bool {
    static SUPPORTED: OnceLock<bool> = OnceLock::new();
    if cfg!(proxyprocess_no_pidfd) {
        return false;
    }
    if let Some(&known) = SUPPORTED.get() {
        return known;
    }
    match open_raw(own_pid()) {
        Ok(own) => {
            // A sandbox may refuse any one of the calls; all are needed, or none is used.
            let usable = send(own.as_fd(), 0, 0).is_ok();
            *SUPPORTED.get_or_init(|| usable)
        }
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM | libc::EINVAL)) => {
            *SUPPORTED.get_or_init(|| false)
        }
        Err(_) => true,
    }
}

/// Whether a whole group can be signalled through the pidfd of its leader, also after the leader was reaped.
pub(crate) fn signals_groups() -> bool {
    static SUPPORTED: OnceLock<bool> = OnceLock::new();
    if let Some(&known) = SUPPORTED.get() {
        return known;
    }
    if !is_supported() {
        return false;
    }
    let Ok(own) = open_raw(own_pid()) else { return false };
    // This process may lead no group: ESRCH then. An unknown flag is EINVAL.
    let known = match send(own.as_fd(), 0, SIGNAL_PROCESS_GROUP) {
        Ok(()) => true,
        Err(error) => error.raw_os_error() == Some(libc::ESRCH),
    };
    *SUPPORTED.get_or_init(|| known)
}

/// Opens a process by number. The caller proves afterwards that it is the one it means.
pub(crate) fn open(pid: Pid) -> io::Result<OwnedFd> {
    open_raw(pid)
}

fn open_raw(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: no pointers are passed.
    let raw = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    fd::own(check(raw)?)
}

/// Sends a signal to the process; an error says ESRCH when it was reaped.
pub(crate) fn signal(process: BorrowedFd<'_>, signal: Signal) -> io::Result<()> {
    send(process, signal.as_raw(), 0)
}

/// Sends a signal to the group that the process leads or led; ESRCH when the group is empty.
pub(crate) fn signal_group(process: BorrowedFd<'_>, signal: Signal) -> io::Result<()> {
    send(process, signal.as_raw(), SIGNAL_PROCESS_GROUP)
}

/// Whether the group that the process leads or led has members, zombies included.
pub(crate) fn group_exists(process: BorrowedFd<'_>) -> bool {
    match send(process, 0, SIGNAL_PROCESS_GROUP) {
        Ok(()) => true,
        // EPERM: there is somebody, whom we may not signal.
        Err(error) => error.raw_os_error() != Some(libc::ESRCH),
    }
}

fn send(process: BorrowedFd<'_>, signal: i32, flags: u32) -> io::Result<()> {
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo asks the kernel to fill it in as kill(2) does; the descriptor is open through the call.
    check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal, info, flags) })?;
    Ok(())
}

/// How a process that was reaped by anyone ended; `None` when it was not reaped yet or the kernel does not tell.
pub(crate) fn exit_status(process: BorrowedFd<'_>) -> Option<ExitStatus> {
    let mut info = Info { mask: INFO_EXIT, ..Info::default() };
    // SAFETY: the request number carries the size of `info`, so the kernel writes no further; the fd is open.
    let result = unsafe { libc::ioctl(process.as_raw_fd(), GET_INFO as _, &raw mut info) };
    (result == 0 && info.mask & INFO_EXIT != 0).then(|| ExitStatus::from_wait_status(info.exit_code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_number_is_the_one_of_the_kernel() {
        assert_eq!(size_of::<Info>(), 64);
        assert_eq!(GET_INFO, 0xC040_FF0B);
    }

    #[test]
    fn the_status_of_a_reaped_process_is_told_to_whoever_holds_its_pidfd() {
        let mut shell = std::process::Command::new("/bin/sh");
        let shell = shell.args(["-c", "read x; exit 7"]).stdin(std::process::Stdio::piped());
        let mut child = shell.spawn().unwrap();
        let process = open_raw(Pid::from_raw(child.id() as i32).unwrap()).unwrap();
        assert_eq!(exit_status(process.as_fd()), None, "it still runs");
        drop(child.stdin.take());
        child.wait().unwrap();
        // Linux before 6.15 does not tell; both answers are right there, and a wrong status never is.
        assert!(matches!(exit_status(process.as_fd()), Some(ExitStatus::Exited(7)) | None));
        assert_eq!(signal(process.as_fd(), Signal::INT).unwrap_err().raw_os_error(), Some(libc::ESRCH));
    }
}
