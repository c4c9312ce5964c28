// SPDX-License-Identifier: MPL-2.0
//! How much of logs is on disk.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::sys::fail;

/// What the kernel counts blocks in, whatever the file system has (stat(2)).
const BLOCK: u64 = 512;

/// How much of the file at a path takes space, in bytes; `None` when there is no regular file.
pub(crate) fn size_on_disk(path: &Path) -> Option<u64> {
    fail::point("log:measure");
    let found = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    // Of one whose front was given back only the rest does; and blocks are not filled to their ends.
    Some(found.len().min(found.blocks().saturating_mul(BLOCK)))
}
