// SPDX-License-Identifier: MPL-2.0
//! The manager: follows the state, and gives the proxies to the next agent.

#[cfg(feature = "internals")]
mod bench_hooks;
mod close_and_kill;
mod coalesce;
mod custom_kinds;
mod external_snapshot;
mod managed_set;
mod open;
mod options;
mod restore;
mod run_control;
mod run_loop;
mod snapshot_writer;
mod status;
mod sync;
mod sync_plan;
mod written_snapshot;

use std::collections::BTreeMap;
use std::fmt;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use options::ManagerOptions;

use crate::declaration::ExecMode;
use crate::error::{Error, ErrorCode, Result};
use crate::host_code::outside_loggers;
use crate::logging::{Level, Log, Logs};
use crate::proxy::{Proxy, ProxyContext};
use crate::state::State;
use crate::store::DataDir;
use crate::supervisor::{EventKind, EventRing, Events, Owner, ProxyStatus, Supervisor};
use crate::sys::fork::OnlyHome;
use crate::sys::thread;
use external_snapshot::ExternalSnapshot;
use managed_set::ManagedSet;
use run_control::Control;

/// Starts, stops, snapshots and restores the proxies of a [`State`] (Consul 1.4's `Manager`).
///
/// Nothing is started or stopped before [`Manager::run`]; until then everything can be set up, and
/// [`Manager::restore`] called. A manager is used from as many threads as one likes. It ends by [`Manager::close`],
/// which leaves the proxies running for the next agent, or by [`Manager::kill`], which stops them; dropping it closes
/// it. All its functions that can fail do so with [`ErrorCode::InCallback`] when a [logger](crate::Logger) calls them.
///
/// ```
/// use proxyprocess::{Command, Manager, ManagerOptions, ProxyConfig, ProxyState, State};
///
/// let state = State::new();
/// state.set("web-proxy", ProxyConfig::new(Command::new("sleep").arg("1000")))?;
/// let mut options = ManagerOptions::default();
/// # let place = tempfile::tempdir().unwrap();
/// # let data_dir = place.path().join("data");
/// options.data_dir = Some(data_dir);
/// options.allow_root = true;
///
/// let manager = Manager::new(state, options)?;
/// let mut events = manager.events(); // before the restore, to see adoptions as well
/// if let Some(path) = manager.snapshot_path() {
///     if let Err(error) = manager.restore(path) {
///         eprintln!("going on without the snapshot: {error}");
///     }
/// }
/// std::thread::scope(|scope| {
///     scope.spawn(|| manager.run());
///     events.next_timeout(std::time::Duration::from_secs(30));
///     manager.kill()
/// })?;
/// # Ok::<(), proxyprocess::Error>(())
/// ```
pub struct Manager {
    /// Another one, without proxies, once the manager has ended: subscriptions to the host's end then.
    state: Mutex<State>,
    owner: Owner,
    data_dir: Option<Arc<DataDir>>,
    events: Arc<EventRing>,
    log: Log,
    control: Control,
    core: OnlyHome<Mutex<ManagedSet>>,
}

impl Manager {
    /// A manager of the proxies of `state`, which may be filled before or after. It opens the data directory and
    /// holds its lock until it is closed or killed. For a lock that is held it waits a second, and up to ten if an
    /// agent was killed while it was starting a process.
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidConfig`], naming the option.
    /// - [`ErrorCode::Locked`]: another manager has the data directory; the message says which process it is of.
    /// - [`ErrorCode::Untrusted`]: the data directory, or what is in it, is another user's or can be written by others.
    /// - [`ErrorCode::Io`], [`ErrorCode::Exhausted`]: it cannot be created or read.
    pub fn new(state: State, options: ManagerOptions) -> Result<Manager> {
        outside_loggers()?;
        options.validate()?;
        let log = Log::new(options.logger.clone());
        let data_dir = options.data_dir.as_deref().map(DataDir::open).transpose()?.map(Arc::new);
        let found = data_dir.as_ref().map(|data_dir| restore::find_processes(data_dir, &log)).transpose()?;
        let restore::Found { unclaimed, unrecorded, tokens, ignored } = found.unwrap_or_default();
        state.remember_tokens(tokens.into_iter());
        let events = EventRing::new(options.event_capacity);
        let core = ManagedSet::new(options, data_dir.as_ref(), &events, log.clone(), unclaimed, unrecorded, ignored);
        let owner = Supervisor::new_owner();
        Ok(Manager {
            state: Mutex::new(state),
            owner,
            data_dir,
            events,
            log,
            control: Control::new(),
            core: OnlyHome::new(Mutex::new(core)),
        })
    }

    /// Takes over what a snapshot describes; what is waited for is told.
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
                core.context.events.publish(None, EventKind::SnapshotFailed { error: error.to_string() });
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

    /// Tries again to restore the snapshot of the data directory, if that could not be done.
    fn restore_again(&self, core: &mut ManagedSet) -> Result<()> {
        match self.snapshot_path() {
            Some(path) if core.unrestored => self.restore_into(core, &path).map(drop),
            _ => Ok(()),
        }
    }

    /// Registers a kind of proxy under a mode, by which declarations and snapshots name it. Call it before
    /// [`Manager::restore`] and [`Manager::run`].
    ///
    /// # Errors
    /// [`ErrorCode::InvalidConfig`] when the mode is registered already; `daemon` and `noop` always are.
    pub fn register_kind(
        &self,
        mode: ExecMode,
        factory: impl Fn(ProxyContext<'_>) -> Result<Box<dyn Proxy>> + Send + Sync + 'static,
    ) -> Result<()> {
        self.check_usable()?;
        self.core().registry.register(mode, Box::new(factory))
    }

    /// Takes over from an earlier agent by its snapshot, usually the one at [`Manager::snapshot_path`]. Processes that
    /// live, and are proven to be the recorded ones, are supervised when it returns; nothing is started. A path at
    /// which there is nothing does nothing.
    ///
    /// Tokens that were generated come back into the [`State`]. A snapshot of the data directory that cannot be read
    /// is renamed to `snapshot.json.corrupt-<n>`; the process records are not touched, and [`Manager::run`] still
    /// finds the processes by them. Snapshots of Consul 1.2 to 1.4 are read as well.
    ///
    /// A snapshot that [`Manager::snapshot`] wrote to another path names its processes. That of another data directory does
    /// not: they are named by the records beside it, which are read and not changed, and from then on by those of this
    /// manager. Where there are no records, or others may write to them, it is not known whether a process lives: each such
    /// proxy gets an [`EventKind::AdoptionRefused`] and a last error in its status that say so, and [`Manager::run`] starts
    /// another process of each that is wanted.
    ///
    /// # Errors
    /// The manager is as before.
    /// - [`ErrorCode::CorruptSnapshot`]: the document as a whole cannot be used.
    /// - [`ErrorCode::Locked`]: it is in the data directory of a manager that lives; the message says which, and of which
    ///   process it is.
    /// - [`ErrorCode::InvalidConfig`]: a run has begun already. [`ErrorCode::Closed`].
    /// - [`ErrorCode::Io`], [`ErrorCode::Exhausted`]: if it is the snapshot of the data directory, and is still there,
    ///   [`Manager::run`] tries again, and starts nothing before.
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

    /// Follows the state until [`Manager::close`] or [`Manager::kill`], and returns when that is complete, with the same
    /// result. So a program can exit when its main thread comes back from here, whatever thread has ended the manager.
    /// Blocks; while another run is executing it returns at once.
    ///
    /// The first sync is made at once, later ones when changes have calmed down (see [`ManagerOptions`]). Fill the
    /// state first: what was restored or recorded and is not in it is stopped by the first sync.
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

    /// Ends the manager and leaves the proxies running. Nothing is in flight when it returns: every process is
    /// recorded, the snapshot is written, and the data directory is free for the next manager. [`Manager::run`] returns
    /// then as well. After [`Manager::kill`], or called again, it waits until the end is complete, and does nothing.
    ///
    /// Without a data directory no later manager finds the processes, unless by a snapshot that [`Manager::snapshot`] wrote
    /// just before: how many are left is logged as a warning.
    ///
    /// # Errors
    /// [`ErrorCode::Io`] when the snapshot could not be written, [`ErrorCode::Locked`] when the data directory was
    /// removed and another manager has the one in its place, or what a proxy of a registered kind reports. Of several
    /// failures the message names all, and the code is that of the first. The manager is closed nevertheless.
    pub fn close(&self) -> Result<()> {
        self.check_usable()?;
        let Some(ending) = self.control.begin_end() else { return Ok(()) };
        ending.finish(self.end_by_closing())
    }

    /// Ends the manager and stops all proxies, at the same time, restored ones and recorded ones without a declaration
    /// included. It returns when they are gone, and so does [`Manager::run`] then. After [`Manager::close`], or called
    /// again, it waits until the end is complete, and does nothing.
    ///
    /// # Errors
    /// - [`ErrorCode::StillRunning`]: processes outlived SIGKILL, or may live; the message names them, and all else that
    ///   failed.
    /// - [`ErrorCode::Unproven`]: none did, and the message names others that may be of a proxy and were not signalled.
    /// - [`ErrorCode::Io`] and others about files: the processes are gone, and the snapshot could not be written, or pid
    ///   files and records could not be removed; the message names them.
    /// - What a proxy of a registered kind reports. Of several failures without processes that are left, the code is that
    ///   of the first, and [`ErrorCode::StillRunning`] where proxies of registered kinds could not be stopped for several
    ///   reasons.
    ///
    /// The manager is ended nevertheless.
    pub fn kill(&self) -> Result<()> {
        self.check_usable()?;
        let Some(ending) = self.control.begin_end() else { return Ok(()) };
        ending.finish(self.end_by_killing())
    }

    /// Writes a snapshot to a path, atomically. Unlike the one that the manager keeps in its data directory, it names
    /// the living processes, so that it can be restored by a manager of another data directory.
    ///
    /// # Errors
    /// [`ErrorCode::Io`]; what was there before is untouched. [`ErrorCode::Closed`].
    pub fn snapshot(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        self.check_usable()?;
        let mut core = self.core();
        self.check_open()?;
        if self.data_dir.as_ref().is_some_and(|data_dir| data_dir.is_snapshot(path)) {
            return core.write_snapshot();
        }
        let processes = match &core.supervisor {
            Some(supervisor) => supervisor.processes(self.owner)?,
            None => Vec::new(),
        };
        core.write_snapshot_to(path, processes.into_iter().collect())
    }

    /// Where the manager keeps its snapshot; `None` without a data directory. The file may not exist yet.
    pub fn snapshot_path(&self) -> Option<PathBuf> {
        self.data_dir.as_ref().map(|data_dir| data_dir.snapshot_path())
    }

    /// Takes other settings, at once: periods, environment and `allow_root`. Another `proxy_env` replaces every proxy
    /// whose environment comes out otherwise by it; `allow_root` has those tried again that were refused.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidConfig`], naming the option; `data_dir`, `event_capacity` and `logger` cannot be changed. Nothing is
    /// changed then. [`ErrorCode::Closed`].
    pub fn reconfigure(&self, options: ManagerOptions) -> Result<()> {
        options.validate()?;
        self.check_usable()?;
        let mut core = self.core();
        self.check_open()?;
        let fixed = |field: &str| {
            let message = format!("{field}: expected no change while the manager lives");
            Err(Error::new(ErrorCode::InvalidConfig, message))
        };
        if core.options.data_dir != options.data_dir {
            return fixed("data_dir");
        }
        if core.options.event_capacity != options.event_capacity {
            return fixed("event_capacity");
        }
        if core.options.logger != options.logger {
            return fixed("logger");
        }
        core.reconfigure(options);
        self.control.nudge();
        Ok(())
    }

    /// What every proxy is doing, by id. Empty after the end, and in a [logger](crate::Logger), for whose return it would wait.
    ///
    /// If the data directory was removed, every proxy has that as its last error, and a manager that runs makes it anew.
    pub fn status(&self) -> Vec<ProxyStatus> {
        self.look()
    }

    /// A reader of lifecycle events from now on. Take it before [`Manager::restore`] to see adoptions.
    pub fn events(&self) -> Events {
        self.events.subscribe()
    }

    /// A reader of the lines of the log about this manager and its proxies that are at least so serious, from now on, beside
    /// the logger. What concerns all managers of the program is not among them: lines of their threads, and of opening a data
    /// directory; [`Logs::of_library`] has those as well.
    pub fn logs(&self, level: log::LevelFilter) -> Logs {
        self.log.subscribe(level)
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
            run_control::Admission::Run(_running) => Ok(Some(self.follow_state())),
            run_control::Admission::Occupied => Ok(None),
            run_control::Admission::Ended => Err(ended()),
        }
    }

    /// # Errors
    /// - [`ErrorCode::Forked`] in a process that the host forked off.
    /// - [`ErrorCode::InCallback`] on a thread that is in a logger: it may hold the lock, or be waited for.
    fn check_usable(&self) -> Result<()> {
        self.core.get()?;
        outside_loggers()
    }

    /// For a drop within a logger, which must not wait for the end: another thread makes it.
    fn close_on_another_thread(&mut self) {
        let nothing = ManagedSet::new(
            ManagerOptions::default(),
            None,
            &self.events,
            self.log.clone(),
            Vec::new(),
            BTreeMap::new(),
            Vec::new(),
        );
        // A thread that cannot be started drops what it would have run: a leak is better than a wait for oneself.
        let manager = ManuallyDrop::new(Manager {
            state: Mutex::new(self.state()),
            owner: self.owner,
            data_dir: self.data_dir.take(),
            events: self.events.clone(),
            log: self.log.clone(),
            control: std::mem::replace(&mut self.control, Control::new()),
            core: std::mem::replace(&mut self.core, OnlyHome::new(Mutex::new(nothing))),
        });
        if let Err(error) = thread::start("proxy-free", move || drop(ManuallyDrop::into_inner(manager))) {
            self.log.write(Level::Error, format_args!("close within a logger: start thread: {error}"));
        }
    }

    fn check_open(&self) -> Result<()> {
        if self.control.is_ending() { Err(ended()) } else { Ok(()) }
    }

    fn state(&self) -> State {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn core(&self) -> MutexGuard<'_, ManagedSet> {
        // Foreign code that is called under it is guarded, so nothing panics while it is held.
        self.core.anywhere().lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ended() -> Error {
    Error::new(ErrorCode::Closed, "the manager was closed or killed")
}

impl Drop for Manager {
    fn drop(&mut self) {
        if self.core.get().is_err() {
            return; // it is not a worker's to end
        }
        if outside_loggers().is_err() {
            return self.close_on_another_thread();
        }
        // A destructor can only log; a caller that wants the result calls close.
        if let Err(error) = self.close() {
            self.log.write(Level::Error, format_args!("close: {error}"));
        }
    }
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data_dir = self.data_dir.as_ref().map(|data_dir| data_dir.path());
        f.debug_struct("Manager").field("data_dir", &data_dir).finish_non_exhaustive()
    }
}
