// SPDX-License-Identifier: MPL-2.0
//! Files at paths of the user, outside a data directory: links are followed.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::at::open_at;
use crate::sys::check;

/// What is larger is not read: only its size is asked for, and that again while it is read, for it may grow.
pub(super) fn read_whole(file: File, limit: u64) -> io::Result<Vec<u8>> {
    let too_large = || Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {limit} bytes")));
    let length = file.metadata()?.len();
    if length > limit {
        return too_large();
    }
    // One byte more than it needs: so the end is found without a larger buffer.
    let mut content = Vec::with_capacity(usize::try_from(length + 1).unwrap_or_default());
    file.take(limit + 1).read_to_end(&mut content)?;
    if content.len() as u64 > limit { too_large() } else { Ok(content) }
}

/// Reads a regular file of at most `limit` bytes at a path of the user's, following links.
pub(crate) fn read_regular(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_whole(open_regular(path)?, limit)
}

/// Opens a regular file at a path of the user's for reading, following links. Anything else could block, or never end.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let file = File::from(open_at(libc::AT_FDCWD, &path, libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY, 0)?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok(file)
}

/// Opens a file outside a data directory, for appending, created with mode 0600. It may be a pipe or a terminal: opened
/// without waiting for a reader, which is ENXIO, and without becoming the terminal of this session.
pub(crate) fn open_append(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT | libc::O_NOCTTY;
    let file = open_at(libc::AT_FDCWD, &path, flags | libc::O_NONBLOCK, 0o600)?;
    // Who writes to it wants to wait.
    // SAFETY: the descriptor is open for the time of the call, which takes no pointer.
    check(i64::from(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, libc::O_APPEND) }))?;
    Ok(file)
}
