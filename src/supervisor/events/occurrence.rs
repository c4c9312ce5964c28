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
        /// From when a thread began with the start until the program was executed.
        took: Duration,
    },
    /// One of a registered kind.
    KindStarted {
        mode: &'a ExecMode,
    },
    /// It is tried again.
    StartFailed {
        error: &'a Error,
    },
    /// It would fail again. Whether the proxy has failed by that is for its machine to say.
    StartHopeless {
        error: &'a Error,
    },
    /// The machine has given up: the last error.
    Failed {
        error: Option<&'a Error>,
    },
    /// It has failed, and is not started again.
    GaveUp {
        error: &'a Error,
    },
    /// Its process has ended as it may, and it is not started again.
    Completed {
        status: ExitStatus,
    },
    /// The code of a registered kind has returned an error.
    KindStartFailed {
        error: &'a Error,
    },
    /// Its kind cannot make a proxy of the declaration; the error names the proxy.
    Rejected {
        error: &'a Error,
    },
    Adopted {
        pid: Pid,
        generation: Generation,
    },
    /// `ended`: the process has, which is nothing to worry about.
    NotAdopted {
        reason: String,
        ended: bool,
    },
    /// The same of one proxy of many, which share one log line.
    NotKnownToLive {
        reason: String,
    },
    /// `expected`: it was told to end, or did so as it may.
    Exited {
        pid: Pid,
        status: ExitStatus,
        expected: bool,
        generation: Generation,
    },
    Waiting {
        wait: Duration,
    },
    /// `after`: how long after its start; absent after a reload and for a process that was adopted.
    Ready {
        generation: Generation,
        after: Option<Duration>,
    },
    /// `error`: what the status shows, and why it is stopped.
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
    /// The caller of the restore gets the error as well, and logs it.
    NotRead {
        error: &'a Error,
    },
    /// A part of it, or a file beside it: a record or a pid file.
    PartNotUsed {
        message: String,
    },
}
