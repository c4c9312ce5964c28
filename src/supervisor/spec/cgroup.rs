// SPDX-License-Identifier: MPL-2.0
//! How a process comes into its cgroup.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use super::Spec;
use crate::error::Result;
use crate::logging::Level;
use crate::supervisor::cgroups::{Opened, StartPlace};
use crate::sys::cgroup::directory;
use crate::sys::spawn::program::EnteredCgroup;

impl Spec {
    /// Opens the cgroup that a process begins in; `last`: that of the last one, `other`: that of the other generation. `None` where
    /// there are none, or that cannot be done and is not required, which is logged.
    ///
    /// # Errors
    /// [`ErrorCode::StartFailed`](crate::ErrorCode::StartFailed): it is required.
    pub(crate) fn enter(&self, last: Option<&StartPlace>, other: Option<&Path>) -> Result<Option<EnteredCgroup>> {
        self.entered(self.context.cgroups.as_ref().map(|cgroups| cgroups.open_for_start(&self.id, last, other)))
    }

    /// The same of the cgroup for a command that is run for a process, if that has one.
    pub(crate) fn enter_for_command(&self, path: Option<&Arc<Path>>) -> Result<Option<EnteredCgroup>> {
        self.entered(self.context.cgroups.as_ref().zip(path).map(|(cgroups, path)| cgroups.open_for_command(path)))
    }

    fn entered(&self, opened: Option<Opened>) -> Result<Option<EnteredCgroup>> {
        Ok(opened.transpose()?.and_then(|opened| opened.inspect_err(|why| self.warn_of_uncontained(why)).ok()))
    }

    /// Removes a cgroup in which no process has begun.
    pub(crate) fn leave_unused(&self, path: Option<&Path>) {
        match path.map_or(Ok(()), directory::remove_empty) {
            // In use, of the last process or of one that was made in it: it is found by the next look.
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
            Err(error) => self.context.log.about(Level::Warn, &self.id, format_args!("remove its cgroup: {error}")),
            Ok(()) => {}
        }
    }

    /// Says that a process runs in the cgroup of the agent.
    pub(crate) fn warn_of_uncontained(&self, why: &dyn Display) {
        self.context.log.about(Level::Warn, &self.id, format_args!("it has no cgroup of its own: {why}"));
    }
}
