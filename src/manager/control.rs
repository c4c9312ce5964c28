//! Who runs a manager and who ends it: one run at a time, and one end, whoever asks first.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender};

/// How far a manager is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Being closed or killed, and by whom does not matter.
    Ending,
    Ended,
}

#[derive(Debug)]
struct Progress {
    phase: Phase,
    running: bool,
    /// A run has begun at some time: it is too late for a restore.
    has_run: bool,
    /// The run has something new to look at.
    nudged: bool,
}

/// The coordination between a run and those who end or reconfigure it.
#[derive(Debug)]
pub(super) struct Control {
    progress: Mutex<Progress>,
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
        self.0.lock().running = false;
        self.0.changed.notify_all();
    }
}

impl Control {
    pub(super) fn new() -> Control {
        let (wake, woken) = crossbeam_channel::bounded(1);
        let progress = Progress { phase: Phase::Open, running: false, has_run: false, nudged: false };
        Control { progress: Mutex::new(progress), changed: Condvar::new(), wake, woken }
    }

    pub(super) fn begin_run(&self) -> Admission<'_> {
        let mut progress = self.lock();
        if progress.phase != Phase::Open {
            return Admission::Ended;
        }
        if progress.running {
            return Admission::Occupied;
        }
        (progress.running, progress.has_run) = (true, true);
        Admission::Run(Running(self))
    }

    /// Readable when the run should look at [`Control::is_ending`] and [`Control::take_nudge`].
    pub(super) fn woken(&self) -> &Receiver<()> {
        &self.woken
    }

    pub(super) fn is_ending(&self) -> bool {
        self.lock().phase != Phase::Open
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

    /// True for the one who has to end the manager, after the run has returned; false for all others, after the
    /// manager has ended.
    pub(super) fn begin_end(&self) -> bool {
        let mut progress = self.lock();
        if progress.phase != Phase::Open {
            while progress.phase != Phase::Ended {
                progress = self.changed.wait(progress).unwrap_or_else(PoisonError::into_inner);
            }
            return false;
        }
        progress.phase = Phase::Ending;
        let _ = self.wake.try_send(());
        while progress.running {
            progress = self.changed.wait(progress).unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    pub(super) fn finish_end(&self) {
        self.lock().phase = Phase::Ended;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        // Nothing panics while it is held.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
