// SPDX-License-Identifier: MPL-2.0
//! The run loop: waits for changes, for the quiet period after them, and for the time of the next snapshot. It polls
//! only if there are proxies of registered kinds, whose stored state may change by itself.

use std::time::{Duration, Instant};

use crossbeam_channel::select;

use super::coalesce::{Coalescer, Periods};
use super::managed_set::ManagedSet;
use super::run_control::Admission;
use super::{Manager, ended, sync};
use crate::deadline::after;
use crate::error::{ErrorCode, Result};
use crate::logging::Level;

/// The least time between two tries to write a snapshot that cannot be written.
const RETRY: Duration = Duration::from_secs(1);

/// The longest: it may be what keeps proxies from being started.
const RETRY_AT_LATEST: Duration = Duration::from_secs(60);

/// When the loop has something to do.
#[derive(Debug, Default)]
struct Due {
    changes: Coalescer,
    /// A sync that has to be repeated.
    retry: Option<Instant>,
    snapshot: Option<Instant>,
}

/// Why the loop goes on.
enum Woken {
    /// The state was changed.
    ByChange,
    /// The data directory was created again.
    ByRenewal,
    /// It was woken, or it is time for something.
    ToCheck,
}

impl Manager {
    /// Follows the state until [`Manager::close`] or [`Manager::kill`], and returns when that is complete, with the same
    /// result. So a program can exit when its main thread comes back from here, whatever thread has ended the manager.
    /// Blocks; while another run is executing it returns at once.
    ///
    /// The first sync is made at once, later ones when changes have calmed down (see
    /// [`ManagerOptions`](super::ManagerOptions)). Fill the state first: what was restored or recorded and is not in it is
    /// stopped by the first sync.
    ///
    /// # Errors
    /// - [`ErrorCode::Closed`], at once: the manager was closed or killed before.
    /// - [`ErrorCode::Exhausted`]: the threads of the library cannot be started; run can be called again.
    /// - What the close or the kill has failed with, which both get. [`ErrorCode::StillRunning`], for one.
    pub fn run(&self) -> Result<()> {
        self.check_usable()?;
        let Some(followed) = self.follow_unless_another_does()? else { return Ok(()) };
        // ORDER: the run is over by now, or the end would wait for it.
        let ended = if self.control.is_ending() { self.control.wait_for_end() } else { Ok(()) };
        followed.and(ended)
    }

    /// Follows the state as [`Manager::run`] does, and returns when the manager is being ended: the thread of one who joins
    /// it in the end.
    ///
    /// # Errors
    /// As [`Manager::run`], but for those of the end.
    #[cfg(feature = "capi")]
    pub(crate) fn follow(&self) -> Result<()> {
        self.check_usable()?;
        self.follow_unless_another_does()?.unwrap_or(Ok(()))
    }

    /// Has the threads of the library started, which a run would do first.
    ///
    /// # Errors
    /// [`ErrorCode::Exhausted`] when they cannot be had.
    #[cfg(feature = "capi")]
    pub(crate) fn prepare_to_run(&self) -> Result<()> {
        self.core().supervisor().map(drop)
    }

    /// Whether it was closed or killed, or is about to be.
    #[cfg(feature = "capi")]
    pub(crate) fn is_ended(&self) -> bool {
        self.control.is_ending()
    }

    /// Whether it was closed or killed, and nothing more of that is to be done.
    #[cfg(feature = "capi")]
    pub(crate) fn has_ended(&self) -> bool {
        self.control.has_ended()
    }

    /// Follows the state until the manager is being ended; `None` while another run does.
    fn follow_unless_another_does(&self) -> Result<Option<Result<()>>> {
        match self.control.begin_run() {
            Admission::Run(_running) => Ok(Some(self.follow_state())),
            Admission::Occupied => Ok(None),
            Admission::Ended => Err(ended()),
        }
    }

    /// The body of [`Manager::run`], until the manager is ended.
    fn follow_state(&self) -> Result<()> {
        self.core().tell_ignored();
        self.core().supervisor()?;
        let subscription = self.state().subscribe();
        let mut due = Due::default();
        self.follow_once(&mut due)?;
        while !self.control.is_ending() {
            let now = Instant::now();
            if self.control.take_nudge() || self.sync_time(&due).is_some_and(|at| at <= now) {
                // ORDER: the news is taken before the state is read, so that what comes after is reported again.
                let _ = subscription.channel().try_recv();
                self.follow_once(&mut due)?;
                continue;
            }
            if due.snapshot.is_some_and(|at| at <= now) {
                self.write_snapshot(&mut due);
                continue;
            }
            let next = [self.sync_time(&due), due.snapshot].into_iter().flatten().min();
            let timer = next.map_or_else(crossbeam_channel::never, crossbeam_channel::at);
            // While changes wait to be followed, when the last one was says more than a report of each.
            let silent = crossbeam_channel::never();
            let renewed = self.data_dir.as_ref().map_or(&silent, |data_dir| data_dir.renewed());
            let changes = if due.changes.is_pending() { &silent } else { subscription.channel() };
            let woken = self.control.rest(|| {
                select! {
                    recv(changes) -> _ => Woken::ByChange,
                    recv(self.control.woken()) -> _ => Woken::ToCheck,
                    recv(timer) -> _ => Woken::ToCheck,
                    recv(renewed) -> _ => Woken::ByRenewal,
                }
            });
            match woken {
                Some(Woken::ByChange) => due.changes.on_change(Instant::now()),
                Some(Woken::ByRenewal) => self.write_again(&mut due),
                Some(Woken::ToCheck) => {}
                None => break,
            }
        }
        Ok(())
    }

    fn sync_time(&self, due: &Due) -> Option<Instant> {
        let core = self.core();
        let periods = Periods { coalesce: core.options.coalesce_period, quiescent: core.options.quiescent_period };
        let changed = self.state().changed_at().and_then(|last| due.changes.deadline(last, periods));
        due.retry.into_iter().chain(changed).min()
    }

    /// One sync. Only what can never be mended ends the run.
    fn follow_once(&self, due: &mut Due) -> Result<()> {
        due.changes.reset();
        due.retry = None;
        if let Some(Err(error)) = self.data_dir.as_ref().map(|data_dir| data_dir.renew()) {
            // Whatever needs the directory fails by itself.
            self.log.write(Level::Error, format_args!("{error}"));
        }
        let mut core = self.core();
        let restored = self.restore_again(&mut core);
        let state = self.state().changes_since(core.seen);
        let followed = match restored {
            Ok(()) => sync::follow(&mut core, self.owner, &state),
            Err(error) => {
                sync::hold_all(&mut core, &state.wanted, &error);
                Err(error)
            }
        };
        core.state_waiters.dismiss();
        if let Err(error) = followed {
            if matches!(error.code(), ErrorCode::Forked | ErrorCode::Internal) {
                return Err(error);
            }
            self.log.write(Level::Error, format_args!("sync is repeated: {error}"));
            due.retry = Some(after(Instant::now(), retry_period(&core)));
        }
        schedule_snapshot(&core, due);
        Ok(())
    }

    /// The data directory, or a part of it, was removed and created again.
    fn write_again(&self, due: &mut Due) {
        // ORDER: the identities of the processes are written first, because the snapshot alone does not contain them.
        if let Err(error) = self.core().renew_files(self.owner, true) {
            self.log.write(Level::Error, format_args!("{error}"));
        }
        due.snapshot = Some(Instant::now());
    }

    fn write_snapshot(&self, due: &mut Due) {
        let mut core = self.core();
        due.snapshot = None;
        if core.write_changes().is_err() || core.written.untidy {
            // Logged there, and a failure to write announced; the processes are not touched by it.
            due.snapshot = Some(after(Instant::now(), retry_period(&core)));
        } else if core.managed.has_changeable() {
            schedule_snapshot(&core, due);
        }
    }
}

fn retry_period(core: &ManagedSet) -> Duration {
    core.options.snapshot_period.clamp(RETRY, RETRY_AT_LATEST)
}

fn schedule_snapshot(core: &ManagedSet, due: &mut Due) {
    due.snapshot.get_or_insert_with(|| after(Instant::now(), core.options.snapshot_period));
}
