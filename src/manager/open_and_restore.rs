// SPDX-License-Identifier: MPL-2.0
//! A manager that continues where an earlier one ended.

use std::path::Path;

use super::external_snapshot::{self, ExternalSnapshot};
use super::managed_set::ManagedSet;
use super::{Manager, ManagerOptions, restore};
use crate::error::{Error, ErrorCode, Result};
use crate::logging::Level;
use crate::state::State;
use crate::store::DataDir;
use crate::supervisor::SnapshotOccurrence;

impl Manager {
    /// Calls [`Manager::new`], then [`Manager::restore`] from the manager's own data directory. When it returns,
    /// proxies of an earlier manager that still run are supervised; nothing is started or stopped.
    ///
    /// An unusable snapshot is no error: it is logged, and the processes are found by their records. If a snapshot
    /// cannot be read now, the run starts nothing before it could be read. Without a data directory there is nothing to
    /// restore.
    ///
    /// A host that needs the events of the adoptions, or has its own kinds, calls [`Manager::new`], then
    /// [`Manager::events`] and [`Manager::register_kind`], and then [`Manager::restore`].
    ///
    /// ```
    /// use proxyprocess::{Manager, ManagerOptions, State};
    ///
    /// # let place = tempfile::tempdir().unwrap();
    /// # let data_dir = place.path().join("data");
    /// let manager = Manager::open(State::new(), ManagerOptions::default().with_data_dir(&data_dir))?;
    /// assert!(manager.status().is_empty());
    /// manager.close()?;
    /// # Ok::<(), proxyprocess::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Manager::new`].
    pub fn open(state: State, options: ManagerOptions) -> Result<Manager> {
        let manager = Manager::new(state, options)?;
        if let Some(path) = manager.snapshot_path() {
            if let Err(error) = manager.restore(path) {
                manager.log.write(Level::Error, format_args!("open: going on without the snapshot: {error}"));
            }
        }
        Ok(manager)
    }

    /// Takes over from an earlier agent by its snapshot, usually the one at [`Manager::snapshot_path`]. When it
    /// returns, processes that are alive and proven to be the recorded ones are supervised; nothing is started. If
    /// there is nothing at the path, it does nothing.
    ///
    /// Generated tokens are restored to the [`State`]. A snapshot of the data directory that cannot be parsed is
    /// renamed to `snapshot.json.corrupt-<n>`; the process records are not touched, and [`Manager::run`] still finds
    /// the processes by them. Snapshots of Consul 1.2 to 1.4 are read as well.
    ///
    /// A snapshot that [`Manager::snapshot`] wrote to another path names its processes. The snapshot of another data
    /// directory does not: its processes are named by the records beside it, which are read and not changed, and from
    /// then on by records of this manager. If there are no records, or others may write to them, it is not known
    /// whether a process is alive: each such proxy gets an
    /// [`EventKind::AdoptionRefused`](crate::EventKind::AdoptionRefused) and a last error in its status that say so,
    /// and [`Manager::run`] starts another process for each wanted one.
    ///
    /// # Errors
    /// The manager is not changed.
    /// - [`ErrorCode::CorruptSnapshot`]: the document as a whole cannot be used.
    /// - [`ErrorCode::Locked`]: it is in the data directory of a manager that is alive; the message names the directory
    ///   and the process.
    /// - [`ErrorCode::InvalidConfig`]: a run has already begun. [`ErrorCode::Closed`].
    /// - [`ErrorCode::Io`], [`ErrorCode::Exhausted`]: if it is the snapshot of the data directory, and still exists,
    ///   [`Manager::run`] tries again and starts nothing before.
    pub fn restore(&self, path: impl AsRef<Path>) -> Result<()> {
        let adoptions = {
            self.check_usable()?;
            let mut core = self.core();
            self.check_open()?;
            if self.control.has_run() {
                return Err(Error::new(ErrorCode::InvalidConfig, "restore: expected to be called before run"));
            }
            self.restore_into(&mut core, path.as_ref())?
        };
        for adoption in adoptions {
            // How it ended is in the status, the log and the events; a refusal is no failure of the restore.
            let _ = adoption.recv();
        }
        Ok(())
    }

    /// Takes over what a snapshot describes, and reports for what it is waiting.
    fn restore_into(&self, core: &mut ManagedSet, path: &Path) -> Result<Vec<restore::Adoption>> {
        core.tell_ignored();
        match &self.data_dir {
            Some(data_dir) if data_dir.is_snapshot(path) => self.restore_own(core, data_dir),
            _ => self.restore_from_elsewhere(core, path),
        }
    }

    fn restore_own(&self, core: &mut ManagedSet, data_dir: &DataDir) -> Result<Vec<restore::Adoption>> {
        let read = restore::read(data_dir, core);
        // One that cannot be used was set aside; one that could not be read now is still there.
        core.unrestored = read.as_ref().is_err_and(restore::may_pass);
        let Some(snapshot) = read? else { return Ok(Vec::new()) };
        let taken_over = restore::take_over(core, self.owner, &self.state(), snapshot, true);
        core.unrestored = taken_over.is_err();
        taken_over
    }

    fn restore_from_elsewhere(&self, core: &mut ManagedSet, path: &Path) -> Result<Vec<restore::Adoption>> {
        let read = external_snapshot::read(path, self.data_dir.as_deref()).inspect_err(|error| {
            if error.code() == ErrorCode::CorruptSnapshot {
                core.context.publisher.of_snapshot(SnapshotOccurrence::NotRead { error });
            }
        });
        let Some(ExternalSnapshot { snapshot, mut found, unknown, dir }) = read? else { return Ok(Vec::new()) };
        self.state().remember_tokens(std::mem::take(&mut found.tokens).into_iter());
        external_snapshot::take_note(core, self.owner, found)?;
        // ORDER: recorded here before another manager can begin there; and unlocked before the processes are adopted, for
        // those of a directory whose lock is taken are left alone.
        drop(dir);
        let adoptions = restore::take_over(core, self.owner, &self.state(), snapshot, false)?;
        external_snapshot::tell_unknown(core, path, unknown);
        Ok(adoptions)
    }

    /// Tries again to restore the snapshot of the data directory, if that failed before.
    pub(super) fn restore_again(&self, core: &mut ManagedSet) -> Result<()> {
        match self.snapshot_path() {
            Some(path) if core.unrestored => self.restore_into(core, &path).map(drop),
            _ => Ok(()),
        }
    }
}
