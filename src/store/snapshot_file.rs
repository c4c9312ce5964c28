// SPDX-License-Identifier: MPL-2.0
//! `snapshot.json` in the data directory, and the journal after it.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::data_dir::DataDir;
use super::journal;
use super::quarantine::{keep, set_aside};
use super::snapshot_names::{AHEAD, NAME, SHOWN_AHEAD, TEMPORARY, has_name_of_snapshot};
use crate::declaration::Fingerprint;
use crate::defaults::MAX_SNAPSHOT;
use crate::error::{Error, Result};
use crate::sys::file::FileVersion;
use crate::sys::{fail, file};

/// Where a line comes that is written ahead.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AheadPlace {
    /// It is the first one after this snapshot.
    Begin(Fingerprint),
    /// It follows others, which are so long.
    At(u64),
}

impl AheadPlace {
    /// The file, and how long it is. What followed another file than ours would be lost with it.
    fn check(self, file: File) -> std::io::Result<(File, u64)> {
        match self {
            AheadPlace::Begin(_) => Ok((file, 0)),
            AheadPlace::At(expected) => match file.metadata()?.len() {
                found if found == expected => Ok((file, found)),
                found => Err(std::io::Error::other(format!("expected {expected} bytes in it, found {found}"))),
            },
        }
    }
}

impl DataDir {
    /// The snapshot's path.
    pub(crate) fn snapshot_path(&self) -> PathBuf {
        self.path().join("snapshot.json")
    }

    /// Whether a path is that of the snapshot, however it is written.
    pub(crate) fn is_snapshot(&self, path: &Path) -> bool {
        let is_here = || {
            let path = std::fs::canonicalize(path).ok()?;
            let parent = file::Dir::open(path.parent()?).ok()?.own_inode().ok()?;
            Some(has_name_of_snapshot(&path) && self.own_inode().ok()? == parent)
        };
        path == self.snapshot_path() || is_here().unwrap_or(false)
    }

    /// Device and inode of the directory.
    pub(crate) fn own_inode(&self) -> std::io::Result<(u64, u64)> {
        self.root_as_it_is().own_inode()
    }

    /// The snapshot's content; `None` when there is none.
    pub(crate) fn read_snapshot(&self) -> Result<Option<Vec<u8>>> {
        match self.root()?.read(NAME, MAX_SNAPSHOT) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("read snapshot", "snapshot.json", &error)),
        }
    }

    /// Which one there is, whatever is in it; `None` when there is none.
    pub(crate) fn snapshot_version(&self) -> Result<Option<FileVersion>> {
        self.root()?.version(NAME).map_err(|error| self.failed("look for", "snapshot.json", &error))
    }

    /// Replaces the snapshot.
    pub(crate) fn write_snapshot(&self, write: impl FnOnce(&mut File) -> std::io::Result<()>) -> Result<()> {
        let written = self.root()?.replace_by(TEMPORARY, NAME, write);
        written.map_err(|error| self.not_replaced("write snapshot", "", TEMPORARY, NAME, &error))
    }

    /// Adds a line to what was written ahead. Says how long that is then.
    pub(crate) fn write_ahead(&self, place: AheadPlace, line: &[u8]) -> Result<u64> {
        let (flags, header) = match place {
            AheadPlace::Begin(snapshot) => (libc::O_CREAT | libc::O_TRUNC, journal::header(snapshot)),
            AheadPlace::At(_) => (0, String::new()),
        };
        let text = [header.as_bytes(), line].concat();
        let root = self.root()?;
        let begin = fail::failing("ahead:open")
            .and_then(|()| root.open_file(AHEAD, libc::O_WRONLY | libc::O_APPEND | flags))
            .and_then(|file| place.check(file));
        begin
            .and_then(|(mut file, length)| {
                fail::failing("ahead:write").and_then(|()| file::write_all(&mut file, &text))?;
                Ok(length + text.len() as u64)
            })
            .map_err(|error| self.failed("write ahead to", SHOWN_AHEAD, &error))
    }

    /// How long what was written ahead is; `None` when there is none.
    pub(crate) fn ahead_length(&self) -> Result<Option<u64>> {
        match self.root()?.open_file(AHEAD, libc::O_RDONLY).and_then(|file| file.metadata()) {
            Ok(found) => Ok(Some(found.len())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("look for", SHOWN_AHEAD, &error)),
        }
    }

    /// What was written ahead; `None` when nothing was.
    pub(crate) fn read_ahead(&self) -> Result<Option<Vec<u8>>> {
        match self.root()?.read(AHEAD, MAX_SNAPSHOT) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("read", SHOWN_AHEAD, &error)),
        }
    }

    pub(crate) fn remove_ahead(&self) -> Result<()> {
        self.root()?.remove(AHEAD).map_err(|error| self.failed("remove", SHOWN_AHEAD, &error))
    }

    /// Renames a snapshot that cannot be read to the first free `snapshot.json.corrupt-<n>`; the error then says so.
    pub(crate) fn set_snapshot_aside(&self, error: Error) -> Error {
        match self.root() {
            Ok(root) => set_aside(&root, NAME, error),
            Err(failed) => error.followed_by(failed),
        }
    }

    /// Keeps a snapshot of which a part cannot be used, and which the next one is going to replace, under such a name as
    /// well. What became of it is returned.
    pub(crate) fn keep_snapshot(&self) -> String {
        self.root().map_or_else(|error| error.to_string(), |root| keep(&root, NAME))
    }
}
