// SPDX-License-Identifier: MPL-2.0
//! What a child inherits of this process, and its program is not to have: read once for many starts, for it seldom changes, and the 64
//! system calls for the signals alone were half of those of a start.

use super::fd_limit::{self, Limit};
use super::{clone3, oom_score};
use crate::sys::signal_mask;

/// What this process is like at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HostProcess {
    /// The signals that it ignores, as a mask; nothing where a child has to reset all anyway.
    pub(super) ignored: u64,
    /// `None` if it cannot be read.
    pub(super) oom_score: Option<i32>,
    pub(super) descriptors: Option<Limit>,
}

impl HostProcess {
    pub(crate) fn read() -> HostProcess {
        let ignored = if clone3::may_work() { signal_mask::ignored() } else { 0 };
        HostProcess { ignored, oom_score: oom_score::own(), descriptors: fd_limit::descriptors_now() }
    }
}
