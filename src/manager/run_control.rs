// SPDX-License-Identifier: MPL-2.0
//! Which call runs a manager and which call ends it: one run at a time, and one end, by the first such call.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender};

use crate::error::{Error, ErrorCode, Result};

/// How far a manager is.
#[derive(Debug)]
enum RunPhase {
    Open,
    /// Being closed or killed, by one of the calls.
    Ending,
    /// And how that went.
    Ended(Result<()>),
}

/// What the run is doing, for the call that ends the manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    None,
    /// It follows the state or writes the snapshot: an end waits for it.
    Busy,
    /// It waits for something to do, and finds out by itself that there is nothing any more. An end does not wait for it:
    /// a thread may never come back from here, when a signal handler of the host leaves the wait by siglongjmp.
    Resting,
}

#[derive(Debug)]
struct EndProgress {
    phase: RunPhase,
    run: Run,
    /// A run has begun at some time: it is too late for a restore.
    has_run: bool,
    /// The run has something new to follow.
    nudged: bool,
    /// Since the end has begun a caller has ended the grace of the stops under way.
    grace_ended: bool,
}

/// The coordination between a run and the calls that end or reconfigure it.
#[derive(Debug)]
pub(super) struct Control {
    progress: Mutex<EndProgress>,
    changed: Condvar,
    wake: Sender<()>,
    woken: Receiver<()>,
}

/// What the caller of [`Control::begin_run`] has to do.
#[derive(Debug)]
pub(super) enum Admission<'a> {
    /// Run, and drop this when done.
    Run(Running<'a>),
    /// Another run is executing.
    Occupied,
    /// Closed or killed.
    Ended,
}

/// A run that is executing.
#[derive(Debug)]
pub(super) struct Running<'a>(&'a Control);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.lock().run = Run::None;
        self.0.changed.notify_all();
    }
}

impl Control {
    pub(super) fn new() -> Control {
        let (wake, woken) = crossbeam_channel::bounded(1);
        let (phase, run) = (RunPhase::Open, Run::None);
        let progress = EndProgress { phase, run, has_run: false, nudged: false, grace_ended: false };
        Control { progress: Mutex::new(progress), changed: Condvar::new(), wake, woken }
    }

    pub(super) fn begin_run(&self) -> Admission<'_> {
        let mut progress = self.lock();
        if !progress.is_open() {
            return Admission::Ended;
        }
        if progress.run != Run::None {
            return Admission::Occupied;
        }
        (progress.run, progress.has_run) = (Run::Busy, true);
        Admission::Run(Running(self))
    }

    /// Has the run wait for something to do. `None` when there is nothing any more, for the manager is being ended.
    pub(super) fn rest<T>(&self, wait: impl FnOnce() -> T) -> Option<T> {
        self.change_run(Run::Resting)?;
        let woken = wait();
        self.change_run(Run::Busy)?;
        Some(woken)
    }

    /// ORDER: both are seen at once, so that a run is never busy when an end has found it resting.
    fn change_run(&self, run: Run) -> Option<()> {
        let mut progress = self.lock();
        if !progress.is_open() {
            return None;
        }
        progress.run = run;
        Some(())
    }

    /// Readable when the run should read [`Control::is_ending`] and [`Control::take_nudge`].
    pub(super) fn woken(&self) -> &Receiver<()> {
        &self.woken
    }

    pub(super) fn is_ending(&self) -> bool {
        !self.lock().is_open()
    }

    #[cfg(feature = "capi")]
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.lock().phase, RunPhase::Ended(_))
    }

    pub(super) fn has_run(&self) -> bool {
        self.lock().has_run
    }

    /// Has the run follow the state at once.
    pub(super) fn nudge(&self) {
        self.lock().nudged = true;
        let _ = self.wake.try_send(());
    }

    pub(super) fn take_nudge(&self) -> bool {
        std::mem::take(&mut self.lock().nudged)
    }

    /// For the call that has to end the manager, when the run does nothing more; `None` for all others, after the manager
    /// has ended.
    pub(super) fn begin_end(&self) -> Option<Ending<'_>> {
        let mut progress = self.lock();
        if !progress.is_open() {
            drop(progress);
            // Told to the call that has ended it, and to the run.
            let _ = self.wait_for_end();
            return None;
        }
        progress.phase = RunPhase::Ending;
        let _ = self.wake.try_send(());
        while progress.run == Run::Busy {
            progress = self.wait(progress);
        }
        Some(Ending(self))
    }

    /// Makes a kill that has begun stop everything without grace, including proxies that it has not reached yet.
    pub(super) fn end_grace(&self) {
        let mut progress = self.lock();
        progress.grace_ended |= !progress.is_open();
    }

    pub(super) fn is_grace_ended(&self) -> bool {
        self.lock().grace_ended
    }

    /// Waits until the manager has ended; how that went.
    pub(super) fn wait_for_end(&self) -> Result<()> {
        let mut progress = self.lock();
        loop {
            if let RunPhase::Ended(result) = &progress.phase {
                return result.clone();
            }
            progress = self.wait(progress);
        }
    }

    fn finish_end(&self, result: Result<()>) {
        self.lock().phase = RunPhase::Ended(result);
        self.changed.notify_all();
    }

    fn wait<'a>(&self, progress: MutexGuard<'a, EndProgress>) -> MutexGuard<'a, EndProgress> {
        self.changed.wait(progress).unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, EndProgress> {
        // Nothing panics while it is held.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EndProgress {
    fn is_open(&self) -> bool {
        matches!(self.phase, RunPhase::Open)
    }
}

/// An end that is under way. Dropped unfinished, by a panic, it has failed: no call waits for it for ever.
#[derive(Debug)]
pub(super) struct Ending<'a>(&'a Control);

impl Ending<'_> {
    /// Tells all calls that wait for the end how it went.
    pub(super) fn finish(self, result: Result<()>) -> Result<()> {
        self.0.finish_end(result.clone());
        std::mem::forget(self);
        result
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.finish_end(Err(Error::new(ErrorCode::Internal, "the end of the manager met a fault of the library")));
    }
}
