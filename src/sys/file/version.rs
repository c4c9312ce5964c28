// SPDX-License-Identifier: MPL-2.0
//! The identity and version of a file: whether another file has replaced it, or it was written to.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use super::at::stat_at;
use super::dir::Dir;
use crate::sys::fail;

/// A file as it is at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileVersion {
    device: u64,
    inode: u64,
    size: i64,
    /// When it was last written to: seconds and nanoseconds.
    modified: (i64, i64),
}

impl FileVersion {
    pub(crate) fn of(file: &File) -> io::Result<FileVersion> {
        stat_at(file.as_raw_fd(), c"", libc::AT_EMPTY_PATH).map(|found| FileVersion::from_stat(&found))
    }

    fn from_stat(found: &libc::stat) -> FileVersion {
        FileVersion {
            device: found.st_dev,
            inode: found.st_ino,
            size: found.st_size,
            modified: (found.st_mtime, found.st_mtime_nsec),
        }
    }
}

impl Dir {
    /// That of what is under a name, whatever it is; `None` when nothing is. It needs no descriptor.
    pub(crate) fn version(&self, name: &CStr) -> io::Result<Option<FileVersion>> {
        fail::failing("inode")?;
        match stat_at(self.as_fd().as_raw_fd(), name, libc::AT_SYMLINK_NOFOLLOW) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            found => found.map(|found| Some(FileVersion::from_stat(&found))),
        }
    }

    /// Device and inode alone.
    pub(crate) fn inode(&self, name: &CStr) -> io::Result<Option<(u64, u64)>> {
        Ok(self.version(name)?.map(|found| (found.device, found.inode)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn version_is_another_one_after_a_write_and_of_another_file_of_the_same_content() {
        let place = tempfile::tempdir().unwrap();
        let dir = Dir::open(place.path()).unwrap();
        assert_eq!(dir.version(c"file").unwrap(), None);
        let mut file = File::create(place.path().join("file")).unwrap();
        file.write_all(b"one").unwrap();
        let first = FileVersion::of(&file).unwrap();
        std::fs::rename(place.path().join("file"), place.path().join("renamed")).unwrap();
        assert_eq!(dir.version(c"renamed").unwrap(), Some(first));
        std::fs::copy(place.path().join("renamed"), place.path().join("file")).unwrap();
        assert_ne!(dir.version(c"file").unwrap(), Some(first));
        file.write_all(b"two").unwrap();
        assert_ne!(dir.version(c"renamed").unwrap(), Some(first));
    }
}
