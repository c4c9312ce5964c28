// SPDX-License-Identifier: MPL-2.0
//! What is to be started in place of a process that runs.

use std::sync::Arc;
use std::time::Instant;

use crate::error::Error;
use crate::supervisor::spec::Spec;

/// What is to be started in place of its process, once it is known that it can be.
#[derive(Debug)]
pub(crate) struct Replacement {
    pub(crate) spec: Arc<Spec>,
    /// Whether it is not to be started beside it, whatever is declared: that was tried.
    pub(crate) alone: bool,
    /// Why it cannot be.
    pub(crate) error: Option<Error>,
    /// When that is found out again.
    pub(crate) retry_at: Option<Instant>,
    /// How often in a row it could not be.
    pub(crate) failures: u32,
}

impl Replacement {
    /// Of which nothing is known yet.
    pub(crate) fn new(spec: Arc<Spec>) -> Replacement {
        Replacement { spec, alone: false, error: None, retry_at: None, failures: 0 }
    }
}
