// SPDX-License-Identifier: MPL-2.0
//! What a child inherits of this process, and its program is not to have: read once for many starts, for it seldom changes, and the 64
//! system calls for the signals alone were half of those of a start.

use super::fd_limit::{self, Limit};
use super::{clone3, oom_score};
use crate::sys::signal_mask;

/// Signals that a call of the host's ignores for a moment, whatever it was at when they were read: system(3) does so with the first two.
/// Runtimes change what happens at the end of a child.
const CHANGED_AT_ANY_TIME: [i32; 3] = [libc::SIGINT, libc::SIGQUIT, libc::SIGCHLD];

/// What this process is like at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HostProcess {
    /// The signals that it ignores, or may ignore by the time of a start, as a mask; nothing where a child has to reset all anyway.
    pub(super) ignored: u64,
    /// `None` if it cannot be read.
    pub(super) oom_score: Option<i32>,
    pub(super) descriptors: Option<Limit>,
}

impl HostProcess {
    pub(crate) fn read() -> HostProcess {
        let at_any_time = CHANGED_AT_ANY_TIME.iter().fold(0, |mask, signal| mask | 1 << (signal - 1));
        let ignored = if clone3::may_work() { signal_mask::ignored() | at_any_time } else { 0 };
        HostProcess { ignored, oom_score: oom_score::own(), descriptors: fd_limit::descriptors_now() }
    }
}
