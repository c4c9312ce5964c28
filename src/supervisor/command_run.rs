// SPDX-License-Identifier: MPL-2.0
//! Runs a command for the process of a proxy, and waits for its end on the thread of the caller.
//!
//! Its process is neither supervised nor recorded, so that no agent takes it for the process of the proxy. It has the tag of
//! the proxy: a stop that comes meanwhile ends it as it ends what left the group, and so does that of the next agent, should
//! this one die.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::reaper::process::Process;
use super::reaper::{POLL_INTERVAL, leave_behind};
use super::spec::Spec;
use crate::deadline::after;
use crate::defaults;
use crate::error::{Error, ErrorCode, Result};
use crate::lifecycle::generation::Generation;
use crate::sys::pid::Pid;
use crate::sys::pidfd;
use crate::sys::signal::Signal;
use crate::sys::spawn;
use crate::sys::spawn::child_stack::ChildStack;
use crate::sys::spawn::standard_streams::StandardStreams;
use crate::sys::wait::{ExitStatus, Reap};

/// A command that is to be run.
#[derive(Debug)]
pub(crate) struct CommandRun {
    pub(crate) spec: Arc<Spec>,
    pub(crate) argv: Vec<OsString>,
    /// How long it may take.
    pub(crate) timeout: Duration,
    /// The process for which it is run, and which one of the proxy that is.
    pub(crate) leader: Pid,
    pub(crate) generation: Generation,
}

impl CommandRun {
    /// Runs it, and returns when it has exited with code 0.
    ///
    /// # Errors
    /// - [`ErrorCode::StartFailed`], [`ErrorCode::RootRefused`], [`ErrorCode::Io`]: it was not started.
    /// - [`ErrorCode::CommandFailed`]: it has ended otherwise.
    /// - [`ErrorCode::Timeout`]: it took too long, and was killed with its group.
    /// - [`ErrorCode::StillRunning`]: and has outlived that. It is left to the supervisor to be reaped.
    pub(crate) fn run(self) -> Result<()> {
        let (process, name, timeout) = (self.start()?, self.name(), self.timeout);
        // The owner may end meanwhile.
        drop(self);
        match wait_for(&process, after(Instant::now(), timeout)) {
            Some(ExitStatus::Exited(0)) => return Ok(()),
            Some(status) => return Err(Error::new(ErrorCode::CommandFailed, format!("{name}: {status}"))),
            None => {}
        }
        // ORDER: before it is reaped, for its group has its pid.
        let killed = process.signal_group(Signal::KILL);
        let late = format!("{name}: killed, for it took longer than {timeout:?}");
        if wait_for(&process, after(Instant::now(), defaults::KILL_PATIENCE)).is_some() {
            return Err(Error::new(ErrorCode::Timeout, late));
        }
        let pid = process.pid;
        leave_behind(process);
        let what = killed.map_or_else(|error| error.to_string(), |()| "it has not ended".to_owned());
        Err(Error::new(ErrorCode::StillRunning, format!("{late}; kill pid {pid}: {what}")))
    }

    fn start(&self) -> Result<Process> {
        let failed =
            |error| Error::os(ErrorCode::StartFailed, format_args!("{}: prepare a start", self.name()), &error);
        self.spec.refuse_root()?;
        let mut streams = StandardStreams::new().map_err(failed)?;
        let mut stack = ChildStack::new().map_err(failed)?;
        let program = self.spec.command_program(&self.argv, self.leader, self.generation);
        let streams = streams.with(self.spec.open_outputs()?);
        let started = spawn::start(&mut stack, program, streams.as_fds(), None).map_err(|error| {
            Error::os_text(ErrorCode::StartFailed, format!("{}: {error}", self.name()), error.source.raw_os_error())
        })?;
        Ok(Process { pid: started.pid, pidfd: started.pidfd, identity: None })
    }

    /// The program as it is named, for messages.
    fn name(&self) -> String {
        self.argv.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

/// Waits for the end of a child and reaps it; `None` when it lives on then.
fn wait_for(process: &Process, deadline: Instant) -> Option<ExitStatus> {
    loop {
        if let Some(ended) = process.ended(Reap::Yes, false) {
            return Some(ended.status);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        match &process.pidfd {
            Some(fd) => pidfd::wait_for_end(fd.as_fd(), left),
            None => std::thread::sleep(left.min(POLL_INTERVAL)),
        }
    }
}
