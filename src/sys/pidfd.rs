// SPDX-License-Identifier: MPL-2.0
//! pidfds: a process that cannot be mistaken for another (pidfd_open(2), Linux 5.3).
//!
//! Where the kernel has no pidfds, or a sandbox refuses them, [`is_supported`] returns false and the callers poll
//! instead. `--cfg proxyprocess_no_pidfd` forces that, for tests.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use super::file::stat_at;
use super::fork_safe::SetOnce;
use super::pid::{Pid, own_pid};
use super::signal::Signal;
use super::wait::{self, ExitStatus, Reap, Target, Waited};
use super::{check, fail, fd, is_exhausted};

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

/// What the kernel, and the sandbox that we may be in, can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Support {
    /// Nothing: processes are known by pid and polled.
    None,
    /// One process at a time.
    Process,
    /// Whole groups as well, also after their leader was reaped.
    Groups,
}

static SUPPORT: SetOnce<Support> = SetOnce::new();

/// Whether pidfds have inodes, one a process and never used twice in a boot (pidfs, Linux 6.9).
static INODES: SetOnce<bool> = SetOnce::new();

/// `PID_FS_MAGIC`. Before pidfs, all pidfds shared one inode.
const PIDFS: u64 = 0x5049_4446;

/// Finds out what can be done, once; before anything is started, because it needs a descriptor.
///
/// # Errors
/// EMFILE, ENFILE, ENOMEM: exhausted is not the same as absent.
pub(crate) fn probe() -> io::Result<()> {
    if SUPPORT.get().is_none() {
        SUPPORT.set(ask_kernel()?);
    }
    Ok(())
}

fn ask_kernel() -> io::Result<Support> {
    if cfg!(proxyprocess_no_pidfd) {
        return Ok(Support::None);
    }
    let own = match fail::failing("pidfd:probe").and_then(|()| open(own_pid())) {
        Ok(own) => own,
        Err(error) => {
            return if is_exhausted(&error) { Err(error) } else { Ok(Support::None) };
        }
    };
    // A kernel may lack (waitid came last, in Linux 5.4) or a sandbox refuse any one of the calls; all are needed, or
    // none is used. No process is a child of itself, which only a kernel says that has looked it up.
    let waits = matches!(wait::try_wait(Target::Pidfd(own.as_fd()), Reap::No), Ok(Waited::NotOurs));
    if !waits || send(own.as_fd(), 0, 0).is_err() {
        return Ok(Support::None);
    }
    INODES.set(is_on_pidfs(own.as_fd()) && inode_of(own.as_raw_fd()).is_ok());
    // This process may lead no group: ESRCH then. An unknown flag is EINVAL.
    Ok(match send(own.as_fd(), 0, SIGNAL_PROCESS_GROUP) {
        Err(error) if error.raw_os_error() != Some(libc::ESRCH) => Support::Process,
        _ => Support::Groups,
    })
}

/// Whether pidfds can be used here.
pub(crate) fn is_supported() -> bool {
    // A call before the probe, in a test, is answered by one; a failure of it will come again at the use.
    let _ = probe();
    SUPPORT.get().is_none_or(|support| *support != Support::None)
}

/// Whether a whole group can be signalled through the pidfd of its leader, also after the leader was reaped.
pub(crate) fn signals_groups() -> bool {
    let _ = probe();
    SUPPORT.get() == Some(&Support::Groups)
}

/// Whether processes have inodes, by which they are told apart beyond any doubt.
pub(crate) fn has_inodes() -> bool {
    let _ = probe();
    INODES.get() == Some(&true)
}

/// The inode of the process; `None` where processes have none.
pub(crate) fn inode(process: BorrowedFd<'_>) -> io::Result<Option<u64>> {
    if !has_inodes() {
        return Ok(None);
    }
    inode_of(process.as_raw_fd()).map(Some)
}

/// The inode of any descriptor. It allocates nothing: the child between clone and exec asks for its own.
pub(super) fn inode_of(fd: RawFd) -> io::Result<u64> {
    stat_at(fd, c"", libc::AT_EMPTY_PATH).map(|found| found.st_ino)
}

fn is_on_pidfs(process: BorrowedFd<'_>) -> bool {
    let mut found = MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: the pointer is to writable memory of the right type; the descriptor is open through the call.
    let result = unsafe { libc::fstatfs(process.as_raw_fd(), found.as_mut_ptr()) };
    // SAFETY: zeroed memory is a valid struct statfs.
    let found = unsafe { found.assume_init() };
    result == 0 && found.f_type as u64 == PIDFS
}

/// A descriptor of the process, close-on-exec and above the standard ones (pidfd_getfd(2)).
///
/// # Errors
/// EBADF: it has none of this number. EPERM: it may not be traced (Yama, another user). ESRCH: it has ended. ENOSYS: before
/// Linux 5.6.
pub(crate) fn take_descriptor(pidfd: BorrowedFd<'_>, number: RawFd) -> io::Result<OwnedFd> {
    fail::failing("socket:take")?;
    // SAFETY: no pointers are passed.
    fd::own(check(unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), number, 0) })?)
}

/// Opens a process by pid. The caller proves afterwards that it is the one it means.
pub(crate) fn open(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: no pointers are passed.
    let raw = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    fd::own(check(raw)?)
}

/// Sends a signal to the process; an error says ESRCH when it was reaped.
pub(crate) fn signal(process: BorrowedFd<'_>, signal: Signal) -> io::Result<()> {
    send(process, signal.as_raw(), 0)
}

/// Whether the process, or its zombie, has its pid still; EPERM: it has, and may not be signalled. Sends nothing.
pub(crate) fn check_signal(process: BorrowedFd<'_>) -> io::Result<()> {
    send(process, 0, 0)
}

/// Sends a signal to the group that the process leads or led; ESRCH when the group is empty.
pub(crate) fn signal_group(process: BorrowedFd<'_>, signal: Signal) -> io::Result<()> {
    send(process, signal.as_raw(), SIGNAL_PROCESS_GROUP)
}

/// Whether the group that the process leads or led has members, zombies included.
pub(crate) fn group_exists(process: BorrowedFd<'_>) -> bool {
    match send(process, 0, SIGNAL_PROCESS_GROUP) {
        Ok(()) => true,
        // EPERM: there is a process that we may not signal.
        Err(error) => error.raw_os_error() != Some(libc::ESRCH),
    }
}

fn send(process: BorrowedFd<'_>, signal: i32, flags: u32) -> io::Result<()> {
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo asks the kernel to fill it in as kill(2) does; the descriptor is open through the call.
    check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal, info, flags) })?;
    Ok(())
}

/// Whether the process has ended, reaped or not.
pub(crate) fn has_ended(process: BorrowedFd<'_>) -> bool {
    poll(process, 0) & (libc::POLLIN | libc::POLLHUP) != 0
}

/// Whether the process has ended and was reaped. Before Linux 6.9 nothing says so.
pub(crate) fn is_reaped(process: BorrowedFd<'_>) -> bool {
    poll(process, 0) & libc::POLLHUP != 0
}

/// Waits until the process has ended, at most for the given time, or until a signal is handled.
pub(crate) fn wait_for_end(process: BorrowedFd<'_>, at_most: Duration) {
    // Rounded up, not to be asked again without waiting.
    let patience = at_most.as_millis().saturating_add(1).try_into().unwrap_or(i32::MAX);
    poll(process, patience);
}

fn poll(process: BorrowedFd<'_>, patience: i32) -> i16 {
    let mut look = libc::pollfd { fd: process.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: the pointer and count are of one live value; the descriptor is open through the call.
    let ready = unsafe { libc::poll(&raw mut look, 1, patience) };
    if ready == 1 { look.revents } else { 0 }
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
    fn process_keeps_its_inode_and_no_other_has_it() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let pids = [own_pid(), Pid::from_raw(child.id() as i32).unwrap()];
        let opened = [pids, pids].map(|pids| pids.map(|pid| open(pid).unwrap()));
        let inodes = opened.each_ref().map(|opened| opened.each_ref().map(|fd| inode(fd.as_fd()).unwrap()));
        assert_eq!(inodes[0], inodes[1]);
        assert!(!has_inodes() && inodes[0] == [None; 2] || inodes[0][0] != inodes[0][1]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(inode(opened[0][1].as_fd()).unwrap(), inodes[0][1], "also when it is gone");
    }

    #[test]
    fn status_of_a_reaped_process_is_known_through_its_pidfd() {
        let mut shell = std::process::Command::new("/bin/sh");
        let shell = shell.args(["-c", "read x; exit 7"]).stdin(std::process::Stdio::piped());
        let mut child = shell.spawn().unwrap();
        let process = open(Pid::from_raw(child.id() as i32).unwrap()).unwrap();
        assert_eq!(exit_status(process.as_fd()), None, "it still runs");
        assert!(!has_ended(process.as_fd()));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(has_ended(process.as_fd()));
        // Linux before 6.15 does not tell; both answers are right there, and a wrong status never is.
        assert!(matches!(exit_status(process.as_fd()), Some(ExitStatus::Exited(7)) | None));
        assert_eq!(signal(process.as_fd(), Signal::INT).unwrap_err().raw_os_error(), Some(libc::ESRCH));
    }
}
