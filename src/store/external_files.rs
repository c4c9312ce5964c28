// SPDX-License-Identifier: MPL-2.0
//! Files of the user outside a data directory: snapshots, and pid files and logs of daemons without a manager.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use super::io_error_code::code_of;
use super::last_lines::{LogPart, last_lines};
use super::log_positions::LogPositions;
use crate::defaults::MAX_SNAPSHOT;
use crate::error::{Error, Result};
use crate::sys::file::{self, Dir};
use crate::sys::null;

/// Writes a file of the user's by a temporary file and a rename, for snapshots and pid files outside a data directory.
pub(crate) fn replace_file(path: &Path, write: impl FnOnce(&mut File) -> std::io::Result<()>) -> std::io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Some(name) = path.file_name() else {
        return Err(std::io::Error::from_raw_os_error(libc::EISDIR));
    };
    let dir = Dir::open(parent)?;
    let leaf = CString::new(name.as_encoded_bytes())?;
    let temporary = CString::new([b".", name.as_encoded_bytes(), b".tmp"].concat())?;
    dir.replace_by(&temporary, &leaf, write)
}

/// Reads a snapshot of the user's; `None` when there is none.
pub(crate) fn read_file(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    match file::read_regular(path, MAX_SNAPSHOT) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A log outside a data directory, or `/dev/null`.
pub(crate) fn open_output(path: Option<&Path>) -> Result<OwnedFd> {
    match path {
        Some(path) => file::open_append(path)
            .map_err(|error| Error::os(code_of(&error), format_args!("open log file {}", path.display()), &error)),
        None => null::open_null().map_err(|error| Error::os(code_of(&error), "open /dev/null", &error)),
    }
}

/// The last lines that a process has written to a log outside a data directory. What is no regular file has none that can
/// be read again.
pub(crate) fn last_lines_of(
    path: &Path,
    part: LogPart,
    until: Option<u64>,
    positions: &LogPositions,
) -> std::io::Result<Vec<String>> {
    // A pipe would have a second reader for a moment, and a terminal might become that of this session.
    if !std::fs::metadata(path)?.is_file() {
        return Ok(Vec::new());
    }
    file::open_regular(path).and_then(|log| last_lines(&log, part, until, positions))
}
