// SPDX-License-Identifier: MPL-2.0
//! Where the standard output and error of a process go.

use std::ffi::OsString;
use std::path::PathBuf;

use super::Command;
use super::validation::{invalid, refuse_nul};
use crate::error::Result;

/// Where one of the two output streams of a process goes. It is opened at each start, by the agent; nothing is between the
/// process and it, so that it goes on when the agent has ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// To the log of the proxy in the data directory, or the file of a [`Daemon`](crate::Daemon); without one of these it is
    /// lost.
    #[default]
    File,
    /// To where that of the agent goes (descriptor 1 or 2). A process that outlives the agent keeps it.
    Inherit,
    /// Nowhere: `/dev/null`.
    Null,
    /// To the journal of systemd, under the id of the proxy as identifier, with the priority "info" unless a line begins with
    /// another one (sd-daemon(3)). Where there is no journal the start fails and is tried again.
    Journal,
    /// To what is at this absolute path, which is appended to: a file, created with mode 0600 if it is missing, a pipe that has
    /// a reader, a terminal. Links are followed. Several proxies may have the same one.
    Path(PathBuf),
}

/// Whose the logs of a proxy in the data directory are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutputOwner {
    /// The agent's user. The process has its logs open, and cannot open them by name, as `/dev/stdout`, if it has another user.
    #[default]
    Agent,
    /// The user that the process runs as ([`Command::credentials`], [`Command::user`]), who can open them as `/dev/stdout` and
    /// `/dev/stderr` then, and change what they say. The directory stays the agent's, so that this user cannot put anything else
    /// in their place. One to which it has given another name as well is set aside at the next start.
    Proxy,
}

/// What is declared of the outputs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outputs {
    pub(crate) stdout: Output,
    pub(crate) stderr: Output,
    pub(crate) owner: OutputOwner,
}

impl Command {
    /// Sets where the standard output of the process goes.
    #[must_use]
    pub fn stdout(mut self, output: Output) -> Command {
        self.outputs.stdout = output;
        self
    }

    /// Sets where the standard error of the process goes.
    #[must_use]
    pub fn stderr(mut self, output: Output) -> Command {
        self.outputs.stderr = output;
        self
    }

    /// Sets whose the logs are in the data directory; for [`OutputOwner::Proxy`] one of the outputs must be [`Output::File`].
    #[must_use]
    pub fn output_owner(mut self, owner: OutputOwner) -> Command {
        self.outputs.owner = owner;
        self
    }

    /// Where the standard output goes.
    pub fn declared_stdout(&self) -> &Output {
        &self.outputs.stdout
    }

    /// Where the standard error goes.
    pub fn declared_stderr(&self) -> &Output {
        &self.outputs.stderr
    }

    /// Whose the logs are.
    pub fn declared_output_owner(&self) -> OutputOwner {
        self.outputs.owner
    }
}

impl Outputs {
    pub(crate) fn streams(&self) -> [&Output; 2] {
        [&self.stdout, &self.stderr]
    }

    /// Checks what can never work.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidConfig`](crate::ErrorCode::InvalidConfig), naming the field.
    pub(super) fn validate(&self) -> Result<()> {
        for (field, output) in ["stdout", "stderr"].into_iter().zip(self.streams()) {
            let Output::Path(path) = output else { continue };
            refuse_nul(path.as_os_str(), || format!("output.{field}"))?;
            if !path.is_absolute() {
                return Err(invalid(format!("output.{field}: expected an absolute path, got \"{}\"", path.display())));
            }
        }
        if self.owner == OutputOwner::Proxy && !self.streams().contains(&&Output::File) {
            return Err(invalid("output.owner: expected \"agent\" where neither stdout nor stderr is \"file\""));
        }
        Ok(())
    }

    /// What is not the default, as a part of the digest of a declaration.
    pub(crate) fn part_of_fingerprint(&self) -> Vec<OsString> {
        let mut parts = Vec::new();
        for (field, output) in ["stdout", "stderr"].into_iter().zip(self.streams()) {
            let mut part = OsString::from(format!("output.{field}="));
            match output {
                Output::File => continue,
                Output::Inherit => part.push("inherit"),
                Output::Null => part.push("null"),
                Output::Journal => part.push("journal"),
                Output::Path(path) => part.push(path),
            }
            parts.push(part);
        }
        if self.owner == OutputOwner::Proxy {
            parts.push("output.owner=proxy".into());
        }
        parts
    }
}
