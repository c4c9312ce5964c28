// SPDX-License-Identifier: MPL-2.0
//! The run loop: waits for changes, for their calm, and for the time of the next snapshot. Nothing ticks in it unless
//! there are proxies of registered kinds, whose stored state may change by itself.

use std::time::{Duration, Instant};

use crossbeam_channel::select;

use super::Manager;
use super::coalesce::{Coalescer, Periods};
use super::managed_set::ManagedSet;
use super::sync;
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
    /// The data directory was made anew.
    ByRenewal,
    /// It is told to look, or it is time for something.
    ToCheck,
}

impl Manager {
    /// The body of [`Manager::run`], until the manager is ended.
    pub(super) fn follow_state(&self) -> Result<()> {
        self.core().tell_ignored();
        self.core().supervisor()?;
        let subscription = self.state().subscribe();
        let mut due = Due::default();
        self.follow_once(&mut due)?;
        while !self.control.is_ending() {
            let now = Instant::now();
            if self.control.take_nudge() || self.sync_time(&due).is_some_and(|at| at <= now) {
                // ORDER: the news is taken before the state is read, so that what comes after is told again.
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
            // While changes wait to be followed, when the last one was says more than being told of each.
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

    /// The data directory, or a part of it, was removed and made anew.
    fn write_again(&self, due: &mut Due) {
        // ORDER: who the processes are comes first, for the snapshot alone does not say it.
        if let Err(error) = self.core().renew_files(self.owner, true) {
            self.log.write(Level::Error, format_args!("{error}"));
        }
        due.snapshot = Some(Instant::now());
    }

    fn write_snapshot(&self, due: &mut Due) {
        let mut core = self.core();
        due.snapshot = None;
        if core.write_snapshot().is_err() || core.written.untidy {
            // Logged there, and a failure to write announced; the processes are not touched by it.
            due.snapshot = Some(after(Instant::now(), retry_period(&core)));
        } else if core.has_registered_kinds() {
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
