// SPDX-License-Identifier: MPL-2.0
//! The manager: applies the state, and leaves the proxies to the next agent.

#[cfg(feature = "internals")]
mod bench_hooks;
mod close_and_kill;
mod coalesce;
mod current_supervisor;
mod custom_kinds;
mod external_snapshot;
mod last_look;
mod managed;
mod managed_proxies;
mod managed_set;
mod metrics;
mod metrics_text;
mod open_and_restore;
mod options;
mod other_process;
mod reload;
mod restore;
mod run_control;
mod run_loop;
mod snapshot_writer;
mod status;
mod steering;
mod sync;
mod sync_plan;
mod usages;
mod written_snapshot;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use options::ManagerOptions;

use crate::declaration::ExecMode;
use crate::error::{Error, ErrorCode, Result};
use crate::host_code::outside_loggers;
use crate::logging::{Log, Logs};
use crate::proxy::{Proxy, ProxyContext};
use crate::state::State;
use crate::store::{DataDir, LogDir};
use crate::supervisor::events::Counters;
use crate::supervisor::{Cgroups, EventRing, Events, Owner, ProxyStatus, Supervisor, random_owner_tag};
use crate::sys::fork::OnlyHome;
use current_supervisor::CurrentSupervisor;
use last_look::SharedLook;
use managed_set::ManagedSet;
use run_control::Control;
use usages::Usages;

/// Starts, stops, snapshots and restores the proxies of a [`State`] (Consul 1.4's `Manager`).
///
/// Nothing is started or stopped before [`Manager::run`]; until then everything can be set up, and
/// [`Manager::restore`] called. A manager may be used by any number of threads. It ends by [`Manager::close`],
/// which leaves the proxies running for the next agent, or by [`Manager::kill`], which stops them; dropping it closes
/// it. All functions that can fail return [`ErrorCode::InCallback`] when a [logger](crate::Logger) calls them.
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
    /// That of the managed set, for what must not wait for it.
    supervisor: CurrentSupervisor,
    counters: Arc<Counters>,
    last_look: SharedLook,
    usages: Mutex<Usages>,
    core: OnlyHome<Mutex<ManagedSet>>,
}

impl Manager {
    /// Creates a manager of the proxies of `state`, which may be filled before or after. It opens the data directory and
    /// holds its lock until it is closed or killed. If the lock is held, it waits up to a second for it, and up to ten seconds
    /// if an agent was killed while it was starting a process.
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidConfig`], naming the option.
    /// - [`ErrorCode::Locked`]: another manager has the data directory; the message names its process.
    /// - [`ErrorCode::Untrusted`]: the data directory, or something in it, belongs to another user or is writable by others.
    /// - [`ErrorCode::Io`], [`ErrorCode::Exhausted`]: it cannot be created or read.
    pub fn new(state: State, options: ManagerOptions) -> Result<Manager> {
        outside_loggers()?;
        options.validate()?;
        let log = Log::new(options.logger.clone());
        let data_dir = options.data_dir.as_deref().map(DataDir::open).transpose()?.map(Arc::new);
        let log_dir = options.log_dir.as_deref().map(LogDir::open).transpose()?;
        let owner_tag = data_dir.as_ref().map_or_else(random_owner_tag, |data_dir| data_dir.owner_tag().clone());
        let found = data_dir.as_ref().map(|data_dir| restore::find_processes(data_dir, &log)).transpose()?;
        let restore::Found { unclaimed, others, unrecorded, tokens, ignored } = found.unwrap_or_default();
        state.remember_tokens(tokens.into_iter());
        let cgroups = Cgroups::open(options.cgroup, options.cgroup_base.as_deref(), &owner_tag, &log)?;
        let events = EventRing::new(options.event_capacity);
        let mut core = ManagedSet::new(
            (options, cgroups),
            (data_dir.as_ref(), log_dir),
            &events,
            (owner_tag, log.clone()),
            (unclaimed, others),
            unrecorded,
            ignored,
        );
        core.look_after_logs(state.clone());
        let owner = Supervisor::new_owner();
        Ok(Manager {
            state: Mutex::new(state),
            owner,
            data_dir,
            events,
            log,
            control: Control::new(),
            supervisor: core.supervisor.clone(),
            counters: core.context.publisher.counters().clone(),
            last_look: core.last_look.clone(),
            usages: Mutex::default(),
            core: OnlyHome::new(Mutex::new(core)),
        })
    }

    /// Registers a kind of proxy under the name that declarations and snapshots have as their mode. Call it before
    /// [`Manager::restore`] and [`Manager::run`].
    ///
    /// # Errors
    /// [`ErrorCode::InvalidConfig`] if the mode is already registered; `daemon` and `noop` always are.
    pub fn register_kind(
        &self,
        mode: ExecMode,
        factory: impl Fn(ProxyContext<'_>) -> Result<Box<dyn Proxy>> + Send + Sync + 'static,
    ) -> Result<()> {
        self.check_usable()?;
        self.core().registry.register(mode, Box::new(factory))
    }

    /// Writes a snapshot to a path, atomically. Unlike the one that the manager keeps in its data directory, it names
    /// the living processes, so that it can be restored by a manager of another data directory.
    ///
    /// # Errors
    /// [`ErrorCode::Io`]; an existing file is not changed then. [`ErrorCode::Closed`].
    pub fn snapshot(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        self.check_usable()?;
        let mut core = self.core();
        self.check_open()?;
        if self.data_dir.as_ref().is_some_and(|data_dir| data_dir.is_snapshot(path)) {
            return core.write_snapshot();
        }
        let processes = match core.supervisor.get() {
            Some(supervisor) => supervisor.processes(self.owner)?,
            None => Vec::new(),
        };
        core.write_snapshot_to(path, processes.into_iter().collect())
    }

    /// Where the manager keeps its snapshot; `None` without a data directory. The file may not exist yet.
    pub fn snapshot_path(&self) -> Option<PathBuf> {
        self.data_dir.as_ref().map(|data_dir| data_dir.snapshot_path())
    }

    /// Changes settings, at once: periods, environment, `allow_root`, `max_handovers` and `keep_removed`. A changed `proxy_env`
    /// replaces every proxy whose environment changes by it; `allow_root` starts proxies that were refused.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidConfig`], naming the option; `data_dir`, `log_dir`, `cgroup`, `cgroup_base`, `event_capacity` and
    /// `logger` cannot be changed. An error changes nothing. [`ErrorCode::Closed`].
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
        if core.options.log_dir != options.log_dir {
            return fixed("log_dir");
        }
        if core.options.cgroup != options.cgroup {
            return fixed("cgroup");
        }
        if core.options.cgroup_base != options.cgroup_base {
            return fixed("cgroup_base");
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

    /// What every proxy is doing, by id. Empty after the end, and in a [logger](crate::Logger), because it would wait for the
    /// logger to return.
    ///
    /// If the data directory was removed, every proxy has that as its last error, and a running manager creates it again.
    ///
    /// It does not wait for a disk once the manager has begun to restore or run. While a file system hangs, that error, proxies
    /// without a process, and proxies whose declaration could not be applied are reported as last known.
    pub fn status(&self) -> Vec<ProxyStatus> {
        self.look()
    }

    /// What one proxy is doing: its entry in [`Manager::status`], without the cost of all others.
    ///
    /// # Errors
    /// - [`ErrorCode::NotFound`]: there is no proxy with this id. A removed proxy exists until its stop is complete.
    /// - [`ErrorCode::Closed`]: the manager has ended.
    ///
    /// ```
    /// # use proxyprocess::{Command, ErrorCode, Manager, ManagerOptions, ProxyConfig, ProxyState, State, WaitFor};
    /// # use std::time::Duration;
    /// # let state = State::new();
    /// # state.set("web", ProxyConfig::new(Command::new("sleep").arg("1000")))?;
    /// # let mut options = ManagerOptions::default();
    /// # options.allow_root = true;
    /// let manager = Manager::new(state, options)?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| manager.run());
    ///     manager.wait_until("web", WaitFor::Running, Duration::from_secs(30))?;
    ///     assert_eq!(manager.status_of("web")?.state, ProxyState::Running);
    ///     assert_eq!(manager.status_of("other").unwrap_err().code(), ErrorCode::NotFound);
    ///     manager.kill()
    /// })?;
    /// # Ok::<(), proxyprocess::Error>(())
    /// ```
    pub fn status_of(&self, id: &str) -> Result<ProxyStatus> {
        self.look_at(id)
    }

    /// Metrics of the manager and its proxies in the text format of Prometheus, version 0.0.4 (content type
    /// `text/plain; version=0.0.4`), to be served unchanged.
    ///
    /// The names of all families begin with `proxyprocess_`. Counters of the manager begin with 0 at its creation; those of a
    /// proxy, which have the label `proxy`, with its process. Processor time and memory are those of the leader, from its clock and
    /// `/proc`; what cannot be read is left out. The memory of a process that has not run since the last call can be a minute old. So are the sizes of logs when they are not known after a second, as while a file
    /// system hangs; later calls do not wait for them until that has passed. Empty in a worker that the host forked off, and in a
    /// [logger](crate::Logger).
    ///
    /// ```
    /// use proxyprocess::{Manager, ManagerOptions, State};
    ///
    /// let manager = Manager::new(State::new(), ManagerOptions::default())?;
    /// assert!(manager.metrics().contains("\nproxyprocess_starts_total 0\n"));
    /// # Ok::<(), proxyprocess::Error>(())
    /// ```
    pub fn metrics(&self) -> String {
        self.measure()
    }

    /// A reader of lifecycle events from now on. Create it before [`Manager::restore`] to receive adoptions.
    pub fn events(&self) -> Events {
        self.events.subscribe()
    }

    /// A reader of log lines of this level and above about this manager and its proxies, from now on, in addition to the
    /// logger. It does not have lines that concern all managers of the program (about shared threads, and about opening a data
    /// directory); [`Logs::of_library`] has those as well.
    pub fn logs(&self, level: log::LevelFilter) -> Logs {
        self.log.subscribe(level)
    }

    /// # Errors
    /// - [`ErrorCode::Forked`] in a process that the host forked off.
    /// - [`ErrorCode::InCallback`] on a thread that is in a logger: it may hold the lock, or be waited for.
    fn check_usable(&self) -> Result<()> {
        self.core.get()?;
        outside_loggers()
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

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data_dir = self.data_dir.as_ref().map(|data_dir| data_dir.path());
        f.debug_struct("Manager").field("data_dir", &data_dir).finish_non_exhaustive()
    }
}
