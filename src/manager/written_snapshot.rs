// SPDX-License-Identifier: MPL-2.0
//! What a manager has written to its snapshot and journal.

use crate::declaration::Fingerprint;
use crate::sys::file::FileVersion;

/// What is in the files of the data directory.
#[derive(Debug, Default)]
pub(super) struct WrittenSnapshot {
    pub(super) snapshot: Option<SnapshotFile>,
    pub(super) ahead: WrittenAhead,
    /// What followed an earlier one could not be removed.
    pub(super) untidy: bool,
}

/// The snapshot as it was written.
#[derive(Debug, Clone, Copy)]
pub(super) struct SnapshotFile {
    /// Of its text.
    pub(super) digest: Fingerprint,
    /// The file that it is in: of another one, which was put in its place, nothing is known.
    pub(super) version: FileVersion,
}

/// What was written after the snapshot.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WrittenAhead {
    /// How many proxies.
    pub(super) count: usize,
    /// How long the file is.
    pub(super) length: u64,
    /// Whether it was not announced yet that it is written.
    pub(super) untold: bool,
}
