// SPDX-License-Identifier: MPL-2.0
//! The logs of the proxies in a data directory.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::data_dir::DataDir;
use super::log_home::LogHome;
use super::log_place::is_log_name;
use super::subdirectories::Subdirectory;
use crate::error::Result;
use crate::sys::file::Dir;

/// Whether a path may be that of a log of a proxy, in whatever data directory or log directory.
pub(crate) fn is_log(path: &Path) -> bool {
    is_log_name(path.file_name().unwrap_or_default())
}

impl LogHome for DataDir {
    fn logs_path(&self) -> PathBuf {
        self.path().join(Subdirectory::Logs.as_str())
    }

    fn logs_dir(&self) -> Result<Arc<Dir>> {
        self.part(Subdirectory::Logs)
    }

    fn logs_dir_as_it_is(&self) -> io::Result<Option<Arc<Dir>>> {
        self.part_as_it_is(Subdirectory::Logs)
    }

    fn private_logs_dir(&self) -> io::Result<Option<Arc<Dir>>> {
        // Below a directory that no other user may enter.
        self.logs_dir_as_it_is()
    }

    fn knows_processes(&self) -> bool {
        true
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
