// SPDX-License-Identifier: MPL-2.0
//! A directory with the logs of the proxies of a manager that has no data directory.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::log_home::LogHome;
use super::log_place::failed;
use crate::error::Result;
use crate::sys::file::{Dir, create_dir_all};

/// It is opened anew for each use, so that it can be moved away and made again at any time.
#[derive(Debug)]
pub(crate) struct LogDir {
    /// Wherever the host's working directory is by then.
    absolute: PathBuf,
}

impl LogDir {
    /// Makes it, for this user alone, if it is not there. One that is there keeps its mode: those who may read it, as a group of
    /// log readers, are its owner's to choose.
    ///
    /// # Errors
    /// [`ErrorCode::Untrusted`](crate::ErrorCode::Untrusted) for one that is another user's or that others may write to,
    /// [`ErrorCode::Io`](crate::ErrorCode::Io).
    pub(crate) fn open(path: &Path) -> Result<LogDir> {
        let absolute = std::path::absolute(path).map_err(|error| failed("find log directory", path, &error))?;
        let log_dir = LogDir { absolute };
        log_dir.logs_dir().map(|_| log_dir)
    }
}

impl LogHome for LogDir {
    fn logs_path(&self) -> PathBuf {
        self.absolute.clone()
    }

    fn logs_dir(&self) -> Result<Arc<Dir>> {
        let path = &self.absolute;
        create_dir_all(path).map_err(|error| failed("create log directory", path, &error))?;
        let dir = Dir::open_unless_planted(path).and_then(|dir| dir.check_private().map(|_| dir));
        dir.map(Arc::new).map_err(|error| failed("open log directory", path, &error))
    }

    fn logs_dir_as_it_is(&self) -> io::Result<Option<Arc<Dir>>> {
        match Dir::open_unless_planted(&self.absolute) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(|dir| Some(Arc::new(dir))),
        }
    }

    fn private_logs_dir(&self) -> io::Result<Option<Arc<Dir>>> {
        let dir = self.logs_dir_as_it_is()?;
        if let Some(dir) = &dir {
            dir.check_private()?;
        }
        Ok(dir)
    }

    fn knows_processes(&self) -> bool {
        // Those that an earlier agent has left are recorded nowhere.
        false
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::store::LogLocation;

    #[test]
    fn log_in_a_directory_that_others_may_write_to_is_not_opened_for_a_cut() {
        let path = std::env::temp_dir().join(format!("proxyprocess-logs-{}", crate::sys::random::uuid().unwrap()));
        let logs = Arc::new(LogDir::open(&path).unwrap());
        std::fs::write(path.join("web-stdout.log"), "line\n").unwrap();
        let log = LogLocation::In(logs, "web".into(), 0);
        assert!(log.open().unwrap().is_some());
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).unwrap();
        let error = log.open().unwrap_err().to_string();
        assert!(error.starts_with("others may write to it"), "{error}");
        assert!(log.find().is_err());
        std::fs::remove_dir_all(path).unwrap();
    }
}
