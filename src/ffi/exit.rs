// SPDX-License-Identifier: MPL-2.0
//! How a process ended, as C sees it.

use super::failure::Failure;
use crate::sys::wait::ExitStatus;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum proxyprocess_exit {
    /// It has not ended.
    PROXYPROCESS_EXIT_NONE = 0,
    /// It exited; the value is its exit code, 0 to 255.
    PROXYPROCESS_EXIT_CODE = 1,
    /// It was killed by a signal; the value is the number of the signal.
    PROXYPROCESS_EXIT_SIGNAL = 2,
    /// It was killed by a signal and dumped core; the value is the number of the signal.
    PROXYPROCESS_EXIT_SIGNAL_CORE = 3,
    /// It is gone, and the kernel does not report how it ended; the value is 0.
    PROXYPROCESS_EXIT_UNKNOWN = 4,
}

/// A value of [`proxyprocess_exit`] and the value that goes with it.
pub(super) fn exit(status: Option<ExitStatus>) -> (i32, i32) {
    use proxyprocess_exit as C;
    let (kind, value) = match status {
        None => (C::PROXYPROCESS_EXIT_NONE, 0),
        Some(ExitStatus::Exited(code)) => (C::PROXYPROCESS_EXIT_CODE, code),
        Some(ExitStatus::Signaled { signal, core_dumped: false }) => (C::PROXYPROCESS_EXIT_SIGNAL, signal),
        Some(ExitStatus::Signaled { signal, core_dumped: true }) => (C::PROXYPROCESS_EXIT_SIGNAL_CORE, signal),
        Some(ExitStatus::Unknown) => (C::PROXYPROCESS_EXIT_UNKNOWN, 0),
    };
    (kind as i32, value)
}

/// The reverse of [`exit`]; `name` is the name of the argument in errors.
pub(super) fn exit_status(name: &str, kind: i32, value: i32) -> Result<Option<ExitStatus>, Failure> {
    Ok(Some(match kind {
        0 => return Ok(None),
        1 => ExitStatus::Exited(value),
        2 => ExitStatus::Signaled { signal: value, core_dumped: false },
        3 => ExitStatus::Signaled { signal: value, core_dumped: true },
        4 => ExitStatus::Unknown,
        other => return Err(Failure::argument(format!("{name}: expected a kind of exit, got {other}"))),
    }))
}
