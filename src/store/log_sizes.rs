// SPDX-License-Identifier: MPL-2.0
//! The sizes of logs on disk.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::sys::fail;
use crate::sys::file::{open_at, stat_at};

/// What the kernel counts blocks in, whatever the file system has (stat(2)).
const BLOCK: i64 = 512;

/// Finds the sizes of many logs, most of which are in one directory.
#[derive(Debug, Default)]
pub(crate) struct LogMeasure {
    /// The directory of the last one, if it could be opened: its path is not walked again for each.
    dir: Option<(PathBuf, Option<OwnedFd>)>,
}

impl LogMeasure {
    /// How much of the file at a path takes space, in bytes; `None` when there is no regular file.
    pub(crate) fn size(&mut self, path: &Path) -> Option<u64> {
        fail::point("log:measure");
        let bytes = path.as_os_str().as_bytes();
        let slash = bytes.iter().rposition(|byte| *byte == b'/')?;
        let parent = &bytes[..slash.max(1)];
        if self.dir.as_ref().is_none_or(|(path, _)| path.as_os_str().as_bytes() != parent) {
            let opened = open_at(libc::AT_FDCWD, &CString::new(parent).ok()?, libc::O_PATH | libc::O_DIRECTORY, 0);
            self.dir = Some((OsStr::from_bytes(parent).into(), opened.ok()));
        }
        let (_, dir) = self.dir.as_ref()?;
        let found = stat_at(dir.as_ref()?.as_raw_fd(), &CString::new(&bytes[slash + 1..]).ok()?, 0).ok()?;
        // Of one whose front was given back only the rest takes space; and blocks are not filled to their ends.
        let size = found.st_size.min(found.st_blocks.saturating_mul(BLOCK));
        if found.st_mode & libc::S_IFMT == libc::S_IFREG { u64::try_from(size).ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_regular_files_in_any_directory() {
        let place = std::env::temp_dir().join(format!("proxyprocess-sizes-{}", crate::sys::random::uuid().unwrap()));
        std::fs::create_dir_all(place.join("other")).unwrap();
        std::fs::write(place.join("a.log"), "a line\n").unwrap();
        std::fs::write(place.join("other/b.log"), [b'x'; 5000]).unwrap();
        std::fs::File::create(place.join("hole.log")).unwrap().set_len(1 << 30).unwrap();
        std::os::unix::fs::symlink("a.log", place.join("link.log")).unwrap();
        let mut measure = LogMeasure::default();
        let mut size = |name: &str| measure.size(&place.join(name));
        assert_eq!(["a.log", "other/b.log", "link.log"].map(&mut size), [Some(7), Some(5000), Some(7)]);
        assert_eq!(["hole.log", "gone.log", "other", "gone/a.log"].map(size), [Some(0), None, None, None]);
        assert_eq!(["/dev/null", "/", "relative"].map(|path| measure.size(Path::new(path))), [None; 3]);
        std::fs::remove_dir_all(place).unwrap();
    }
}
