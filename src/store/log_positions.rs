// SPDX-License-Identifier: MPL-2.0
//! Positions in logs whose front is removed while processes write to them.
//!
//! A position counts from the original beginning of the log, including what was removed, so that it stays valid.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::sys::fd::number_of_file;
use crate::sys::file::{end_of, id_of};

/// Device and inode.
pub(crate) type FileId = (u64, u64);

/// How much was removed from the front of each of these logs.
#[derive(Debug, Default)]
pub(crate) struct LogPositions(Mutex<HashMap<FileId, Arc<Mutex<u64>>>>);

impl LogPositions {
    /// How much was removed of a log. Nothing is removed while it is locked.
    pub(crate) fn removed(&self, file: FileId) -> Arc<Mutex<u64>> {
        self.all().entry(file).or_default().clone()
    }

    /// Where the next byte of a log will be that is open for appending; `None` of what is no file with a length.
    pub(crate) fn end_of(&self, log: BorrowedFd<'_>) -> Option<u64> {
        let Some(removed) = number_of_file(log).and_then(|file| self.all().get(&file).cloned()) else {
            return end_of(log);
        };
        let removed = locked(&removed);
        end_of(log).map(|end| end + *removed)
    }

    /// Has a log read while nothing is removed of it. `read` is given how much was removed.
    pub(super) fn reading<T>(&self, log: &File, read: impl FnOnce(u64) -> std::io::Result<T>) -> std::io::Result<T> {
        // ORDER: before it is locked, for it may hang in a file system.
        let file = id_of(log)?;
        let removed = self.all().get(&file).cloned();
        match removed {
            Some(removed) => read(*locked(&removed)),
            None => read(0),
        }
    }

    /// Nothing is removed of this log any more.
    pub(crate) fn forget(&self, file: FileId) {
        self.all().remove(&file);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<FileId, Arc<Mutex<u64>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn locked(removed: &Mutex<u64>) -> MutexGuard<'_, u64> {
    removed.lock().unwrap_or_else(PoisonError::into_inner)
}
