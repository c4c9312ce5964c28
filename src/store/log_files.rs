// SPDX-License-Identifier: MPL-2.0
//! The logs of the proxies.

use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::data_dir::{DataDir, NOT_FOLLOWED};
use super::id_directories::{descend, descend_existing};
use super::id_file_names::FileName;
use super::last_lines::{LogPart, last_lines};
use super::quarantine::set_foreign_aside;
use super::subdirectories::Subdirectory;
use crate::error::Result;
use crate::logging::{self, Level};
use crate::sys::fail;
use crate::sys::file::Dir;

/// How the two logs of a proxy end.
const SUFFIXES: [&str; 2] = ["-stdout.log", "-stderr.log"];

const FLAGS: i32 = libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT;

/// Whose a log is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LogOwner {
    Agent,
    Proxy { uid: u32, gid: u32 },
}

/// Whether a path may be that of a log of a proxy, in whatever data directory.
pub(crate) fn is_log(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_bytes();
    let ends = SUFFIXES.iter().any(|suffix| name.ends_with(suffix.as_bytes()));
    ends && path.components().any(|component| component.as_os_str() == "logs")
}

impl DataDir {
    /// Opens those of the two logs of a proxy that are wanted, for appending.
    pub(crate) fn open_logs(&self, id: &str, wanted: [bool; 2], owner: LogOwner) -> Result<[Option<OwnedFd>; 2]> {
        let name = FileName::of(id);
        let place = descend(self.part(Subdirectory::Logs)?, &name);
        let place = place.map_err(|error| self.failed("open logs directory", "logs", &error))?;
        let open = |stream: usize| -> Result<Option<OwnedFd>> {
            if !wanted[stream] {
                return Ok(None);
            }
            let suffix = SUFFIXES[stream];
            let leaf = name.leaf("", suffix);
            let shown = format!("logs/{}", leaf.to_string_lossy());
            let file = fail::failing("logs:open").and_then(|()| self.open_log(&place, &leaf, &shown, owner));
            file.map(|file| Some(file.into())).map_err(|error| {
                let failed = self.failed("open log file", &shown, &error);
                if place.is_link(&leaf) { failed.followed_by(NOT_FOLLOWED) } else { failed }
            })
        };
        Ok([open(0)?, open(1)?])
    }

    /// Opens a log. A proxy with more privilege than its workers gives it to them (nginx does when it reopens its logs):
    /// then it is taken back, or, by an agent that may not do that, set aside. So is one to which a user that it belonged to
    /// has given another name.
    fn open_log(&self, place: &Dir, leaf: &CStr, shown: &str, owner: LogOwner) -> std::io::Result<File> {
        let open = || match owner {
            LogOwner::Agent => place.open_file_taken_back(leaf, FLAGS),
            LogOwner::Proxy { uid, gid } => place.open_file_given_to(leaf, FLAGS, uid, gid),
        };
        let error = match open() {
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => error,
            opened => return opened,
        };
        if !place.is_foreign_file(leaf) {
            return Err(error);
        }
        let Some(aside) = set_foreign_aside(place, leaf)? else { return Err(error) };
        let path = self.path().join(shown);
        let message = format_args!(
            "log file {} belongs to another user: set aside as {}",
            path.display(),
            aside.to_string_lossy()
        );
        logging::write(Level::Warn, message);
        open()
    }

    /// The paths of the two logs of a proxy, whether they are there or not.
    pub(crate) fn log_paths(&self, id: &str) -> [PathBuf; 2] {
        let name = FileName::of(id);
        let mut place = self.path().join(Subdirectory::Logs.as_str());
        place.extend(name.parents.iter().map(|parent| OsStr::from_bytes(parent.as_bytes())));
        SUFFIXES.map(|suffix| place.join(OsStr::from_bytes(name.leaf("", suffix).as_bytes())))
    }

    /// The last lines that a process has written to the second of them.
    pub(crate) fn last_lines(&self, id: &str, part: LogPart, until: Option<u64>) -> std::io::Result<Vec<String>> {
        let name = FileName::of(id);
        let Some(place) = descend_existing(self.part_as_it_is(Subdirectory::Logs)?, &name)? else {
            return Ok(Vec::new());
        };
        last_lines(&place.open_file_of_any_owner(&name.leaf("", SUFFIXES[1]))?, part, until)
    }

    /// Device and inode of the logs of a proxy, as far as they are there.
    pub(crate) fn log_files(&self, id: &str) -> std::io::Result<Vec<(u64, u64)>> {
        files_in(self.part_as_it_is(Subdirectory::Logs)?, id)
    }
}

/// The same in a directory of logs, if there is one.
pub(super) fn files_in(part: Option<Arc<Dir>>, id: &str) -> std::io::Result<Vec<(u64, u64)>> {
    let name = FileName::of(id);
    let Some(place) = descend_existing(part, &name)? else { return Ok(Vec::new()) };
    SUFFIXES.iter().filter_map(|suffix| place.inode(&name.leaf("", suffix)).transpose()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_known_by_their_paths() {
        let logs = ["/data/logs/web-stdout.log", "/logs/%a+/%b-stderr.log"];
        let others = ["/data/web-stdout.log", "/data/logs/web.log", "/logs", "/"];
        assert!(logs.iter().all(|path| is_log(Path::new(path))));
        assert!(!others.iter().any(|path| is_log(Path::new(path))));
    }
}
