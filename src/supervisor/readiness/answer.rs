// SPDX-License-Identifier: MPL-2.0
//! The result of a readiness check.

/// Whether a process is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Ready,
    NotReady,
    /// The agent has no descriptors or no memory to find out.
    Unknown,
}
