// SPDX-License-Identifier: MPL-2.0
//! Process ids as checked numbers, and the pid and the user of this process.

use std::fmt;

/// A process id: at least 1, so that 0 (the own group) and -1 (all processes) can never reach a kill.
///
/// It is not a handle: the process can end and its pid can be recycled at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Pid(i32);

impl Pid {
    pub(crate) fn from_raw(pid: i32) -> Option<Pid> {
        (pid >= 1).then_some(Pid(pid))
    }

    pub(crate) fn as_raw(self) -> i32 {
        self.0
    }

    pub(crate) fn as_u32(self) -> u32 {
        self.0.unsigned_abs()
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// This process.
pub(crate) fn own_pid() -> Pid {
    // SAFETY: getpid has no preconditions and cannot fail.
    Pid(unsafe { libc::getpid() })
}

/// The effective user of this process.
pub(crate) fn effective_uid() -> u32 {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() }
}

/// Whether the real, effective or saved user of this process is root: with any of them it can become root again
/// (setresuid(2)).
pub(crate) fn has_root_uid() -> bool {
    let [mut real, mut effective, mut saved] = [0; 3];
    // SAFETY: the pointers are to live integers of this frame, which the call writes to (getresuid(2)).
    unsafe { libc::getresuid(&mut real, &mut effective, &mut saved) };
    // The call fails only for bad pointers; the zeros that it would leave mean root, which is refused.
    [real, effective, saved].contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_and_negative_numbers_are_no_pids() {
        assert!([0, -1, i32::MIN].into_iter().all(|raw| Pid::from_raw(raw).is_none()));
    }
}
