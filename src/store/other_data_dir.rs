// SPDX-License-Identifier: MPL-2.0
//! The data directory of another manager that is gone, as read by the manager that takes over. Nothing in it is
//! changed. It is locked meanwhile, so that no manager begins to use it, and no child of the earlier manager is about
//! to record itself.

use std::ffi::CStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::data_dir_lock::Lock;
use super::file_place::FilePlace;
use super::io_error_code::code_of;
use super::log_place;
use super::process_record::Record;
use super::record_recovery::{Lost, Recovery};
use super::snapshot_names;
use super::subdirectories::Subdirectory;
use crate::defaults::MAX_SNAPSHOT;
use crate::error::{Error, Result};
use crate::sys::file::Dir;

/// A data directory that a snapshot is in.
#[derive(Debug)]
pub(crate) struct OtherDataDir {
    path: PathBuf,
    root: Dir,
    /// The file name of the snapshot is that of the directory's own.
    is_its_own: bool,
    _lock: Lock,
}

/// Where a snapshot is.
#[derive(Debug)]
pub(crate) enum SnapshotLocation {
    /// In the directory that was given.
    Own,
    Foreign(OtherDataDir),
    /// In no data directory: there is neither a lock file nor a directory of records.
    None,
}

/// What a data directory says of the processes that may live.
#[derive(Debug)]
pub(crate) struct RecoveredProcesses {
    pub(crate) records: Vec<Record>,
    pub(crate) lost: Vec<Lost>,
    /// The records that cannot be used.
    pub(crate) bad: Vec<Error>,
}

impl OtherDataDir {
    /// The data directory that a snapshot is in, locked unless it is that of `own`, by device and inode.
    ///
    /// # Errors
    /// [`ErrorCode::Locked`](crate::ErrorCode::Locked) naming the directory and the process that has it,
    /// [`ErrorCode::Io`](crate::ErrorCode::Io).
    pub(crate) fn around(snapshot: &Path, own: Option<(u64, u64)>) -> Result<SnapshotLocation> {
        let failed = |error| Error::os(code_of(&error), format_args!("look around {}", snapshot.display()), &error);
        let snapshot = std::fs::canonicalize(snapshot).map_err(failed)?;
        let path = snapshot.parent().unwrap_or(Path::new("/")).to_owned();
        let root = Dir::open(&path).map_err(failed)?;
        let has = |name: &CStr| root.inode(name).map(|found| found.is_some());
        if Some(root.own_inode().map_err(failed)?) == own {
            return Ok(SnapshotLocation::Own);
        }
        if !(has(Subdirectory::Records.name()).map_err(failed)? || has(c"lock").map_err(failed)?) {
            return Ok(SnapshotLocation::None);
        }
        let lock = Lock::take_without_writing(&root, &path)?;
        let is_its_own = snapshot_names::has_name_of_snapshot(&snapshot);
        Ok(SnapshotLocation::Foreign(OtherDataDir { path, root, is_its_own, _lock: lock }))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What was written ahead after the snapshot, if that is the directory's own.
    pub(crate) fn read_ahead(&self) -> io::Result<Option<Vec<u8>>> {
        if !self.is_its_own {
            return Ok(None);
        }
        match self.root.read(snapshot_names::AHEAD, MAX_SNAPSHOT) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        }
    }

    /// What it says of the processes that may live; or why that is not known: it has no records, or it or these are
    /// another user's or can be written by others.
    ///
    /// # Errors
    /// When it cannot be read now.
    pub(crate) fn survivors(&self) -> Result<std::result::Result<RecoveredProcesses, String>> {
        if let Err(error) = self.root.check_private() {
            return Ok(Err(format!("data directory {}: {error}", self.path.display())));
        }
        let records = match self.part(Subdirectory::Records)? {
            Ok(Some(records)) => records,
            Ok(None) => {
                return Ok(Err(format!("there is no {}", self.path.join(Subdirectory::Records.as_str()).display())));
            }
            Err(untrusted) => return Ok(Err(untrusted)),
        };
        let recovery = Recovery { path: &self.path, set_aside: false };
        let mut records = recovery.records(&records)?;
        // Without it less is known of those without a record.
        let pids = self.part(Subdirectory::Pids)?.ok().flatten();
        // Of proxies that were being handed over the current generation is taken over.
        records.resume();
        let mut lost = recovery.lost(pids.as_ref(), &mut records)?;
        lost.retain(|lost| lost.place == FilePlace::Current);
        Ok(Ok(RecoveredProcesses { records: records.found, lost, bad: records.bad }))
    }

    /// Device and inode of the logs of a proxy, as far as they are there.
    pub(crate) fn log_files(&self, id: &str) -> io::Result<Vec<(u64, u64)>> {
        let part = self.part(Subdirectory::Logs).ok().and_then(|part| part.ok().flatten());
        log_place::files_in(part.map(Arc::new), id)
    }

    /// A part of it, if it is there and to be trusted.
    fn part(&self, part: Subdirectory) -> Result<std::result::Result<Option<Dir>, String>> {
        let path = self.path.join(part.as_str());
        let dir = match self.root.open_dir(part.name()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ok(None)),
            // A link, or something else.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ELOOP | libc::ENOTDIR)) => {
                return Ok(Err(format!("directory {}: {error}", path.display())));
            }
            opened => opened.map_err(|error| {
                Error::os(code_of(&error), format_args!("open directory {}", path.display()), &error)
            })?,
        };
        Ok(match dir.check_private() {
            Ok(_) => Ok(Some(dir)),
            Err(error) => Err(format!("directory {}: {error}", path.display())),
        })
    }
}
