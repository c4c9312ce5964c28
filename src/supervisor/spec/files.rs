// SPDX-License-Identifier: MPL-2.0
//! The files of a process, in a data directory or where the user named them: logs, pid file, record.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Files, Spec};
use crate::error::{Error, ErrorCode, Result};
use crate::store::file_place::FilePlace;
use crate::store::{self, LogPart, RecordedEnd};
use crate::sys::fail;
use crate::sys::pid::Pid;
use crate::sys::process_identity::Identity;

impl Spec {
    /// Device and inode of the files that the process's output goes to, as far as they are there.
    ///
    /// # Errors
    /// When that cannot be known now.
    pub(crate) fn log_files(&self) -> std::io::Result<Vec<(u64, u64)>> {
        match &self.context.files {
            Files::DataDir(data_dir) => data_dir.log_files(&self.id),
            Files::Paths { stdout, stderr, .. } => {
                let found = [stdout, stderr].into_iter().flatten().filter_map(|path| std::fs::metadata(path).ok());
                Ok(found.map(|file| (file.dev(), file.ino())).collect())
            }
        }
    }

    /// Opens what becomes the process's standard output and error.
    pub(crate) fn open_outputs(&self) -> Result<[OwnedFd; 2]> {
        match &self.context.files {
            Files::DataDir(data_dir) => data_dir.open_logs(&self.id),
            Files::Paths { stdout, stderr, .. } => {
                Ok([store::open_output(stdout.as_deref())?, store::open_output(stderr.as_deref())?])
            }
        }
    }

    /// Where standard output and error go, as far as these are files.
    pub(crate) fn log_paths(&self) -> [Option<PathBuf>; 2] {
        match &self.context.files {
            Files::DataDir(data_dir) => data_dir.log_paths(&self.id).map(Some),
            Files::Paths { stdout, stderr, .. } => [stdout, stderr].map(|path| path.as_deref().map(Path::to_owned)),
        }
    }

    /// The last lines that a process has written to its standard error, as far as that is a file.
    pub(crate) fn last_lines(&self, part: LogPart, until: Option<u64>) -> std::io::Result<Vec<String>> {
        match &self.context.files {
            Files::DataDir(data_dir) => data_dir.last_lines(&self.id, part, until),
            Files::Paths { stderr: Some(path), .. } => store::last_lines_of(path, part, until),
            Files::Paths { stderr: None, .. } => Ok(Vec::new()),
        }
    }

    /// Whether there is a record of its process, where the owner has records.
    pub(crate) fn is_recorded(&self) -> Result<bool> {
        match &self.context.files {
            Files::DataDir(data_dir) => data_dir.has_record(self.place, &self.id),
            Files::Paths { .. } => Ok(true),
        }
    }

    /// Writes the pid file of a process, where the owner has one; in a data directory, unless it is there already.
    pub(crate) fn write_pid_file(&self, pid: Pid) -> Result<()> {
        match &self.context.files {
            Files::DataDir(data_dir) => data_dir.write_pid(self.place, &self.id, pid),
            Files::Paths { .. } => self.replace_pid_file(pid),
        }
    }

    /// Writes record and pid file of a process that leads in place of the one that was started, where the owner has them.
    pub(crate) fn write_leader(&self, identity: &Identity) -> Result<()> {
        if let Files::DataDir(data_dir) = &self.context.files {
            data_dir.update_identity(self.place, &self.id, identity)?;
        }
        fail::point("leader:recorded");
        self.replace_pid_file(identity.pid)
    }

    /// Writes into the record of a process how it has ended, where the owner has records.
    pub(crate) fn record_end(&self, ended: RecordedEnd) -> Result<()> {
        match &self.context.files {
            Files::DataDir(data_dir) => {
                data_dir.record_end(self.place, &self.id, ended)?;
                fail::point("end:recorded");
                Ok(())
            }
            Files::Paths { .. } => Ok(()),
        }
    }

    /// Writes the pid file of a process that has just been started, where the owner has one.
    pub(crate) fn replace_pid_file(&self, pid: Pid) -> Result<()> {
        match &self.context.files {
            Files::DataDir(data_dir) => data_dir.replace_pid(self.place, &self.id, pid),
            Files::Paths { pid: Some(path), .. } if self.place == FilePlace::Current => {
                store::replace_file(path, |file| writeln!(file, "{pid}")).map_err(|error| {
                    Error::os(ErrorCode::Io, format_args!("write pid file {}", path.display()), &error)
                })
            }
            Files::Paths { .. } => Ok(()),
        }
    }

    /// Whether its process has a pid file.
    pub(crate) fn has_pid_file(&self) -> bool {
        matches!(self.context.files, Files::DataDir(_) | Files::Paths { pid: Some(_), .. })
    }

    /// Gives the files of the next generation, whose process has this pid, the place of those of the current one.
    pub(crate) fn promote(&self, pid: Option<Pid>) -> Result<()> {
        match (&self.context.files, pid) {
            (Files::DataDir(data_dir), _) => data_dir.promote(&self.id),
            // There is one pid file alone.
            (Files::Paths { .. }, Some(pid)) => self.replace_pid_file(pid),
            (Files::Paths { .. }, None) => Ok(()),
        }
    }

    /// Removes what is on disk of a process that is gone.
    pub(crate) fn clean_up(&self) -> Result<()> {
        match &self.context.files {
            Files::DataDir(data_dir) => data_dir.forget(self.place, &self.id),
            Files::Paths { .. } => self.remove_pid_file(),
        }
    }

    /// Removes the pid file of a process that is gone, and not its record.
    pub(crate) fn remove_pid_file(&self) -> Result<()> {
        match &self.context.files {
            Files::DataDir(data_dir) => data_dir.remove_pid(self.place, &self.id),
            Files::Paths { pid: Some(path), .. } if self.place == FilePlace::Current => {
                match std::fs::remove_file(path) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        Err(Error::os(ErrorCode::Io, format_args!("remove pid file {}", path.display()), &error))
                    }
                    _ => Ok(()),
                }
            }
            Files::Paths { .. } => Ok(()),
        }
    }
}
