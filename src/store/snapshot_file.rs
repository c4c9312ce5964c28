//! `snapshot.json` in the data directory, and what was written ahead after it.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::path::PathBuf;

use super::ahead;
use super::data_dir::DataDir;
use crate::declaration::Fingerprint;
use crate::error::{Error, ErrorCode, Result};
use crate::sys::{fail, file};

const NAME: &CStr = c"snapshot.json";
pub(super) const TEMPORARY: &CStr = c".snapshot.json.tmp";

/// What is written ahead of a start, after the snapshot.
const AHEAD: &CStr = c"snapshot.json.ahead";
const SHOWN_AHEAD: &str = "snapshot.json.ahead";

/// More than any snapshot has: a kilobyte for each of a quarter of a million proxies.
const MAX_SNAPSHOT: u64 = 256 * 1024 * 1024;

impl DataDir {
    /// The snapshot's path.
    pub(crate) fn snapshot_path(&self) -> PathBuf {
        self.path().join("snapshot.json")
    }

    /// The snapshot's content; `None` when there is none.
    pub(crate) fn read_snapshot(&self) -> Result<Option<Vec<u8>>> {
        match self.root()?.read(NAME, MAX_SNAPSHOT) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("read snapshot", "snapshot.json", &error)),
        }
    }

    /// Whether there is one, whatever is in it.
    pub(crate) fn has_snapshot(&self) -> Result<bool> {
        let found = self.root()?.inode(NAME).map_err(|error| self.failed("look for", "snapshot.json", &error))?;
        Ok(found.is_some())
    }

    /// Replaces the snapshot.
    pub(crate) fn write_snapshot(&self, write: impl FnOnce(&mut File) -> std::io::Result<()>) -> Result<()> {
        let written = self.root()?.replace_by(TEMPORARY, NAME, write);
        written.map_err(|error| self.not_replaced("write snapshot", "", TEMPORARY, NAME, &error))
    }

    /// Adds a line to what was written ahead, or begins it anew, after a snapshot.
    pub(crate) fn write_ahead(&self, after: Option<Fingerprint>, line: &[u8]) -> Result<()> {
        let begin = if after.is_some() { libc::O_TRUNC } else { 0 };
        let text = [after.map(ahead::header).unwrap_or_default().as_bytes(), line].concat();
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND | begin;
        let root = self.root()?;
        fail::failing("ahead:open")
            .and_then(|()| root.open_file(AHEAD, flags))
            .and_then(|mut file| fail::failing("ahead:write").and_then(|()| file::write_all(&mut file, &text)))
            .map_err(|error| self.failed("write ahead to", SHOWN_AHEAD, &error))
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

    /// Renames a snapshot that cannot be read to the first free `snapshot.json.corrupt-<n>` and returns the new name.
    pub(crate) fn set_snapshot_aside(&self) -> Result<String> {
        let failed = |error: std::io::Error| self.failed("set aside", "snapshot.json", &error);
        let root = self.root()?;
        for number in 1..=u32::MAX {
            let name = format!("snapshot.json.corrupt-{number}");
            let leaf = CString::new(name.as_str()).unwrap_or_default();
            if root.inode(&leaf).map_err(failed)?.is_none() {
                return fail::failing("aside:rename")
                    .and_then(|()| root.rename(NAME, &leaf))
                    .map(|()| name)
                    .map_err(failed);
            }
        }
        Err(Error::new(ErrorCode::Io, "set aside snapshot.json: no free name"))
    }
}
