// SPDX-License-Identifier: MPL-2.0
//! How a process enters its cgroup.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use super::Spec;
use crate::error::{Error, Result};
use crate::logging::Level;
use crate::supervisor::cgroup_limits::without_cgroup;
use crate::supervisor::cgroups::{Opened, StartPlace};
use crate::sys::cgroup::control;
use crate::sys::cgroup::directory;
use crate::sys::spawn::program::EnteredCgroup;

impl Spec {
    /// Opens the cgroup that a process begins in; `last`: that of the last one, `other`: that of the other generation. `None` where
    /// there are none, or that cannot be done and is not required, which is logged.
    ///
    /// # Errors
    /// [`ErrorCode::StartFailed`](crate::ErrorCode::StartFailed): it is required, or the limits of the proxy need it or cannot be set.
    pub(crate) fn enter(&self, last: Option<&StartPlace>, other: Option<&Path>) -> Result<Option<EnteredCgroup>> {
        let limits = &self.config.limits;
        let Some(cgroups) = &self.context.cgroups else {
            return if limits.is_empty() { Ok(None) } else { Err(without_cgroups()) };
        };
        let opened = match cgroups.open_for_start(&self.id, last, other, &self.context.log)? {
            Err(why) if !limits.is_empty() => return Err(without_cgroup(why)),
            opened => self.entered(Some(Ok(opened)))?,
        };
        let Some(entered) = opened else { return Ok(None) };
        // Until it is executed a detached one is a process with the memory of this one, which would be ended with it.
        let limited = match self.is_limited_later() {
            true => cgroups
                .limit(&entered.path, &limits.without_memory())
                .and_then(|()| cgroups.count_memory(&entered.path)),
            false => cgroups.limit(&entered.path, limits),
        };
        if let Err(error) = limited {
            self.leave_unused(Some(&entered.path));
            return Err(error);
        }
        Ok(Some(EnteredCgroup { is_required: entered.is_required || !limits.is_empty(), ..entered }))
    }

    /// Whether its limits can be set, found out with a cgroup that no process begins in.
    ///
    /// # Errors
    /// As [`Spec::enter`].
    pub(super) fn try_limits(&self) -> Result<()> {
        match &self.context.cgroups {
            _ if self.config.limits.is_empty() => Ok(()),
            Some(cgroups) => cgroups.try_limits(&self.id, &self.config.limits),
            None => Err(without_cgroups()),
        }
    }

    /// Whether limits of its memory are set once it runs, and not before.
    pub(crate) fn is_limited_later(&self) -> bool {
        self.config.command.is_detached() && self.config.limits.without_memory() != self.config.limits
    }

    /// Whether its process is to have limits, or may have some that are not declared any more.
    pub(crate) fn may_be_limited(&self) -> bool {
        !self.only_stops && (!self.config.limits.is_empty() || self.has_controllers())
    }

    /// Has the cgroup of a process that runs have the limits that are declared now.
    ///
    /// # Errors
    /// [`ErrorCode::StartFailed`](crate::ErrorCode::StartFailed): one cannot be set, or it has no cgroup.
    pub(crate) fn limit(&self, path: Option<&Path>) -> Result<()> {
        match (&self.context.cgroups, path) {
            (Some(cgroups), Some(path)) => cgroups.limit(path, &self.config.limits),
            _ if self.config.limits.is_empty() => Ok(()),
            _ => Err(without_cgroup("it was started without one, and has none until it is started again")),
        }
    }

    /// The same of the cgroup for a command that is run for a process, if that has one.
    pub(crate) fn enter_for_command(&self, path: Option<&Arc<Path>>) -> Result<Option<EnteredCgroup>> {
        self.entered(self.context.cgroups.as_ref().zip(path).map(|(cgroups, path)| cgroups.open_for_command(path)))
    }

    fn entered(&self, opened: Option<Opened>) -> Result<Option<EnteredCgroup>> {
        Ok(opened.transpose()?.and_then(|opened| opened.inspect_err(|why| self.warn_of_uncontained(why)).ok()))
    }

    fn has_controllers(&self) -> bool {
        self.context.cgroups.as_ref().is_some_and(|cgroups| cgroups.has_controllers())
    }

    /// How many processes of a cgroup the kernel has killed for lack of memory, if that is counted.
    pub(crate) fn oom_kills(&self, path: Option<&Path>) -> Option<u64> {
        path.filter(|_| self.has_controllers()).and_then(control::oom_kills)
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

fn without_cgroups() -> Error {
    without_cgroup("\"cgroup\" of the agent is \"off\", or none can be made")
}
