// SPDX-License-Identifier: MPL-2.0
//! Waiting for one process, never for "any child", and how it ended.

use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

use serde::Serialize;

use super::check;
use super::pid::Pid;
use super::signal::Signal;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExitStatus {
    /// It exited with this code, 0 to 255.
    Exited(i32),
    /// A signal killed it.
    Signaled {
        /// The signal's number.
        signal: i32,
        /// Whether the kernel wrote a core dump.
        core_dumped: bool,
    },
    /// It is gone, and the kernel does not report how it ended: another parent got the status (before Linux 6.15).
    Unknown,
}

impl ExitStatus {
    /// The status in the encoding of wait(2).
    pub(crate) fn from_wait_status(status: i32) -> ExitStatus {
        match status & 0x7f {
            0 => ExitStatus::Exited(status >> 8 & 0xff),
            signal => ExitStatus::Signaled { signal, core_dumped: status & 0x80 != 0 },
        }
    }
}

impl ExitStatus {
    /// The reverse of [`ExitStatus::from_wait_status`], if the status is known.
    pub(crate) fn to_wait_status(self) -> Option<i32> {
        match self {
            ExitStatus::Exited(code) => Some((code & 0xff) << 8),
            ExitStatus::Signaled { signal, core_dumped } => Some(signal & 0x7f | if core_dumped { 0x80 } else { 0 }),
            ExitStatus::Unknown => None,
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            ExitStatus::Exited(code) => write!(f, "exit code {code}"),
            ExitStatus::Signaled { signal, core_dumped } => {
                match Signal::from_raw(signal) {
                    Some(signal) => write!(f, "signal {signal}")?,
                    None => write!(f, "signal {signal}")?,
                }
                f.write_str(if core_dumped { " (core dumped)" } else { "" })
            }
            ExitStatus::Unknown => f.write_str("unknown status"),
        }
    }
}

impl Serialize for ExitStatus {
    /// As the text of `Display`.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Which process to wait for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target<'fd> {
    /// By descriptor (Linux 5.4).
    Pidfd(BorrowedFd<'fd>),
    /// By pid: only for a child that no other thread reaps.
    Pid(Pid),
}

/// What waitid(2) reports about a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    /// It still runs, or it is a zombie that only its tracer can see (ptrace(2)).
    Running,
    /// It ended with this status.
    Ended(ExitStatus),
    /// It is not a child of this process, or another thread of the host has reaped it (ECHILD).
    NotOurs,
}

/// Whether to reap the zombie, or to leave it so that its pid stays taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reap {
    Yes,
    No,
}

/// Checks without blocking whether one process has ended.
pub(crate) fn try_wait(target: Target<'_>, reap: Reap) -> io::Result<Waited> {
    // If this process traces the other one, waitid reports each of its stops (CLD_TRAPPED), whatever was requested, and
    // consumes them, so that the tracing thread misses them. Therefore the end is peeked at before it is reaped.
    let seen = wait_with(target, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT)?;
    if reap == Reap::Yes && matches!(seen, Waited::Ended(_)) {
        // ECHILD: another thread of the host has reaped it meanwhile. It ended as the peek has shown.
        wait_with(target, libc::WEXITED | libc::WNOHANG)?;
    }
    Ok(seen)
}

/// Reaps a child that is certain to end at once and that this process does not trace.
pub(super) fn wait_blocking(target: Target<'_>) -> io::Result<Waited> {
    wait_with(target, libc::WEXITED)
}

/// Reaps a child that is certain to end at once and that sends no signal when it does.
pub(super) fn wait_for_clone(pid: Pid) -> io::Result<Waited> {
    wait_with(Target::Pid(pid), libc::WEXITED | libc::__WALL)
}

fn wait_with(target: Target<'_>, options: i32) -> io::Result<Waited> {
    let (id_type, id) = match target {
        Target::Pidfd(fd) => (libc::P_PIDFD, fd.as_raw_fd() as u32),
        Target::Pid(pid) => (libc::P_PID, pid.as_u32()),
    };
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    loop {
        // SAFETY: `info` is writable memory of the right type; the borrowed descriptor is open through the call.
        let result = unsafe { libc::waitid(id_type, id, info.as_mut_ptr(), options) };
        match check(i64::from(result)) {
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => return Ok(Waited::NotOurs),
            Err(error) => return Err(error),
        }
    }
    // SAFETY: zeroed memory is a valid siginfo_t, and waitid has filled it when there was something to tell.
    let info = unsafe { info.assume_init() };
    // SAFETY: after waitid the fields of SIGCHLD are the ones in use, or all is zero.
    let value = unsafe { info.si_status() };
    let signaled = |core_dumped| Waited::Ended(ExitStatus::Signaled { signal: value, core_dumped });
    Ok(match info.si_code {
        libc::CLD_EXITED => Waited::Ended(ExitStatus::Exited(value)),
        libc::CLD_KILLED => signaled(false),
        libc::CLD_DUMPED => signaled(true),
        // No state change, or a stop of a process that this one traces.
        _ => Waited::Running,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_statuses_are_read_as_wait_2_writes_them() {
        assert_eq!(ExitStatus::from_wait_status(7 << 8), ExitStatus::Exited(7));
        let killed = ExitStatus::Signaled { signal: 9, core_dumped: false };
        assert_eq!(ExitStatus::from_wait_status(9), killed);
        assert_eq!(killed.to_string(), "signal SIGKILL");
        let dumped = ExitStatus::from_wait_status(0x80 | 11);
        assert_eq!(dumped.to_string(), "signal SIGSEGV (core dumped)");
        for status in [0, 7 << 8, 255 << 8, 9, 0x80 | 11] {
            assert_eq!(ExitStatus::from_wait_status(status).to_wait_status(), Some(status));
        }
        assert_eq!(ExitStatus::Unknown.to_wait_status(), None);
    }

    #[test]
    fn a_process_that_is_not_a_child_is_not_ours() {
        assert_eq!(try_wait(Target::Pid(Pid::from_raw(1).unwrap()), Reap::Yes).unwrap(), Waited::NotOurs);
    }
}
