// SPDX-License-Identifier: MPL-2.0
//! The cgroup limits that a process does not have.

use std::time::Instant;

use crate::error::Error;

/// Limits that its process does not have.
#[derive(Debug)]
pub(crate) struct MissingLimits {
    /// Why, for the status.
    pub(crate) error: Error,
    /// When it is tried again; a process without a cgroup has none before its next start.
    pub(crate) retry_at: Option<Instant>,
    /// How often in a row it could not be done.
    pub(crate) failures: u32,
}
