// SPDX-License-Identifier: MPL-2.0
//! The directories of a data directory. They are kept open, and checked by name before each use.

use std::ffi::CStr;
use std::sync::Arc;

use crate::sys::file::Dir;

/// A directory of the data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subdirectory {
    Logs,
    Pids,
    Records,
}

impl Subdirectory {
    pub(super) const ALL: [Subdirectory; 3] = [Subdirectory::Logs, Subdirectory::Pids, Subdirectory::Records];

    pub(super) fn name(self) -> &'static CStr {
        match self {
            Subdirectory::Logs => c"logs",
            Subdirectory::Pids => c"pids",
            Subdirectory::Records => c"records",
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        self.name().to_str().unwrap_or_default()
    }
}

/// One that was opened and was ours alone.
#[derive(Debug, Clone)]
pub(super) struct OpenSubdirectory {
    dir: Arc<Dir>,
    /// Device and inode, which nothing else can have while it is open.
    inode: (u64, u64),
}

impl OpenSubdirectory {
    pub(super) fn new(dir: Dir, inode: (u64, u64)) -> OpenSubdirectory {
        OpenSubdirectory { dir: Arc::new(dir), inode }
    }

    pub(super) fn dir(&self) -> Arc<Dir> {
        self.dir.clone()
    }

    /// The directory, if it is still there and ours alone. One stat of its name tells all of that: in a data directory
    /// that was removed there are no names.
    pub(super) fn in_place(&self, root: &Dir, part: Subdirectory) -> Option<Arc<Dir>> {
        root.still_has(part.name(), self.inode).then(|| self.dir())
    }
}

/// Those of one data directory that were opened last.
#[derive(Debug, Default)]
pub(super) struct Subdirectories([Option<OpenSubdirectory>; Subdirectory::ALL.len()]);

impl Subdirectories {
    pub(super) fn get(&self, part: Subdirectory) -> Option<OpenSubdirectory> {
        self.0[part as usize].clone()
    }

    pub(super) fn keep(&mut self, part: Subdirectory, kept: OpenSubdirectory) {
        self.0[part as usize] = Some(kept);
    }
}
