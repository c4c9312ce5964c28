// SPDX-License-Identifier: MPL-2.0
//! The logs of the proxies in a data directory.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::data_dir::DataDir;
use super::last_lines::LogPart;
use super::log_place::{LogOwner, LogPlace, files_in, is_log_name, last_lines_in, paths_in, place_in};
use super::log_positions::LogPositions;
use super::subdirectories::Subdirectory;
use crate::error::Result;
use crate::sys::file::Dir;

/// Whether a path may be that of a log of a proxy, in whatever data directory or log directory.
pub(crate) fn is_log(path: &Path) -> bool {
    is_log_name(path.file_name().unwrap_or_default())
}

impl DataDir {
    /// Opens those of the two logs of a proxy that are wanted, for appending.
    pub(crate) fn open_logs(&self, id: &str, wanted: [bool; 2], owner: LogOwner) -> Result<[Option<OwnedFd>; 2]> {
        let place = LogPlace { dir: self.part(Subdirectory::Logs)?, path: self.logs_path() };
        place.open(id, wanted, owner)
    }

    /// The paths of the two logs of a proxy, whether they are there or not.
    pub(crate) fn log_paths(&self, id: &str) -> [PathBuf; 2] {
        paths_in(&self.logs_path(), id)
    }

    /// The last lines that a process has written to the second of them.
    pub(crate) fn last_lines(
        &self,
        id: &str,
        part: LogPart,
        until: Option<u64>,
        positions: &LogPositions,
    ) -> std::io::Result<Vec<String>> {
        last_lines_in(self.part_as_it_is(Subdirectory::Logs)?, id, part, until, positions)
    }

    /// Where a log of a proxy is, if its directory is there.
    pub(super) fn log_place(&self, id: &str, stream: usize) -> std::io::Result<Option<(Arc<Dir>, CString)>> {
        place_in(self.part_as_it_is(Subdirectory::Logs)?, id, stream)
    }

    /// Device and inode of the logs of a proxy, as far as they are there.
    pub(crate) fn log_files(&self, id: &str) -> std::io::Result<Vec<(u64, u64)>> {
        files_in(self.part_as_it_is(Subdirectory::Logs)?, id)
    }

    fn logs_path(&self) -> PathBuf {
        self.path().join(Subdirectory::Logs.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_known_by_their_paths() {
        let logs = ["/data/logs/web-stdout.log", "/logs/%a+/%b-stderr.log", "/var/log/proxies/web-stderr.log"];
        let others = ["/data/stdout.log", "/data/logs/web.log", "/logs", "/"];
        assert!(logs.iter().all(|path| is_log(Path::new(path))));
        assert!(!others.iter().any(|path| is_log(Path::new(path))));
    }
}
