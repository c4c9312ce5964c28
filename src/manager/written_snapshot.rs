// SPDX-License-Identifier: MPL-2.0
//! What a manager has written to its snapshot and journal.

use crate::declaration::Fingerprint;

/// What is in the files of the data directory.
#[derive(Debug, Default)]
pub(super) struct WrittenSnapshot {
    pub(super) snapshot: Option<Fingerprint>,
    /// How many proxies were written down after it.
    pub(super) ahead: usize,
    /// What followed an earlier one could not be removed.
    pub(super) untidy: bool,
}
