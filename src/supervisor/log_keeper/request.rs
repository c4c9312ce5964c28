// SPDX-License-Identifier: MPL-2.0
//! The messages to the log thread.

use std::sync::Arc;

use crate::store::BoundedLog;
use crate::supervisor::events::Counters;
use crate::supervisor::process_key::ProcessKey;
use crate::supervisor::removed_logs::RemovedLogs;

/// The logs of a process that are kept within limits, and where that is counted.
#[derive(Debug)]
pub(crate) struct KeptLogs {
    pub(crate) logs: Vec<BoundedLog>,
    pub(crate) counters: Arc<Counters>,
}

/// A message to the thread.
#[derive(Debug)]
pub(super) enum Request {
    /// These are the logs of a process now.
    Keep(ProcessKey, KeptLogs),
    /// Proxies of a manager were removed, and the logs of some may be too many.
    Sweep(Arc<RemovedLogs>),
    End,
}
