// SPDX-License-Identifier: MPL-2.0
//! A log that is kept within a limit: where it is, and the files with its older lines.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::data_dir::DataDir;
use super::log_dir::LogDir;
use crate::command::LogLimits;
use crate::sys::file::{Dir, FoundFile};

/// Where the log of a stream of a proxy is.
#[derive(Debug, Clone)]
pub(crate) enum LogLocation {
    InDataDir(Arc<DataDir>, Arc<str>, usize),
    InLogDir(Arc<LogDir>, Arc<str>, usize),
    /// A file of the user's.
    At(PathBuf),
}

/// The same, with its limits.
#[derive(Debug, Clone)]
pub(crate) struct BoundedLog {
    pub(crate) location: LogLocation,
    pub(crate) limits: LogLimits,
}

impl LogLocation {
    /// Its path, for messages.
    pub(crate) fn path(&self) -> PathBuf {
        match self {
            LogLocation::InDataDir(data_dir, id, stream) => data_dir.log_paths(id)[*stream].clone(),
            LogLocation::InLogDir(log_dir, id, stream) => log_dir.log_paths(id)[*stream].clone(),
            LogLocation::At(path) => path.clone(),
        }
    }

    /// The file that is there, if there is one.
    ///
    /// # Errors
    /// Also for what is no regular file.
    pub(crate) fn find(&self) -> io::Result<Option<FoundFile>> {
        self.place()?.map_or(Ok(None), |(dir, leaf)| dir.regular_file(&leaf))
    }

    /// Opens it, if it is there.
    ///
    /// # Errors
    /// Also for what may not be cut: a link, what has several names, and at a path of the user's what is not the agent's.
    pub(crate) fn open(&self) -> io::Result<Option<OpenLog>> {
        let Some((dir, leaf)) = self.place()? else { return Ok(None) };
        // A directory of the library's is ours alone, and a log in it may have been given to the user of its proxy.
        let any_owner = !matches!(self, LogLocation::At(_));
        match dir.open_for_cut(&leaf, any_owner) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(|file| Some(OpenLog { file, dir, leaf })),
        }
    }

    fn place(&self) -> io::Result<Option<(Arc<Dir>, CString)>> {
        match self {
            LogLocation::InDataDir(data_dir, id, stream) => data_dir.log_place(id, *stream),
            LogLocation::InLogDir(log_dir, id, stream) => log_dir.log_place(id, *stream),
            LogLocation::At(path) => {
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
                let leaf = CString::new(path.file_name().unwrap_or(OsStr::new(".")).as_bytes())?;
                match Dir::open(parent) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    dir => dir.map(|dir| Some((Arc::new(dir), leaf))),
                }
            }
        }
    }
}

/// A log that is open for taking lines away.
#[derive(Debug)]
pub(crate) struct OpenLog {
    pub(crate) file: File,
    dir: Arc<Dir>,
    leaf: CString,
}

impl OpenLog {
    /// Writes a new file with older lines, and removes the oldest one.
    ///
    /// # Errors
    /// When it could not be written. The other ones have moved on then.
    pub(super) fn keep_old(&self, keep: u32, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        // Also those that were kept when there were to be more of them.
        let mut number = keep;
        while self.dir.inode(&self.old(number)?)?.is_some() {
            self.dir.remove(&self.old(number)?)?;
            number += 1;
        }
        for number in (1..keep).rev() {
            match self.dir.rename(&self.old(number)?, &self.old(number + 1)?) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let temporary = CString::new([b".", self.leaf.to_bytes(), b".tmp"].concat())?;
        self.dir.replace_by(&temporary, &self.old(1)?, write)
    }

    /// Appends to the youngest file with older lines.
    ///
    /// # Errors
    /// When it could not be written.
    pub(super) fn keep_more(&self, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        self.dir.append_by(&self.old(1)?, write)
    }

    fn old(&self, number: u32) -> io::Result<CString> {
        Ok(CString::new([self.leaf.to_bytes(), format!(".{number}").as_bytes()].concat())?)
    }
}
