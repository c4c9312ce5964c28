// SPDX-License-Identifier: MPL-2.0
//! Removing the front of a file while processes append to it.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;

use super::at::{open_at, stat_at};
use super::dir::Dir;
use super::owner::{check_owner, refused};
use crate::sys::{check, fail};

/// What is under a name: a regular file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FoundFile {
    /// Device and inode.
    pub(crate) id: (u64, u64),
    pub(crate) size: u64,
    /// When it was last written to: seconds and nanoseconds.
    pub(crate) written: (i64, i64),
}

impl Dir {
    /// The regular file under a name; `None` when there is none. It is not opened.
    ///
    /// # Errors
    /// Also for what is no regular file, a link among them.
    pub(crate) fn regular_file(&self, name: &CStr) -> io::Result<Option<FoundFile>> {
        let found = match stat_at(self.raw(), name, libc::AT_SYMLINK_NOFOLLOW) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            found => found?,
        };
        if found.st_mode & libc::S_IFMT != libc::S_IFREG {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let (id, written) = ((found.st_dev, found.st_ino), (found.st_mtime, found.st_mtime_nsec));
        Ok(Some(FoundFile { id, size: u64::try_from(found.st_size).unwrap_or_default(), written }))
    }

    /// Opens the regular file under a name for taking its front away. No link is followed, and a file with several names is
    /// refused: by another one it may be what no log is. `any_owner`: also one of another user, in a directory that is ours
    /// alone.
    pub(crate) fn open_for_cut(&self, name: &CStr, any_owner: bool) -> io::Result<File> {
        // ORDER: before it is opened, for a pipe would notice.
        self.regular_file(name)?;
        let flags = libc::O_RDWR | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
        let file = File::from(open_at(self.raw(), name, flags, 0)?);
        let found = stat_at(file.as_raw_fd(), c"", libc::AT_EMPTY_PATH)?;
        if found.st_mode & libc::S_IFMT != libc::S_IFREG {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        if !any_owner {
            check_owner(&found)?;
        }
        if found.st_nlink > 1 {
            return refused(format!("a file with {} names, expected 1", found.st_nlink));
        }
        Ok(file)
    }
}

/// Device and inode of an open file.
pub(crate) fn id_of(file: &File) -> io::Result<(u64, u64)> {
    file.metadata().map(|found| (found.dev(), found.ino()))
}

/// Removes the first bytes of a file: the rest moves to its beginning, and processes that append go on at its new end
/// (fallocate(2), `FALLOC_FL_COLLAPSE_RANGE`; Linux 3.15). `length`: whole blocks of the file system, and less than all.
pub(crate) fn remove_front(file: &File, length: u64) -> io::Result<()> {
    fail::failing("log:collapse")?;
    fallocate(file, libc::FALLOC_FL_COLLAPSE_RANGE, length)
}

/// Gives the space of the first bytes of a file back, which are zeros then (`FALLOC_FL_PUNCH_HOLE`; Linux 2.6.38).
pub(crate) fn free_front(file: &File, length: u64) -> io::Result<()> {
    fail::failing("log:punch")?;
    fallocate(file, libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE, length)
}

/// Whether a file system does not have what it was asked for.
pub(crate) fn is_not_supported(error: &io::Error) -> bool {
    // EINVAL: blocks of another size than the file system says; or the file is not so long any more.
    matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL))
}

fn fallocate(file: &File, mode: libc::c_int, length: u64) -> io::Result<()> {
    let length = libc::off_t::try_from(length).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))?;
    // SAFETY: the descriptor is open for the time of the call, which takes no pointer.
    check(i64::from(unsafe { libc::fallocate(file.as_raw_fd(), mode, 0, length) })).map(drop)
}

/// Where the first byte of a file is that takes space; its end, when none does.
pub(crate) fn data_begins(file: &File) -> io::Result<u64> {
    Ok(data_after(file, 0)?.unwrap_or(file.metadata()?.len()))
}

/// Where the first byte of a file is, from a place on, that takes space (lseek(2), `SEEK_DATA`; Linux 3.1); `None` when none
/// does. A file system that does not know it says that all bytes do.
pub(crate) fn data_after(file: &File, from: u64) -> io::Result<Option<u64>> {
    seek(file, from, libc::SEEK_DATA)
}

/// Where the first byte of a file is, from a place on, that takes no space, or its end (`SEEK_HOLE`).
pub(crate) fn hole_after(file: &File, from: u64) -> io::Result<u64> {
    Ok(seek(file, from, libc::SEEK_HOLE)?.unwrap_or(from))
}

/// `None` behind the end of a file.
fn seek(file: &File, from: u64, whence: libc::c_int) -> io::Result<Option<u64>> {
    let from = libc::off_t::try_from(from).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))?;
    // SAFETY: the descriptor is open for the time of the call, which takes no pointer.
    let found = check(unsafe { libc::lseek(file.as_raw_fd(), from, whence) } as i64);
    match found {
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => Ok(None),
        found => found.map(|found| Some(u64::try_from(found).unwrap_or_default())),
    }
}
