// SPDX-License-Identifier: MPL-2.0
//! A directory for the time of the demonstration.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process;
use std::time::SystemTime;

use crate::Result;

/// A directory that only its owner can enter; dropped, it is removed with all that is in it.
pub(super) struct Directory(PathBuf);

impl Directory {
    /// Creates one where temporary files are, by a name that no other process takes at the same time.
    ///
    /// # Errors
    /// Why it cannot be created; also when there is something by this name.
    pub(super) fn create() -> Result<Directory> {
        let now = SystemTime::UNIX_EPOCH.elapsed()?.as_nanos();
        let path = std::env::temp_dir().join(format!("proxyprocess-demo-{}-{now}", process::id()));
        let created = DirBuilder::new().mode(0o700).create(&path);
        created.map_err(|error| format!("create {}: {error}", path.display()))?;
        Ok(Directory(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Removes it before its time.
    pub(super) fn remove(&self) -> Result<()> {
        fs::remove_dir_all(&self.0).map_err(|error| format!("remove {}: {error}", self.0.display()).into())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Most often it has been removed.
        let _ = fs::remove_dir_all(&self.0);
    }
}
