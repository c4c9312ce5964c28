// SPDX-License-Identifier: MPL-2.0
//! The files of a process, in a data directory or at paths of the user: pid file and record.

use std::io::Write;

use super::{Files, Spec};
use crate::error::{Error, ErrorCode, Result};
use crate::store::file_place::FilePlace;
use crate::store::{self, RecordedEnd};
use crate::sys::fail;
use crate::sys::pid::Pid;
use crate::sys::process_identity::Identity;

impl Spec {
    /// Whether there is a record of its process, where the owner has records.
    pub(crate) fn is_recorded(&self) -> Result<bool> {
        match &self.context.files {
            Files::DataDir(data_dir) => data_dir.has_record(self.place, &self.id),
            Files::LogDir(_) | Files::Paths { .. } => Ok(true),
        }
    }

    /// Writes the pid file of a process, where the owner has one; in a data directory, unless it is there already.
    pub(crate) fn write_pid_file(&self, pid: Pid) -> Result<()> {
        match &self.context.files {
            Files::DataDir(data_dir) => data_dir.write_pid(self.place, &self.id, pid),
            Files::LogDir(_) | Files::Paths { .. } => self.replace_pid_file(pid),
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
            Files::LogDir(_) | Files::Paths { .. } => Ok(()),
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
            Files::LogDir(_) | Files::Paths { .. } => Ok(()),
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
            (Files::LogDir(_), _) | (Files::Paths { .. }, None) => Ok(()),
        }
    }

    /// Removes what is on disk of a process that is gone.
    pub(crate) fn clean_up(&self) -> Result<()> {
        match &self.context.files {
            Files::DataDir(data_dir) => data_dir.forget(self.place, &self.id),
            Files::LogDir(_) | Files::Paths { .. } => self.remove_pid_file(),
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
            Files::LogDir(_) | Files::Paths { .. } => Ok(()),
        }
    }
}
