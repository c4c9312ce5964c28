// SPDX-License-Identifier: MPL-2.0
//! The names of the snapshot and of its journal in a data directory.

use std::ffi::CStr;
use std::path::Path;

pub(super) const NAME: &CStr = c"snapshot.json";
pub(super) const TEMPORARY: &CStr = c".snapshot.json.tmp";

/// What is written ahead of a start, after the snapshot.
pub(super) const AHEAD: &CStr = c"snapshot.json.ahead";
pub(super) const SHOWN_AHEAD: &str = "snapshot.json.ahead";

/// Whether a file has the name that the snapshot of a data directory has.
pub(crate) fn has_name_of_snapshot(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes() == NAME.to_bytes())
}
