// SPDX-License-Identifier: MPL-2.0
//! What can happen to a proxy or to a snapshot, as it is told to the [publisher](super::Publisher).

use std::time::Duration;

use crate::declaration::ExecMode;
use crate::error::Error;
use crate::lifecycle::generation::Generation;
use crate::sys::pid::Pid;
use crate::sys::wait::ExitStatus;

/// What happened to a proxy.
#[derive(Debug)]
pub(crate) enum ProxyOccurrence<'a> {
    Started {
        pid: Pid,
        generation: Generation,
        /// The time from the beginning of the start on a spawner thread until the program was executed.
        took: Duration,
    },
    /// A proxy of a registered kind was started.
    KindStarted {
        mode: &'a ExecMode,
    },
    /// The start is tried again.
    StartFailed {
        error: &'a Error,
    },
    /// The start would fail again. Its state machine decides whether the proxy has failed.
    StartHopeless {
        error: &'a Error,
    },
    /// The state machine gave up: the last error.
    Failed {
        error: Option<&'a Error>,
    },
    /// The proxy failed and is not started again.
    GaveUp {
        error: &'a Error,
    },
    /// The process ended as expected and is not started again.
    Completed {
        status: ExitStatus,
    },
    /// The code of a registered kind returned an error.
    KindStartFailed {
        error: &'a Error,
    },
    /// The kind cannot create a proxy from the declaration; the error names the proxy.
    Rejected {
        error: &'a Error,
    },
    Adopted {
        pid: Pid,
        generation: Generation,
    },
    /// `ended`: the process has ended, which is no reason for a warning.
    NotAdopted {
        reason: String,
        ended: bool,
    },
    /// The same for one of many proxies that share a log line.
    NotKnownToLive {
        reason: String,
    },
    /// `expected`: the process was told to end, or ended in a way that its declaration expects.
    Exited {
        pid: Pid,
        status: ExitStatus,
        expected: bool,
        generation: Generation,
    },
    Waiting {
        wait: Duration,
    },
    /// `after`: the time since its start; absent after a reload and for an adopted process.
    Ready {
        generation: Generation,
        after: Option<Duration>,
    },
    /// `error`: what the status shows, and why the process is stopped.
    NotReady {
        error: &'a Error,
        reason: String,
        generation: Generation,
    },
    /// `error`: as above.
    WatchdogExpired {
        error: &'a Error,
        reason: String,
        generation: Generation,
    },
    Stopping {
        pid: Option<Pid>,
        generation: Generation,
    },
    Stopped,
    Unproven {
        processes: String,
    },
}

/// What happened to a snapshot, or to the files beside it.
#[derive(Debug)]
pub(crate) enum SnapshotOccurrence<'a> {
    Written,
    NotWritten {
        error: &'a Error,
    },
    /// The caller of the restore gets the error as well and logs it.
    NotRead {
        error: &'a Error,
    },
    /// A part of the snapshot, or a file beside it: a record or a pid file.
    PartNotUsed {
        message: String,
    },
}
