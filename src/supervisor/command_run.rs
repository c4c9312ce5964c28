// SPDX-License-Identifier: MPL-2.0
//! A command that runs beside the process of a proxy: for a readiness check, a reload, or a step of a stop.
//!
//! Its process is neither supervised nor recorded, so that no agent takes it for the process of the proxy. It has the
//! tag of the proxy: processes that it leaves are ended by a stop like those that left the group, and if this agent
//! dies, the next one ends all of them.

use std::ffi::OsString;
use std::fmt;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::process_key::ProcessKey;
use super::reaper::process::Process;
use super::reaper::{POLL_INTERVAL, leave_behind};
use super::spec::Spec;
use crate::deadline::after;
use crate::defaults;
use crate::error::{Error, ErrorCode, Result};
use crate::lifecycle::start_numbers::StartNumbers;
use crate::sys::fork_safe::PerProcess;
use crate::sys::pid::Pid;
use crate::sys::pidfd;
use crate::sys::signal::Signal;
use crate::sys::spawn;
use crate::sys::spawn::child_stack::ChildStack;
use crate::sys::spawn::host_process::HostProcess;
use crate::sys::spawn::standard_streams::StandardStreams;
use crate::sys::wait::{ExitStatus, Reap};

/// A command that is to be run.
#[derive(Debug)]
pub(crate) struct CommandRun {
    pub(crate) spec: Arc<Spec>,
    pub(crate) argv: Vec<OsString>,
    /// The process for which it is run, and the numbers of its start.
    pub(crate) leader: Pid,
    pub(crate) numbers: StartNumbers,
    /// Where it begins, if its process has a cgroup of its own.
    pub(crate) cgroup: Option<Arc<Path>>,
}

/// A command whose end the supervisor thread awaits.
#[derive(Debug)]
pub(crate) struct AwaitedCommand {
    /// The name of its process in the reaper's table.
    pub(crate) key: ProcessKey,
    pub(crate) purpose: CommandPurpose,
    pub(crate) argv: Vec<OsString>,
    /// How long it may take, and when that is over.
    pub(crate) limit: Option<(Duration, Instant)>,
    /// Whether it was started: before that, a job is under way or queued.
    pub(crate) started: bool,
    /// Whether its result is not wanted any more: it was killed, or is when it has been started.
    pub(crate) revoked: bool,
}

/// What a command is run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommandPurpose {
    /// This step of a stop.
    StopStep(usize),
    /// To find out whether the process is ready.
    Readiness,
}

impl fmt::Display for CommandPurpose {
    /// The place in the declaration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommandPurpose::StopStep(step) => write!(f, "stop[{step}]"),
            CommandPurpose::Readiness => f.write_str("ready"),
        }
    }
}

/// How many commands are run on threads of their callers.
static RUN_BY_CALLERS: PerProcess<AtomicUsize> = PerProcess::new(|| AtomicUsize::new(0));

/// Counts one of them until it is dropped.
struct RunByCaller;

impl RunByCaller {
    fn begin() -> RunByCaller {
        RUN_BY_CALLERS.get().fetch_add(1, Ordering::AcqRel);
        RunByCaller
    }
}

impl Drop for RunByCaller {
    fn drop(&mut self) {
        RUN_BY_CALLERS.get().fetch_sub(1, Ordering::AcqRel);
    }
}

/// Whether any command is run on the thread of its caller: a child of this process, which no list of orphans has.
pub(crate) fn any_is_run_by_a_caller() -> bool {
    RUN_BY_CALLERS.get().load(Ordering::Acquire) > 0
}

impl CommandRun {
    /// Runs it on the calling thread and waits for its end, at most for the given time. Returns when it has exited with
    /// code 0.
    ///
    /// # Errors
    /// - As [`CommandRun::start`].
    /// - [`ErrorCode::CommandFailed`]: it has ended otherwise.
    /// - [`ErrorCode::Timeout`]: it took too long, and was killed with its group.
    /// - [`ErrorCode::StillRunning`]: and has outlived that. It is left to the supervisor to be reaped.
    pub(crate) fn run(self, timeout: Duration) -> Result<()> {
        // ORDER: before the start, so that a stop that comes meanwhile looks for it.
        let _counted = RunByCaller::begin();
        let failed = |error| start_failed(&self.name(), &error);
        let (mut stack, mut streams) = (ChildStack::new().map_err(failed)?, StandardStreams::new().map_err(failed)?);
        let (process, name) = (self.start(&mut stack, &HostProcess::read(), &mut streams)?, self.name());
        // The owner may end meanwhile.
        drop((self, stack, streams));
        if let Some(status) = wait_for(&process, after(Instant::now(), timeout)) {
            return succeeded(&name, status);
        }
        // ORDER: before it is reaped, for its group has its pid.
        let killed = process.signal_group(Signal::KILL);
        let late = too_late(&name, timeout);
        if wait_for(&process, after(Instant::now(), defaults::KILL_PATIENCE)).is_some() {
            return Err(late);
        }
        let pid = process.pid;
        leave_behind(process);
        let what = killed.map_or_else(|error| error.to_string(), |()| "it has not ended".to_owned());
        Err(Error::new(ErrorCode::StillRunning, format!("{late}; kill pid {pid}: {what}")))
    }

    /// Starts it.
    ///
    /// # Errors
    /// [`ErrorCode::StartFailed`], [`ErrorCode::RootRefused`], [`ErrorCode::Io`]: it was not started.
    pub(crate) fn start(
        &self,
        stack: &mut ChildStack,
        host: &HostProcess,
        streams: &mut StandardStreams,
    ) -> Result<Process> {
        self.spec.refuse_root()?;
        let mut program = self.spec.command_program(&self.argv, self.leader, self.numbers);
        self.spec.become_user(&mut program)?;
        program.cgroup = self.spec.enter_for_command(self.cgroup.as_ref())?;
        let streams = streams.with(self.spec.open_outputs(program.credentials.as_ref())?);
        let started = spawn::start(stack, host, program, streams.as_fds(), None)
            .map_err(|error| error.to_error().within(self.name()))?;
        if let Some(why) = &started.uncontained {
            self.spec.warn_of_uncontained(why);
        }
        Ok(Process { pid: started.pid, pidfd: started.pidfd, identity: None })
    }

    fn name(&self) -> String {
        name_of(&self.argv)
    }
}

/// The program of a command as it is named, for messages.
pub(crate) fn name_of(argv: &[OsString]) -> String {
    argv.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A command was killed because it took too long.
pub(crate) fn too_late(name: &str, timeout: Duration) -> Error {
    Error::new(ErrorCode::Timeout, format!("{name}: killed, for it took longer than {timeout:?}"))
}

fn start_failed(name: &str, error: &std::io::Error) -> Error {
    Error::os(ErrorCode::StartFailed, format_args!("{name}: prepare a start"), error)
}

/// What the end of a command means.
///
/// # Errors
/// [`ErrorCode::CommandFailed`]: it has not exited with code 0.
pub(crate) fn succeeded(name: &str, status: ExitStatus) -> Result<()> {
    match status {
        ExitStatus::Exited(0) => Ok(()),
        _ => Err(Error::new(ErrorCode::CommandFailed, format!("{name}: {status}"))),
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
