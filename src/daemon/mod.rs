// SPDX-License-Identifier: MPL-2.0
//! One supervised process by itself, without a manager.

mod snapshot;

use std::any::Any;
use std::mem::ManuallyDrop;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::declaration::{ExecMode, ProxyConfig, ProxySnapshot, validate_id};
use crate::defaults;
use crate::error::{Error, ErrorCode, Result};
use crate::host_code::outside_loggers;
use crate::lifecycle::ProxyState;
use crate::logging::{Level, Log};
use crate::proxy::Proxy;
use crate::supervisor::adoption::unrecorded_process::ConsulProcess;
use crate::supervisor::{
    BaseEnvironment, Context, EventRing, Events, Files, Owner, ProxyStatus, Publisher, Slot, Spec, StartMode,
    Supervisor, SupervisorCommand, most_spawners, paused, random_owner_tag,
};
use crate::sys::fork::HomeProcess;
use crate::sys::thread;

/// A long-running process that is kept running: started, restarted with backoff when it ends, and stopped
/// (Consul 1.4's `Daemon`). A [`Manager`](crate::Manager) runs its daemons by itself; this is for one alone.
///
/// The process gets the agent's environment (but see [`Command`](crate::Command)), its declared variables, and its id and
/// token in [`ENV_PROXY_ID`](crate::defaults::ENV_PROXY_ID) and [`ENV_PROXY_TOKEN`](crate::defaults::ENV_PROXY_TOKEN). Its
/// output goes to the given files; without a file it is lost. Unlike a manager, a daemon generates no token if none is
/// declared, and may run as root. Dropping the value is the same as [`Daemon::close`]: the process runs on.
///
/// ```
/// use proxyprocess::{Command, Daemon, ProxyConfig, ProxyState};
///
/// let daemon = Daemon::new("web-proxy", ProxyConfig::new(Command::new("sleep").arg("1000")));
/// daemon.start()?;
/// assert_eq!(daemon.status().state, ProxyState::Running);
/// daemon.stop()?;
/// assert_eq!(daemon.status().pid, None);
/// # Ok::<(), proxyprocess::Error>(())
/// ```
#[derive(Debug)]
pub struct Daemon {
    home: HomeProcess,
    owner: Owner,
    owner_tag: Arc<str>,
    events: Arc<EventRing>,
    log: Log,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    declared: Declared,
    phase: DaemonPhase,
    /// There from the first start on.
    supervisor: Option<Arc<Supervisor>>,
}

#[derive(Debug, Clone)]
struct Declared {
    id: Arc<str>,
    config: Arc<ProxyConfig>,
    stdout: Option<PathBuf>,
    stderr: Option<PathBuf>,
    pid: Option<PathBuf>,
    /// Of a daemon out of a snapshot of Consul's: its process, as it was when it was taken over.
    consul: Option<Arc<ConsulProcess>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DaemonPhase {
    Open,
    /// Stopped through [`Proxy::stop`]: never to be started again.
    Retired,
    Closed,
}

impl Daemon {
    /// Creates a daemon, which is not started yet.
    pub fn new(id: impl Into<String>, config: ProxyConfig) -> Daemon {
        let (id, config) = (id.into().into(), Arc::new(config));
        let declared = Declared { id, config, stdout: None, stderr: None, pid: None, consul: None };
        Daemon {
            home: HomeProcess::here(),
            owner: Supervisor::new_owner(),
            owner_tag: random_owner_tag(),
            events: EventRing::new(defaults::EVENT_CAPACITY),
            log: Log::new(None),
            inner: Mutex::new(Inner { declared, phase: DaemonPhase::Open, supervisor: None }),
        }
    }

    /// The same with a pid file, which exists while the process runs and contains its pid and a newline.
    ///
    /// If it cannot be written, the process runs nevertheless and the error is logged.
    #[must_use]
    pub fn with_pid_path(self, path: impl Into<PathBuf>) -> Daemon {
        self.lock().declared.pid = Some(path.into());
        self
    }

    /// The same with a file to which the standard output is appended.
    #[must_use]
    pub fn with_stdout(self, path: impl Into<PathBuf>) -> Daemon {
        self.lock().declared.stdout = Some(path.into());
        self
    }

    /// The same with a file to which the standard error is appended.
    #[must_use]
    pub fn with_stderr(self, path: impl Into<PathBuf>) -> Daemon {
        self.lock().declared.stderr = Some(path.into());
        self
    }

    /// Starts the process and keeps it running. Starting a started daemon is no error; a daemon that was stopped, has
    /// completed or was given up is started again.
    ///
    /// Returns when the first attempt succeeded; or, after a failure that may be temporary (missing program, process limit,
    /// full disk), with the next attempt scheduled and the failure in [`Daemon::status`] and the log.
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidConfig`], [`ErrorCode::InvalidId`]: it can never work.
    /// - [`ErrorCode::Closed`], [`ErrorCode::Stopped`]: it was closed, or stopped through [`Proxy::stop`].
    /// - [`ErrorCode::Paused`]: it is declared with `enabled: false`.
    /// - [`ErrorCode::Exhausted`]: the library's own threads cannot be started.
    pub fn start(&self) -> Result<()> {
        self.check_usable()?;
        let (supervisor, spec) = {
            let mut inner = self.lock();
            inner.check_open()?;
            inner.declared.validate()?;
            if !inner.declared.config.enabled {
                return Err(paused(&inner.declared.id));
            }
            (inner.supervisor()?, self.spec(&inner.declared))
        };
        // Not under the lock: a stop must be able to overtake a start that takes long.
        self.put(&supervisor, spec, StartMode::Asked)
    }

    /// Stops the process: the stop signal to its group, SIGKILL after the grace period. It returns when the whole group is
    /// gone, and processes that left it for another session and are recognized by their environment. Stopping a daemon
    /// that is not started, or twice, is no error; after [`Daemon::close`] it has no effect. [`Daemon::start`] starts
    /// it again.
    ///
    /// # Errors
    /// - [`ErrorCode::StillRunning`]: processes outlived SIGKILL; the message names them.
    /// - [`ErrorCode::Unproven`]: the process is gone, but others live that may belong to it, without proof. They were not
    ///   signalled; the message names them, and so does [`ProxyStatus::unproven`] while they live.
    /// - [`ErrorCode::Io`]: all processes are gone, but the pid file could not be removed.
    pub fn stop(&self) -> Result<()> {
        self.check_usable()?;
        let (supervisor, slot) = {
            let inner = self.lock();
            match (&inner.supervisor, inner.phase) {
                (Some(supervisor), DaemonPhase::Open | DaemonPhase::Retired) => {
                    (supervisor.clone(), self.slot(&inner.declared))
                }
                _ => return Ok(()),
            }
        };
        let (_, result) =
            supervisor.ask(|reply| SupervisorCommand::Stop { slot, forget: false, stopped: Some(reply) })?;
        result
    }

    /// Ends the grace period of a [`Daemon::stop`] in another thread, like [`Manager::end_grace`](crate::Manager::end_grace):
    /// the remaining processes get SIGKILL at once. Without a stop it does nothing.
    ///
    /// # Errors
    /// - [`ErrorCode::Forked`] in a process that the host forked off.
    /// - [`ErrorCode::InCallback`] within a logger.
    pub fn end_grace(&self) -> Result<()> {
        self.check_usable()?;
        let supervisor = self.lock().supervisor.clone();
        supervisor.map_or(Ok(()), |supervisor| supervisor.send(SupervisorCommand::EndGrace { owner: self.owner }))
    }

    /// Ends the supervision and leaves the process running, unless it has asked the kernel to be killed when its parent ends
    /// (see [`Command::detached`](crate::Command::detached)). From now on [`Daemon::stop`] has no effect.
    ///
    /// # Errors
    /// [`ErrorCode::Forked`] in a process that the host forked off.
    pub fn close(&self) -> Result<()> {
        self.check_usable()?;
        let supervisor = {
            let mut inner = self.lock();
            inner.phase = DaemonPhase::Closed;
            inner.supervisor.take()
        };
        let released = supervisor.map_or(Ok(()), |supervisor| supervisor.release(self.owner));
        self.events.end();
        released
    }

    /// Whether both declare the same process: id, command, directory, environment, token, credentials and files. Stop and
    /// restart settings and the agent's own environment do not count. A daemon from a Consul snapshot, which does not contain
    /// the declaration, equals a daemon whose declared variables its process has, whatever other variables it has.
    pub fn equal(&self, other: &Daemon) -> bool {
        if std::ptr::eq(self, other) {
            return true;
        }
        let other = other.lock().declared.clone();
        let own = self.lock().declared.clone();
        let same_files = (&own.stdout, &own.stderr, &own.pid) == (&other.stdout, &other.stderr, &other.pid);
        let same_process = || match (&own.consul, &other.consul) {
            (Some(process), None) => process.difference(&self.spec(&other)).is_none(),
            (None, Some(process)) => process.difference(&self.spec(&own)).is_none(),
            _ => own.config.same_process(&other.config),
        };
        own.id == other.id && same_files && same_process()
    }

    /// What the process is doing. In a [logger](crate::Logger) it only reports whether the daemon was closed or stopped for
    /// good, because it would wait for the logger to return.
    pub fn status(&self) -> ProxyStatus {
        let (declared, supervisor, phase) = {
            let inner = self.lock();
            (inner.declared.clone(), inner.supervisor.clone(), inner.phase)
        };
        let known = supervisor.and_then(|supervisor| supervisor.status(self.owner).ok()?.pop());
        known.unwrap_or_else(|| {
            let state = match phase {
                DaemonPhase::Open => ProxyState::Idle,
                DaemonPhase::Retired => ProxyState::Stopped,
                DaemonPhase::Closed => ProxyState::Closed,
            };
            ProxyStatus::new(&declared.id, &ExecMode::DAEMON, state)
        })
    }

    /// A reader of the daemon's lifecycle events from now on.
    pub fn events(&self) -> Events {
        self.events.subscribe()
    }

    /// # Errors
    /// - [`ErrorCode::Forked`] in a process that the host forked off.
    /// - [`ErrorCode::InCallback`] on a thread that is in a logger, which the supervisor may wait for.
    fn check_usable(&self) -> Result<()> {
        self.home.check()?;
        outside_loggers()
    }

    fn put(&self, supervisor: &Supervisor, spec: Spec, start: StartMode) -> Result<()> {
        let slot = Slot { owner: self.owner, id: spec.id.clone() };
        supervisor.ask(|reply| SupervisorCommand::Put { slot, spec: Arc::new(spec), start, started: Some(reply) })?
    }

    /// For a drop within a logger, which must not wait for the supervisor.
    fn close_on_another_thread(&self) {
        let Some(supervisor) = self.lock().supervisor.take() else { return self.events.end() };
        // A thread that cannot be started drops what it would have run, and that could wait for this one.
        let supervisor = ManuallyDrop::new(supervisor);
        let (owner, events) = (self.owner, self.events.clone());
        let close = move || {
            let released = ManuallyDrop::into_inner(supervisor).release(owner);
            events.end();
            released
        };
        if let Err(error) = thread::start("proxy-free", close) {
            self.log.write(Level::Error, format_args!("close within a logger: start thread: {error}"));
        }
    }

    fn slot(&self, declared: &Declared) -> Slot {
        Slot { owner: self.owner, id: declared.id.clone() }
    }

    fn spec(&self, declared: &Declared) -> Spec {
        let files = Files::Paths {
            stdout: declared.stdout.clone(),
            stderr: declared.stderr.clone(),
            pid: declared.pid.clone(),
        };
        let context = Context {
            base_env: BaseEnvironment::capture(),
            proxy_env: Vec::new(),
            files,
            owner_tag: self.owner_tag.clone(),
            publisher: Publisher::new(self.events.clone(), self.log.clone()),
            log: self.log.clone(),
            // The original's daemon knows no such refusal; it is the manager's.
            allow_root: true,
            users: Arc::default(),
            max_handovers: most_spawners(),
            removed_logs: None,
            cgroups: None,
        };
        Spec::new(declared.id.clone(), declared.config.clone(), Arc::new(context))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while it is held.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Declared {
    fn validate(&self) -> Result<()> {
        validate_id(&self.id)?;
        if self.config.mode != ExecMode::DAEMON {
            let message = format!("mode: expected \"daemon\", got \"{}\"", self.config.mode);
            return Err(Error::new(ErrorCode::InvalidConfig, message));
        }
        if !self.config.limits.is_empty() {
            return Err(Error::new(
                ErrorCode::InvalidConfig,
                "limits: expected none of a daemon without a manager, which has no cgroup",
            ));
        }
        self.config.validate_to_start()
    }
}

impl Inner {
    fn check_open(&self) -> Result<()> {
        match self.phase {
            DaemonPhase::Open => Ok(()),
            DaemonPhase::Retired => Err(Error::new(ErrorCode::Stopped, "the daemon was stopped for good")),
            DaemonPhase::Closed => Err(Error::new(ErrorCode::Closed, "the daemon was closed")),
        }
    }

    fn supervisor(&mut self) -> Result<Arc<Supervisor>> {
        if let Some(supervisor) = &self.supervisor {
            return Ok(supervisor.clone());
        }
        let supervisor = Supervisor::shared()?;
        self.supervisor = Some(supervisor.clone());
        Ok(supervisor)
    }
}

impl Proxy for Daemon {
    fn start(&self) -> Result<()> {
        Daemon::start(self)
    }

    /// Unlike [`Daemon::stop`], for good: that is what the interface promises. The events end with a stop that succeeds; after
    /// one that failed, which can be called again, with the close.
    fn stop(&self) -> Result<()> {
        {
            let mut inner = self.lock();
            if inner.phase == DaemonPhase::Open {
                inner.phase = DaemonPhase::Retired;
            }
        }
        Daemon::stop(self)?;
        self.events.end();
        Ok(())
    }

    fn close(&self) -> Result<()> {
        Daemon::close(self)
    }

    fn equal(&self, other: &dyn Proxy) -> bool {
        other.as_any().downcast_ref::<Daemon>().is_some_and(|other| Daemon::equal(self, other))
    }

    fn marshal_snapshot(&self) -> ProxySnapshot {
        Daemon::marshal_snapshot(self)
    }

    fn unmarshal_snapshot(&self, snapshot: &ProxySnapshot) -> Result<()> {
        Daemon::unmarshal_snapshot(self, snapshot)
    }

    fn request_stop(&self) {
        let inner = self.lock();
        if let (Some(supervisor), DaemonPhase::Open | DaemonPhase::Retired) = (&inner.supervisor, inner.phase) {
            let slot = self.slot(&inner.declared);
            // Stop itself reports what goes wrong.
            let _ = supervisor.send(SupervisorCommand::Stop { slot, forget: false, stopped: None });
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.home.is_here() && outside_loggers().is_err() {
            return self.close_on_another_thread();
        }
        // A destructor has no result; a caller that wants one calls close.
        let _ = self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn daemons_share_the_environment_that_they_inherit() {
        let inherited = |id: &str| {
            let daemon = Daemon::new(id, ProxyConfig::new(crate::Command::new("a")));
            let declared = daemon.lock().declared.clone();
            daemon.spec(&declared).context
        };
        let (one, other) = (inherited("one"), inherited("other"));
        assert!(one.base_env.iter().len() > 0);
        assert!(std::ptr::eq(one.base_env.iter().as_slice(), other.base_env.iter().as_slice()));
    }
}
