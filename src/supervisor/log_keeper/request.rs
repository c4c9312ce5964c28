// SPDX-License-Identifier: MPL-2.0
//! The messages to the thread of the logs.

use std::sync::Arc;

use crate::store::BoundedLog;
use crate::supervisor::process_key::ProcessKey;
use crate::supervisor::removed_logs::RemovedLogs;

/// A message to the thread.
#[derive(Debug)]
pub(super) enum Request {
    /// These are the logs of a process now.
    Keep(ProcessKey, Vec<BoundedLog>),
    /// Proxies of a manager were removed, and the logs of some may be too many.
    Sweep(Arc<RemovedLogs>),
    End,
}
