// SPDX-License-Identifier: MPL-2.0
//! Where the standard output and error of a process go.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use super::Command;
use super::validation::{invalid, refuse_nul};
use crate::defaults::{MAX_LOG_LIMIT, MAX_OLD_LOGS, MIN_LOG_LIMIT};
use crate::error::Result;

/// Where one of the two output streams of a process goes. The agent opens it at each start; the process writes to it
/// directly, so it continues after the agent has ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// The log of the proxy in the data directory, or the file of a [`Daemon`](crate::Daemon); without either, output
    /// is discarded.
    #[default]
    File,
    /// Where that of the agent goes (descriptor 1 or 2). A process that outlives the agent keeps it.
    Inherit,
    /// Nowhere: `/dev/null`.
    Null,
    /// The journal of systemd, with the id of the proxy as identifier and the priority "info" unless a line begins with
    /// another one (sd-daemon(3)). If there is no journal, the start fails and is tried again.
    Journal,
    /// This absolute path, opened for appending: a file, created with mode 0600 if it is missing, a pipe that has a
    /// reader, or a terminal. Links are followed. Several proxies may share a path.
    Path(PathBuf),
    /// A descriptor of the host, created by [`Output::descriptor`]. A declaration of an earlier agent may have one that
    /// this agent does not have: until it is declared again, processes that are started write to their log.
    Descriptor(HostDescriptor),
}

/// A duplicate of a descriptor of the host. It is closed when no declaration and no start needs it any more. Two are
/// equal if they refer to the same open file.
#[derive(Debug, Clone)]
pub struct HostDescriptor(Option<Arc<OwnedFd>>);

impl HostDescriptor {
    /// One that is there, and for the same open file always the same.
    pub(crate) fn of(fd: Arc<OwnedFd>) -> HostDescriptor {
        HostDescriptor(Some(fd))
    }

    /// That of an earlier agent.
    pub(crate) const GONE: HostDescriptor = HostDescriptor(None);

    /// The duplicate; `None` for that of an earlier agent.
    pub(crate) fn fd(&self) -> Option<&Arc<OwnedFd>> {
        self.0.as_ref()
    }
}

impl PartialEq for HostDescriptor {
    fn eq(&self, other: &HostDescriptor) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        }
    }
}

impl Eq for HostDescriptor {}

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
    pub(crate) limits: LogLimits,
}

/// How large the logs of a proxy may become. No process sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LogLimits {
    /// Each of the logs; none is without a limit.
    pub(crate) max_bytes: Option<u64>,
    /// How many files with older lines there may be beside each.
    pub(crate) keep: u32,
}

impl Command {
    /// Sets where the standard output of the process goes.
    #[must_use]
    pub fn stdout(mut self, output: Output) -> Command {
        self.seldom.outputs.stdout = output;
        self
    }

    /// Sets where the standard error of the process goes.
    #[must_use]
    pub fn stderr(mut self, output: Output) -> Command {
        self.seldom.outputs.stderr = output;
        self
    }

    /// Sets whose the logs are in the data directory; for [`OutputOwner::Proxy`] one of the outputs must be [`Output::File`].
    #[must_use]
    pub fn output_owner(mut self, owner: OutputOwner) -> Command {
        self.seldom.outputs.owner = owner;
        self
    }

    /// Sets how large each of the files may become that the outputs go to, 64 KiB to 1 PiB: of one that is larger the oldest lines
    /// are removed while the process writes on; `None` is without a limit. An agent looks after it while it runs. One of the
    /// outputs must be [`Output::File`] or [`Output::Path`].
    #[must_use]
    pub fn output_max_bytes(mut self, max_bytes: impl Into<Option<u64>>) -> Command {
        self.seldom.outputs.limits.max_bytes = max_bytes.into();
        self
    }

    /// Sets how many files with older lines are kept beside each log, `<log>.1` being the youngest, at most 99. Needs
    /// [`Command::output_max_bytes`].
    #[must_use]
    pub fn output_keep(mut self, files: u32) -> Command {
        self.seldom.outputs.limits.keep = files;
        self
    }

    /// How large each log may become.
    pub fn declared_output_max_bytes(&self) -> Option<u64> {
        self.seldom.outputs.limits.max_bytes
    }

    /// How many files with older lines are kept beside each.
    pub fn declared_output_keep(&self) -> u32 {
        self.seldom.outputs.limits.keep
    }

    /// Where the standard output goes.
    pub fn declared_stdout(&self) -> &Output {
        &self.seldom.outputs.stdout
    }

    /// Where the standard error goes.
    pub fn declared_stderr(&self) -> &Output {
        &self.seldom.outputs.stderr
    }

    /// Whose the logs are.
    pub fn declared_output_owner(&self) -> OutputOwner {
        self.seldom.outputs.owner
    }
}

impl Outputs {
    /// Logs of their own, without a limit.
    pub(super) const DEFAULT: Outputs = Outputs {
        stdout: Output::File,
        stderr: Output::File,
        owner: OutputOwner::Agent,
        limits: LogLimits { max_bytes: None, keep: 0 },
    };

    pub(crate) fn streams(&self) -> [&Output; 2] {
        [&self.stdout, &self.stderr]
    }

    /// Whether a process with these outputs is one with the others: which descriptor of the host it is cannot be known of one that
    /// an earlier agent has started.
    pub(super) fn same_process(&self, other: &Outputs) -> bool {
        let is_same = |(one, other): (&Output, &Output)| match (one, other) {
            (Output::Descriptor(_), Output::Descriptor(_)) => true,
            (one, other) => one == other,
        };
        self.streams().into_iter().zip(other.streams()).all(is_same) && self.owner == other.owner
    }

    /// Checks that each descriptor is there, as none is that was read from JSON.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidConfig`](crate::ErrorCode::InvalidConfig), naming the field.
    pub(crate) fn validate_descriptors(&self) -> Result<()> {
        for (field, output) in ["stdout", "stderr"].into_iter().zip(self.streams()) {
            if *output == Output::Descriptor(HostDescriptor::GONE) {
                let what = "no descriptor, which only the program that has it can declare";
                return Err(invalid(format!("output.{field}: expected {what}")));
            }
        }
        Ok(())
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
        let LogLimits { max_bytes, keep } = self.limits;
        if let Some(bytes) = max_bytes.filter(|bytes| !(MIN_LOG_LIMIT..=MAX_LOG_LIMIT).contains(bytes)) {
            return Err(invalid(format!(
                "output.max_bytes: expected a whole number from {MIN_LOG_LIMIT} to {MAX_LOG_LIMIT}, got {bytes}"
            )));
        }
        if keep > MAX_OLD_LOGS {
            return Err(invalid(format!("output.keep: expected a whole number from 0 to {MAX_OLD_LOGS}, got {keep}")));
        }
        if keep > 0 && max_bytes.is_none() {
            return Err(invalid("output.keep: expected 0 without max_bytes"));
        }
        if max_bytes.is_some() && !self.streams().iter().any(|output| matches!(output, Output::File | Output::Path(_)))
        {
            return Err(invalid("output.max_bytes: expected none where neither stdout nor stderr is a file"));
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
                Output::Descriptor(_) => part.push("descriptor"),
            }
            parts.push(part);
        }
        if self.owner == OutputOwner::Proxy {
            parts.push("output.owner=proxy".into());
        }
        parts
    }
}
