// SPDX-License-Identifier: MPL-2.0
//! Where the output of a process goes, and where it can be found again.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Files, Spec};
use crate::command::{Credentials, Output, OutputOwner};
use crate::error::{Error, ErrorCode, Result};
use crate::logging::Level;
use crate::store::{self, BoundedLog, LogLocation, LogOwner, LogPart, LogPositions};
use crate::sys::{fd, journal_stream};

impl Spec {
    /// Device and inode of the logs that the process writes to and no process of another proxy, as far as they are there.
    ///
    /// # Errors
    /// When that cannot be known now.
    pub(crate) fn log_files(&self) -> std::io::Result<Vec<(u64, u64)>> {
        if let Some(home) = self.context.files.log_home() {
            return home.log_files(&self.id);
        }
        let paths = [0, 1].map(|stream| self.own_log_path(stream));
        let found = paths.into_iter().flatten().filter_map(|path| std::fs::metadata(path).ok());
        Ok(found.map(|file| (file.dev(), file.ino())).collect())
    }

    /// Opens the standard output and error of the process. `user`: the user that the process runs as, if not the
    /// agent's.
    pub(crate) fn open_outputs(&self, user: Option<&Credentials>) -> Result<[OwnedFd; 2]> {
        let outputs = self.config.command.outputs();
        let [stdout, stderr] = self.open_logs(user)?;
        Ok([self.open_output(&outputs.stdout, stdout, 1)?, self.open_output(&outputs.stderr, stderr, 2)?])
    }

    /// The logs of the streams that go to one.
    fn open_logs(&self, user: Option<&Credentials>) -> Result<[Option<OwnedFd>; 2]> {
        let outputs = self.config.command.outputs();
        let wanted = [0, 1].map(|stream| self.goes_to_log(stream));
        let user = user.filter(|_| outputs.owner == OutputOwner::Proxy);
        let owner = user.map_or(LogOwner::Agent, |user| LogOwner::Proxy { uid: user.uid, gid: user.gid });
        match self.context.files.log_home() {
            _ if wanted == [false; 2] => Ok([None, None]),
            Some(home) => {
                if let Some(removed) = &self.context.removed_logs {
                    removed.await_removal(&self.id);
                }
                home.open_logs(&self.id, wanted, owner)
            }
            None if outputs.owner == OutputOwner::Proxy => {
                let message = "output.owner: expected \"agent\" without a directory of logs";
                Err(Error::new(ErrorCode::InvalidConfig, message))
            }
            None => {
                let open = |stream: usize| {
                    let path = self.own_log_path(stream);
                    wanted[stream].then(|| store::open_output(path)).transpose()
                };
                Ok([open(0)?, open(1)?])
            }
        }
    }

    /// Whether a stream goes to a log, also in place of a descriptor that only an earlier agent had.
    fn goes_to_log(&self, stream: usize) -> bool {
        match self.config.command.outputs().streams()[stream] {
            Output::File => true,
            Output::Descriptor(descriptor) => descriptor.fd().is_none(),
            Output::Inherit | Output::Null | Output::Journal | Output::Path(_) => false,
        }
    }

    fn open_output(&self, output: &Output, log: Option<OwnedFd>, number: i32) -> Result<OwnedFd> {
        match (output, log) {
            (Output::File, Some(log)) => Ok(log),
            (Output::Descriptor(descriptor), log) => match descriptor.fd() {
                Some(fd) => fd::duplicate(fd.as_fd(), 3).map_err(|error| {
                    let what = format_args!("duplicate the descriptor of the host for descriptor {number}");
                    Error::os(ErrorCode::StartFailed, what, &error)
                }),
                None => {
                    let stream = ["stdout", "stderr"][usize::from(number == 2)];
                    let why = "for the descriptor of the earlier agent is not declared again yet";
                    self.context.log.about(Level::Warn, &self.id, format_args!("its {stream} goes to its log, {why}"));
                    log.map_or_else(|| store::open_output(None), Ok)
                }
            },
            (Output::File | Output::Null, _) => store::open_output(None),
            (Output::Path(path), _) => store::open_output(Some(path)),
            (Output::Inherit, _) => fd::duplicate_of_agent(number).map_err(|error| {
                Error::os(ErrorCode::StartFailed, format_args!("inherit descriptor {number} of the agent"), &error)
            }),
            (Output::Journal, _) => {
                journal_stream::connect(Path::new(journal_stream::JOURNAL), &self.id).map_err(|error| {
                    let what = format_args!("connect to the journal, {}", journal_stream::JOURNAL);
                    Error::os(ErrorCode::StartFailed, what, &error)
                })
            }
        }
    }

    /// Where standard output and error go, as far as these are files.
    pub(crate) fn log_paths(&self) -> [Option<PathBuf>; 2] {
        let logs = || match self.context.files.log_home() {
            Some(home) => home.log_paths(&self.id).map(Some),
            None => [0, 1].map(|stream| self.own_log_path(stream).map(Path::to_owned)),
        };
        let [stdout, stderr] = self.config.command.outputs().streams();
        let [of_stdout, of_stderr] = if [stdout, stderr].contains(&&Output::File) { logs() } else { [None, None] };
        let path = |output: &Output, log| match output {
            Output::File => log,
            Output::Path(path) => Some(path.clone()),
            Output::Inherit | Output::Null | Output::Journal | Output::Descriptor(_) => None,
        };
        [path(stdout, of_stdout), path(stderr, of_stderr)]
    }

    /// The last lines that a process has written to its standard error, as far as that is a file.
    pub(crate) fn last_lines(
        &self,
        part: LogPart,
        until: Option<u64>,
        positions: &LogPositions,
    ) -> std::io::Result<Vec<String>> {
        let path = match &self.config.command.outputs().stderr {
            Output::File => match self.context.files.log_home() {
                Some(home) => return home.last_lines(&self.id, part, until, positions),
                None => self.own_log_path(1),
            },
            Output::Path(path) => Some(&**path),
            Output::Inherit | Output::Null | Output::Journal | Output::Descriptor(_) => None,
        };
        path.map_or(Ok(Vec::new()), |path| store::last_lines_of(path, part, until, positions))
    }

    /// The logs that are to be kept within a limit.
    pub(crate) fn bounded_logs(&self) -> Vec<BoundedLog> {
        let outputs = self.config.command.outputs();
        let limits = outputs.limits;
        if limits.max_bytes.is_none() {
            return Vec::new();
        }
        let bounded = |location| BoundedLog { location, limits };
        self.log_locations().into_iter().flatten().map(bounded).collect()
    }

    /// Where the two outputs are, as far as these are files.
    fn log_locations(&self) -> [Option<LogLocation>; 2] {
        let outputs = self.config.command.outputs().streams();
        [0, 1].map(|stream| match outputs[stream] {
            Output::File => match self.context.files.log_home() {
                Some(home) => Some(LogLocation::In(home, self.id.clone(), stream)),
                None => self.own_log_path(stream).map(|path| LogLocation::At(path.into())),
            },
            Output::Path(path) => Some(LogLocation::At(path.clone())),
            Output::Inherit | Output::Null | Output::Journal | Output::Descriptor(_) => None,
        })
    }

    /// The file that a daemon without a data directory has for a stream.
    fn own_log_path(&self, stream: usize) -> Option<&Path> {
        match &self.context.files {
            Files::Paths { stdout, stderr, .. } => [stdout, stderr][stream].as_deref(),
            Files::DataDir(_) | Files::LogDir(_) => None,
        }
    }
}
