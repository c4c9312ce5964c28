// SPDX-License-Identifier: MPL-2.0
//! A directory that contains the logs of many proxies: the log directory of a data directory, or a separate one.

use std::ffi::CString;
use std::fmt::Debug;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use super::last_lines::LogPart;
use super::log_place::{LogOwner, LogPlace, files_in, last_lines_in, paths_in, place_in};
use super::log_positions::LogPositions;
use crate::error::Result;
use crate::sys::file::Dir;

/// What has such a directory.
pub(crate) trait LogHome: Debug + Send + Sync {
    fn logs_path(&self) -> PathBuf;

    /// The directory, which is made if it is not there.
    fn logs_dir(&self) -> Result<Arc<Dir>>;

    /// The directory, if it is there.
    fn logs_dir_as_it_is(&self) -> io::Result<Option<Arc<Dir>>>;

    /// The same, and no other user may have put anything there: what is cut may be of any owner.
    fn private_logs_dir(&self) -> io::Result<Option<Arc<Dir>>>;

    /// Whether it is known here, and by the next agent, which processes write to these logs.
    fn knows_processes(&self) -> bool;

    /// Opens those of the two logs of a proxy that are wanted, for appending.
    fn open_logs(&self, id: &str, wanted: [bool; 2], owner: LogOwner) -> Result<[Option<OwnedFd>; 2]> {
        LogPlace { dir: self.logs_dir()?, path: self.logs_path() }.open(id, wanted, owner)
    }

    /// The paths of the two logs of a proxy, whether they are there or not.
    fn log_paths(&self, id: &str) -> [PathBuf; 2] {
        paths_in(&self.logs_path(), id)
    }

    /// The last lines that a process has written to the second of them.
    fn last_lines(
        &self,
        id: &str,
        part: LogPart,
        until: Option<u64>,
        positions: &LogPositions,
    ) -> io::Result<Vec<String>> {
        last_lines_in(self.logs_dir_as_it_is()?, id, part, until, positions)
    }

    /// Where a log of a proxy is, if its directory is there.
    fn log_place(&self, id: &str, stream: usize) -> io::Result<Option<(Arc<Dir>, CString)>> {
        place_in(self.private_logs_dir()?, id, stream)
    }

    /// Device and inode of the logs of a proxy, as far as they are there.
    fn log_files(&self, id: &str) -> io::Result<Vec<(u64, u64)>> {
        files_in(self.logs_dir_as_it_is()?, id)
    }
}
