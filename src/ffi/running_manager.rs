// SPDX-License-Identifier: MPL-2.0
//! A manager of the C ABI together with the thread that runs it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::error::{Error, ErrorCode, Result};
use crate::logging::{self, Level};
use crate::manager::Manager;
use crate::sys::fork::OnlyHome;
use crate::sys::thread;

/// A manager, and the thread that runs it if the caller does not.
pub(super) struct Running {
    pub(super) manager: Arc<Manager>,
    runners: OnlyHome<Mutex<Vec<JoinHandle<Result<()>>>>>,
}

impl Running {
    pub(super) fn new(manager: Manager) -> Running {
        Running { manager: Arc::new(manager), runners: OnlyHome::new(Mutex::default()) }
    }

    /// Starts a thread that follows the state, unless there is one.
    pub(super) fn start(&self) -> Result<()> {
        self.runners.get()?;
        // ORDER: under the lock, so that the thread that ends the manager finds this one.
        let mut runners = self.runners();
        if self.manager.is_ended() {
            return Err(Error::new(ErrorCode::Closed, "the manager was closed or killed"));
        }
        if runners.iter().any(|runner| !runner.is_finished()) {
            return Ok(());
        }
        // Failures at the start are reported to the caller now.
        self.manager.prepare_to_run()?;
        let manager = self.manager.clone();
        let run = move || {
            manager.follow().inspect_err(|error| {
                if error.code() != ErrorCode::Closed {
                    logging::write(Level::Error, format_args!("run: {error}"));
                }
            })
        };
        let failed = |error| Error::os(ErrorCode::Exhausted, "start thread of the manager", &error);
        runners.push(thread::start("proxy-manager", run).map_err(failed)?);
        Ok(())
    }

    /// Ends the manager, then the thread; returns the first failure.
    ///
    /// A thread of the library does the work, and the caller only waits: if a signal handler of the host leaves the
    /// wait by siglongjmp, the end is completed nevertheless, and other threads that wait for it return.
    pub(super) fn end(self: &Arc<Running>, end: fn(&Manager) -> Result<()>) -> Result<()> {
        self.runners.get()?;
        if self.manager.has_ended() && self.runners().is_empty() {
            return Ok(());
        }
        let running = self.clone();
        match thread::start("proxy-end", move || running.end_here(end)) {
            Ok(ending) => ending.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            // No thread can be started: the calling thread does it, which is complete unless a non-local exit leaves
            // it.
            Err(_) => self.end_here(end),
        }
    }

    fn end_here(&self, end: fn(&Manager) -> Result<()>) -> Result<()> {
        let ended = end(&self.manager);
        let runners = std::mem::take(&mut *self.runners());
        let ran = runners.into_iter().map(joined).collect::<Result<Vec<()>>>();
        ended.and(ran.map(drop))
    }

    fn runners(&self) -> MutexGuard<'_, Vec<JoinHandle<Result<()>>>> {
        // Nothing panics while it is held.
        self.runners.anywhere().lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The result of a run.
fn joined(runner: JoinHandle<Result<()>>) -> Result<()> {
    match runner.join() {
        // The manager was ended before the run began.
        Ok(Err(error)) if error.code() == ErrorCode::Closed => Ok(()),
        Ok(ran) => ran.map_err(|error| Error::new(error.code(), format!("run: {error}"))),
        Err(_) => Err(Error::new(ErrorCode::Internal, "run: the manager's thread met a fault of the library")),
    }
}
