// SPDX-License-Identifier: MPL-2.0
//! The messages to the thread that keeps logs within their limits.

use crate::store::BoundedLog;
use crate::supervisor::process_key::ProcessKey;

/// A message to the thread.
#[derive(Debug)]
pub(super) enum Request {
    /// These are the logs of a process now.
    Keep(ProcessKey, Vec<BoundedLog>),
    End,
}
