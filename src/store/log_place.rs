// SPDX-License-Identifier: MPL-2.0
//! The logs of the proxies in an open directory: the one in a data directory, or a separate one.

use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::data_dir::NOT_FOLLOWED;
use super::id_directories::{descend, descend_existing};
use super::id_file_names::FileName;
use super::io_error_code::code_of;
use super::last_lines::{LogPart, last_lines};
use super::log_positions::LogPositions;
use super::quarantine::set_foreign_aside;
use crate::error::{Error, Result};
use crate::logging::{self, Level};
use crate::sys::fail;
use crate::sys::file::Dir;

/// How the two logs of a proxy end.
pub(super) const SUFFIXES: [&str; 2] = ["-stdout.log", "-stderr.log"];

const FLAGS: i32 = libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT;

/// Whose a log is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LogOwner {
    Agent,
    Proxy { uid: u32, gid: u32 },
}

/// Whether a name is that of a log of a proxy.
pub(super) fn is_log_name(name: &OsStr) -> bool {
    SUFFIXES.iter().any(|suffix| name.as_bytes().ends_with(suffix.as_bytes()))
}

/// The paths of the two logs of a proxy in the directory at this path, whether they are there or not.
pub(super) fn paths_in(dir: &Path, id: &str) -> [PathBuf; 2] {
    let name = FileName::of(id);
    let mut place = dir.to_owned();
    place.extend(name.parents.iter().map(|parent| OsStr::from_bytes(parent.as_bytes())));
    SUFFIXES.map(|suffix| {
        let leaf = name.leaf("", suffix);
        let mut path = PathBuf::with_capacity(place.as_os_str().len() + 1 + leaf.as_bytes().len());
        path.extend([place.as_path(), Path::new(OsStr::from_bytes(leaf.as_bytes()))]);
        path
    })
}

/// Device and inode of the logs of a proxy, as far as they are there, in a directory that may be missing.
pub(super) fn files_in(dir: Option<Arc<Dir>>, id: &str) -> std::io::Result<Vec<(u64, u64)>> {
    let name = FileName::of(id);
    let Some(place) = descend_existing(dir, &name)? else { return Ok(Vec::new()) };
    SUFFIXES.iter().filter_map(|suffix| place.inode(&name.leaf("", suffix)).transpose()).collect()
}

/// The directory of a log of a proxy and its name there, in a directory that may be missing.
pub(super) fn place_in(dir: Option<Arc<Dir>>, id: &str, stream: usize) -> std::io::Result<Option<(Arc<Dir>, CString)>> {
    let name = FileName::of(id);
    Ok(descend_existing(dir, &name)?.map(|place| (place, name.leaf("", SUFFIXES[stream]))))
}

/// The last lines that a process has written to the second log of a proxy, in a directory that may be missing.
pub(super) fn last_lines_in(
    dir: Option<Arc<Dir>>,
    id: &str,
    part: LogPart,
    until: Option<u64>,
    positions: &LogPositions,
) -> std::io::Result<Vec<String>> {
    let name = FileName::of(id);
    let Some(place) = descend_existing(dir, &name)? else { return Ok(Vec::new()) };
    last_lines(&place.open_file_of_any_owner(&name.leaf("", SUFFIXES[1]))?, part, until, positions)
}

/// A directory in which logs are opened, and its path, for messages.
pub(super) struct LogPlace {
    pub(super) dir: Arc<Dir>,
    pub(super) path: PathBuf,
}

impl LogPlace {
    /// Opens those of the two logs of a proxy that are wanted, for appending.
    pub(super) fn open(self, id: &str, wanted: [bool; 2], owner: LogOwner) -> Result<[Option<OwnedFd>; 2]> {
        let name = FileName::of(id);
        let LogPlace { dir, path } = self;
        let place = descend(dir, &name).map_err(|error| failed("open logs directory", &path, &error))?;
        let open = |stream: usize| -> Result<Option<OwnedFd>> {
            if !wanted[stream] {
                return Ok(None);
            }
            let leaf = name.leaf("", SUFFIXES[stream]);
            let path = path.join(OsStr::from_bytes(leaf.as_bytes()));
            let file = fail::failing("logs:open").and_then(|()| open_log(&place, &leaf, &path, owner));
            file.map(|file| Some(file.into())).map_err(|error| {
                let failed = failed("open log file", &path, &error);
                if place.is_link(&leaf) { failed.followed_by(NOT_FOLLOWED) } else { failed }
            })
        };
        Ok([open(0)?, open(1)?])
    }
}

pub(super) fn failed(what: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::os(code_of(error), format_args!("{what} {}", path.display()), error)
}

/// Opens a log. A proxy with more privilege than its workers gives it to them (nginx does when it reopens its logs):
/// then it is taken back, or, by an agent that may not do that, set aside. So is one to which a user that it belonged to
/// has given another name.
fn open_log(place: &Dir, leaf: &CStr, path: &Path, owner: LogOwner) -> std::io::Result<File> {
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
    let message =
        format_args!("log file {} belongs to another user: set aside as {}", path.display(), aside.to_string_lossy());
    logging::write(Level::Warn, message);
    open()
}
