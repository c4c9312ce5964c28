// SPDX-License-Identifier: MPL-2.0
//! Replacing the content of a file: readers see the complete old or the complete new content.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::at::open_at;
use super::dir::Dir;
use crate::sys::{fail, signal_mask};

impl Dir {
    /// Replaces a file's content: readers see the old or the new, whole. No fsync: see `DESIGN` in the README.
    ///
    /// # Errors
    /// EEXIST when something that cannot be removed has the temporary name.
    pub(crate) fn replace(&self, temporary: &CStr, name: &CStr, content: &[u8]) -> io::Result<()> {
        self.replace_by(temporary, name, |file| file.write_all(content))
    }

    /// The same, with a content that never is in memory as a whole.
    pub(crate) fn replace_by(
        &self,
        temporary: &CStr,
        name: &CStr,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<()> {
        let file = fail::failing("replace:open").and_then(|()| self.create_file(temporary))?;
        self.put(file, temporary, name, write)
    }

    /// Appends to a file of this user's, which is made if it is missing.
    pub(crate) fn append_by(&self, name: &CStr, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        let mut file = self.open_file(name, libc::O_WRONLY | libc::O_CREAT)?;
        // Not O_APPEND, with which copy_file_range(2) does not work.
        file.seek(SeekFrom::End(0))?;
        signal_mask::without_file_size_signal(|| write(&mut file))
    }

    /// Replaces the content of a file whose old content is not needed any more: meanwhile there is no file. Where one of
    /// ours of the same length is there it is written to, for making a new one, and replacing one with it, takes a file
    /// system longer than all the rest (ext4, btrfs).
    ///
    /// # Errors
    /// As with [`Dir::replace`].
    pub(crate) fn rewrite(&self, temporary: &CStr, name: &CStr, content: &[u8]) -> io::Result<()> {
        let old = self.open_file(name, libc::O_WRONLY).ok();
        let length = old.as_ref().and_then(|file| file.metadata().ok()).map(|found| found.len());
        match old {
            // Another length would be changed by itself, and a reader that has the file open already would see some of both.
            Some(mut file) if length == Some(content.len() as u64) => {
                fail::failing("replace:open")?;
                match self.rename(name, temporary) {
                    Ok(()) => self.put(file, temporary, name, |file| file.write_all(content)),
                    // In a directory that cannot be written to.
                    Err(_) => write_all(&mut file, content),
                }
            }
            old => self.replace(temporary, name, content).inspect_err(|_| {
                // What it says is not true any more, and nothing is better than that; the failure is returned.
                let _ = old.map(|file| file.set_len(0));
            }),
        }
    }

    /// Writes a file that has a temporary name, and gives it its own.
    fn put(
        &self,
        mut file: File,
        temporary: &CStr,
        name: &CStr,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<()> {
        fail::failing("replace:write")
            .and_then(|()| signal_mask::without_file_size_signal(|| write(&mut file)))
            .and_then(|()| fail::failing("replace:rename"))
            .and_then(|()| self.rename(temporary, name))
            .inspect(|()| fail::point("replace:renamed"))
            .inspect_err(|_| {
                // A failure to tidy up must not hide the failure that is returned; the next write removes it anyway.
                let _ = self.remove(temporary);
            })
    }

    /// Creates a file in the place of one that was left under this name. What was planted there, a link or a pipe or
    /// another name of a user's file, is removed and never opened.
    fn create_file(&self, name: &CStr) -> io::Result<File> {
        let create = || open_at(self.raw(), name, libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL, 0o600).map(File::from);
        let file = match create() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // Whether it could be removed is seen when the file is created.
                let _ = self.remove(name);
                create()?
            }
            created => created?,
        };
        // The host's umask must not take away the owner's rights.
        if file.metadata()?.mode() & 0o777 != 0o600 {
            file.set_permissions(PermissionsExt::from_mode(0o600))?;
        }
        Ok(file)
    }
}

/// Writes to a file. One that would become larger than the host may make it is an error as any other.
pub(crate) fn write_all(file: &mut File, content: &[u8]) -> io::Result<()> {
    signal_mask::without_file_size_signal(|| file.write_all(content))
}
