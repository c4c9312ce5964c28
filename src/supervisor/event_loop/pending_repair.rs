// SPDX-License-Identifier: MPL-2.0
//! What failed and is tried again later: files that could not be written or removed, signals that could not be sent. A
//! stale pid file, for example, would stay wrong for as long as the next process runs.

use std::sync::Arc;
use std::time::Instant;

use crate::error::Error;
use crate::store::RecordedEnd;
use crate::store::file_place::FilePlace;
use crate::supervisor::spec::Spec;
use crate::sys::pid::Pid;

/// What has to be done again, and when.
#[derive(Debug)]
pub(crate) struct PendingRepair {
    pub(crate) at: Instant,
    pub(crate) what: RepairTask,
    /// Why it could not be done.
    pub(crate) error: Error,
}

/// What is not as it should be.
#[derive(Debug, Clone)]
pub(crate) enum RepairTask {
    /// Files of a process that is gone are still there, or what it has left of its group.
    CleanUp(Arc<Spec>),
    /// The same, but for its record.
    CleanUpButRecord(Arc<Spec>),
    /// The record of a process that is gone does not say how it ended.
    RecordEnd(Arc<Spec>, RecordedEnd),
    /// The pid file of a process that is gone is still there.
    RemovePidFile(Arc<Spec>),
    /// The pid file of this process is not written.
    PidFile(Arc<Spec>, Pid),
    /// The record of this process is not of this declaration, though the process is.
    Record(Arc<Spec>, Pid),
    /// A signal that could not be sent, for what has to be read before could not be.
    Signal(StopSignal),
}

impl RepairTask {
    /// The process that it is about has other files now; what it was started from is `after`, which was `before`.
    pub(crate) fn take_place(&mut self, place: FilePlace, before: &Arc<Spec>, after: &Arc<Spec>) {
        match self {
            RepairTask::Record(spec, _) if Arc::ptr_eq(spec, before) => *spec = after.clone(),
            RepairTask::CleanUp(spec)
            | RepairTask::CleanUpButRecord(spec)
            | RepairTask::RecordEnd(spec, _)
            | RepairTask::RemovePidFile(spec)
            | RepairTask::PidFile(spec, _)
            | RepairTask::Record(spec, _) => *spec = spec.at(place),
            RepairTask::Signal(_) => {}
        }
    }
}

/// A signal of a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopSignal {
    /// Of this step, which is the one that is under way.
    OfStep(usize),
    /// That of a leader which does not feed its watchdog.
    Abort,
    /// After the last one.
    Kill,
}
