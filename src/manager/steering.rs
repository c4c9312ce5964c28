// SPDX-License-Identifier: MPL-2.0
//! Controlling one proxy: restart, signals, and waits for a state.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender};

use super::Manager;
use super::custom_kinds::{Call, CustomProxy};
use super::managed::Managed;
use super::managed_set::ManagedSet;
use crate::deadline::after;
use crate::error::{Error, ErrorCode, Result, excerpt};
use crate::lifecycle::{ProxyState, WaitFor};
use crate::logging::Level;
#[cfg(doc)]
use crate::state::State;
use crate::supervisor::state_waiters::{StateAnswer, StateWaiter};
use crate::supervisor::{Slot, Steering, Supervisor, SupervisorCommand, not_managed, not_running, paused};
use crate::sys::signal::Signal;

impl Manager {
    /// Restarts one proxy with its current declaration, for example after its program was updated or its log was moved. The
    /// process is stopped as after a changed declaration (stop signal to its group, grace period, SIGKILL), and started again
    /// when all its processes are gone. With [`Replace::Overlap`](crate::Replace::Overlap) the next process is started first,
    /// and this one is stopped when the next one is ready.
    ///
    /// Returns when the restart has begun, and waits neither for the stop nor for the start: [`Manager::wait_until`] does, and
    /// events report both. The backoff is reset, and a proxy that waits for its next start, or has failed, is started at once;
    /// a start that waits for remaining processes of its predecessor keeps waiting for them. A process that is being started or
    /// adopted is replaced once it runs, so that the process that runs in the end was started after this call. A process that
    /// is already being stopped to be started again is not stopped twice. A proxy of a registered kind is created again from
    /// its declaration; then the old one is stopped and the new one started.
    ///
    /// If it is known beforehand that the next process could not be started, for example without its executable, the running one
    /// goes on until that is possible.
    ///
    /// If the agent ends or is killed before the restart is complete, the next one adopts the living process, starts one, or
    /// continues the handover.
    ///
    /// # Errors
    /// - [`ErrorCode::NotFound`]: no proxy with this id is managed; before the first sync of [`Manager::run`], none is.
    /// - [`ErrorCode::Paused`]: it is paused.
    /// - [`ErrorCode::Closed`].
    /// - For a proxy of a registered kind: the error of its factory, and [`ErrorCode::Io`] if the snapshot cannot be
    ///   written. The old proxy goes on.
    ///
    /// ```
    /// # use proxyprocess::{Command, ErrorCode, EventKind, Manager, ManagerOptions, ProxyConfig, State};
    /// # let state = State::new();
    /// # state.set("web", ProxyConfig::new(Command::new("sleep").arg("1000")))?;
    /// # let mut options = ManagerOptions::default();
    /// # options.allow_root = true;
    /// let manager = Manager::new(state, options)?;
    /// let mut events = manager.events();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| manager.run());
    ///     let mut started = || events.find_map(|event| match event.kind {
    ///         EventKind::Started { pid } => pid,
    ///         _ => None,
    ///     });
    ///     let old = started();
    ///     manager.restart("web")?;
    ///     assert_ne!(old, started());
    ///     assert_eq!(manager.restart("other").unwrap_err().code(), ErrorCode::NotFound);
    ///     manager.kill()
    /// })?;
    /// # Ok::<(), proxyprocess::Error>(())
    /// ```
    pub fn restart(&self, id: &str) -> Result<()> {
        self.steer(id, Steering::Restart, restart_custom)
    }

    /// Tries at once what one proxy waits for: its next start, or the identification of a process that may live. It also
    /// starts a proxy that has failed or was given up ([`RestartSettings::give_up_after`](crate::RestartSettings::give_up_after)),
    /// whose failures are then counted from zero. The backoff continues where it was ([`Manager::reset_crashes`] resets it).
    ///
    /// It has no effect on a proxy that runs, is being started or stopped, or has completed. A start that is delayed by
    /// remaining processes, possible ones, zombies, or the turns of handovers stays delayed. Returns when it has begun. A proxy
    /// of a registered kind that has failed is restarted as by [`Manager::restart`].
    ///
    /// Setting the same declaration again retries nothing: hosts set all declarations periodically, and that must not start
    /// every waiting proxy at once.
    ///
    /// # Errors
    /// Those of [`Manager::restart`].
    ///
    /// ```
    /// # use proxyprocess::{Command, EventKind, Manager, ManagerOptions, ProxyConfig, State};
    /// # let state = State::new();
    /// # state.set("web", ProxyConfig::new(Command::new("/is/not/there")))?;
    /// # let mut options = ManagerOptions::default();
    /// # options.allow_root = true;
    /// let manager = Manager::new(state, options)?;
    /// let mut events = manager.events();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| manager.run());
    ///     for _ in 0..10 {
    ///         events.find(|event| matches!(event.kind, EventKind::Waiting { .. }));
    ///         manager.retry("web")?; // and not after a second
    ///     }
    ///     manager.kill()
    /// })?;
    /// # Ok::<(), proxyprocess::Error>(())
    /// ```
    pub fn retry(&self, id: &str) -> Result<()> {
        self.steer(id, Steering::Retry, |core, old| match old.status().state {
            ProxyState::Failed => restart_custom(core, old),
            _ => Ok(()),
        })
    }

    /// Forgets how often one proxy has crashed and how often its starts have failed: the backoff and the count of failures for
    /// [`RestartSettings::give_up_after`](crate::RestartSettings::give_up_after) start at zero, and
    /// [`ProxyStatus::restarts`](crate::ProxyStatus::restarts) is 0. A current wait goes on, and a proxy that has failed stays
    /// failed: see [`Manager::retry`]. For proxies of registered kinds nothing is counted.
    ///
    /// # Errors
    /// - [`ErrorCode::NotFound`]: no proxy with this id is managed; before the first sync of [`Manager::run`], none is.
    /// - [`ErrorCode::Closed`].
    pub fn reset_crashes(&self, id: &str) -> Result<()> {
        self.steer(id, Steering::ResetCrashes, |_, _| Ok(()))
    }

    /// Pauses one proxy: its process is stopped as declared, and not started again, while the proxy stays declared and is shown
    /// as [`ProxyState::Paused`]. Its [`Listen`](crate::Listen) sockets are closed, and what its processes have stored is
    /// forgotten. Returns when the stop has begun; [`Manager::wait_until`] waits for its end.
    ///
    /// It is paused until [`Manager::resume`], also under a changed declaration and, with a data directory, by the next agent;
    /// until it is removed; or until it is declared with [`ProxyConfig::enabled`](crate::ProxyConfig::enabled) false, which
    /// holds from then on. A proxy that is paused stays so.
    ///
    /// # Errors
    /// - [`ErrorCode::NotFound`]: no proxy of this id is managed. Nothing is before the first sync of [`Manager::run`].
    /// - [`ErrorCode::InvalidConfig`]: it is of another kind than `daemon`.
    /// - [`ErrorCode::Io`]: that could not be written down for the next agent; nothing is stopped.
    /// - [`ErrorCode::Closed`].
    ///
    /// ```
    /// # use proxyprocess::{Command, Manager, ManagerOptions, ProxyConfig, ProxyState, State, WaitFor};
    /// # use std::time::Duration;
    /// # let state = State::new();
    /// # state.set("web", ProxyConfig::new(Command::new("sleep").arg("1000")))?;
    /// # let mut options = ManagerOptions::default();
    /// # options.allow_root = true;
    /// # const LIMIT: Duration = Duration::from_secs(30);
    /// let manager = Manager::new(state, options)?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| manager.run());
    ///     manager.wait_until("web", WaitFor::Running, LIMIT)?;
    ///     manager.pause("web")?;
    ///     manager.wait_until("web", WaitFor::Paused, LIMIT)?;
    ///     assert_eq!(manager.status()[0].pid, None);
    ///     manager.resume("web")?;
    ///     manager.wait_until("web", WaitFor::Running, LIMIT)?;
    ///     manager.kill()
    /// })?;
    /// # Ok::<(), proxyprocess::Error>(())
    /// ```
    pub fn pause(&self, id: &str) -> Result<()> {
        self.set_paused(id, true)
    }

    /// Runs one proxy again that [`Manager::pause`] has paused, with a backoff that begins anew. Returns when that has begun. A
    /// proxy that is not paused stays as it is.
    ///
    /// # Errors
    /// - [`ErrorCode::Paused`]: it is declared with [`ProxyConfig::enabled`](crate::ProxyConfig::enabled) false.
    /// - Those of [`Manager::pause`].
    pub fn resume(&self, id: &str) -> Result<()> {
        self.set_paused(id, false)
    }

    fn set_paused(&self, id: &str, is_paused: bool) -> Result<()> {
        self.check_usable()?;
        // ORDER: sent under the lock, as by a sync, so that of two calls the last one holds.
        let mut core = self.core();
        self.check_open()?;
        let (id, config) = match core.managed.get_key_value(id).filter(|_| core.synced) {
            None => return Err(not_managed(id)),
            Some((id, Managed::Custom(other))) => {
                let message = format!("proxy {}: one of the kind {} cannot be paused", excerpt(id), other.mode);
                return Err(Error::new(ErrorCode::InvalidConfig, message));
            }
            Some((id, Managed::Daemon(daemon))) => (id.clone(), daemon.spec.config.clone()),
        };
        if !config.enabled {
            return if is_paused { Ok(()) } else { Err(paused(&id)) };
        }
        let changed = if is_paused { core.paused.insert(id.clone()) } else { core.paused.remove(&id) };
        if !changed {
            return Ok(());
        }
        core.respecify(&id, &config);
        if let Err(error) = core.write_ahead(std::slice::from_ref(&id)) {
            if is_paused {
                core.paused.remove(&id)
            } else {
                core.paused.insert(id.clone())
            };
            core.respecify(&id, &config);
            return Err(error);
        }
        let what = if is_paused { "paused, as requested" } else { "resumed, as requested" };
        core.context.log.about(Level::Info, &id, format_args!("{what}"));
        let Some(Managed::Daemon(daemon)) = core.managed.get(&id) else { return Ok(()) };
        let (spec, slot) = (daemon.spec.clone(), Slot { owner: self.owner, id: id.clone() });
        core.supervisor()?.send(SupervisorCommand::Update { slot, spec, record: None })
    }

    /// Steers one proxy: a daemon so, or one of a registered kind by `custom`.
    fn steer(
        &self,
        id: &str,
        what: Steering,
        custom: impl FnOnce(&mut ManagedSet, CustomProxy) -> Result<()>,
    ) -> Result<()> {
        self.check_usable()?;
        let (supervisor, slot) = {
            let mut core = self.core();
            self.check_open()?;
            // What could not even be tried has no process, and is tried again with all that the next sync compares.
            let held = what != Steering::ResetCrashes && core.held.remove(id).is_some();
            if held {
                self.control.nudge();
            }
            match core.managed.get_key_value(id).filter(|_| core.synced) {
                None if held => return Ok(()),
                None => return Err(not_managed(id)),
                Some((_, Managed::Custom(old))) => {
                    let old = (**old).clone();
                    return custom(&mut core, old);
                }
                Some((id, Managed::Daemon(_))) => {
                    let slot = Slot { owner: self.owner, id: id.clone() };
                    (core.supervisor()?, slot)
                }
            }
        };
        // Not under the lock, for it is answered by another thread. What was removed or closed meanwhile has no slot any more.
        let begun = supervisor.ask(|reply| SupervisorCommand::Steer { slot, what, reply })?;
        begun.map_err(|error| self.check_open().err().unwrap_or(error))
    }

    /// Sends a signal to the process of one proxy, for example SIGHUP to reload or SIGUSR1 to reopen its logs. Only the leader
    /// gets it, no other process of its group, and never a process with a recycled pid (pidfd_send_signal(2); without pidfds
    /// the process is identified first).
    ///
    /// Returns when the kernel has accepted the signal. A process that ends by it is restarted as after a crash. The process of
    /// a proxy that is being stopped can be signalled too, also if the proxy was removed from the [`State`].
    ///
    /// # Errors
    /// - [`ErrorCode::NotFound`]: there is no proxy with this id.
    /// - [`ErrorCode::NotRunning`]: it has no process now, or is of a registered kind; the message names its state.
    /// - [`ErrorCode::Io`]: the kernel refused. EPERM: the agent may not signal the process, which the message names.
    /// - [`ErrorCode::Closed`].
    pub fn signal(&self, id: &str, signal: Signal) -> Result<()> {
        self.ask_slot(id, |slot, reply| SupervisorCommand::Signal { slot, signal, reply }).map(|(_, ())| ())
    }

    /// Asks for something that the process of one proxy is to do, whether the proxy is declared or just being stopped.
    pub(super) fn ask_slot<T>(
        &self,
        id: &str,
        command: impl FnOnce(Slot, Sender<Result<T>>) -> SupervisorCommand,
    ) -> Result<(Arc<Supervisor>, T)> {
        self.check_usable()?;
        let (managed, supervisor) = {
            let core = self.core();
            self.check_open()?;
            (core.managed.get(id).cloned(), core.supervisor.get())
        };
        // What no slot knows may still be managed.
        let unknown = |error: Error| match &managed {
            _ if error.code() != ErrorCode::NotFound => error,
            Some(Managed::Custom(other)) => not_running(id, other.status().state),
            Some(Managed::Daemon(_)) => not_running(id, ProxyState::Idle),
            None => self.check_open().err().unwrap_or(error),
        };
        let Some(supervisor) = supervisor else { return Err(unknown(not_managed(id))) };
        let slot = Slot { owner: self.owner, id: id.into() };
        let answer = supervisor.ask(|reply| command(slot, reply))?.map_err(unknown)?;
        Ok((supervisor, answer))
    }

    /// Waits until one proxy has reached `what`, with its declaration at the time of the call: earlier changes are applied
    /// first. So after [`State::set`] it waits for the new process, and after [`Manager::restart`] for the next one.
    /// A timeout of zero does not wait, and [`Duration::MAX`] waits without limit.
    ///
    /// The state is not polled, and no change is missed. Before [`Manager::run`] no declaration is applied, so the call waits
    /// for the first sync. The code of a proxy of a registered kind must not call it.
    ///
    /// # Errors
    /// - [`ErrorCode::Timeout`].
    /// - [`ErrorCode::NotFound`]: the proxy is not declared, or was removed meanwhile.
    /// - The error with which the proxy has failed, such as [`ErrorCode::RootRefused`] and [`ErrorCode::StartFailed`]: it
    ///   cannot be started as it is declared.
    /// - [`ErrorCode::NotRunning`]: it is [`ProxyState::Completed`] instead of running, or has failed with its exit and is
    ///   not started again. It may have run for a moment before.
    /// - [`ErrorCode::Paused`]: it is paused, and was to run or to complete.
    /// - [`ErrorCode::Closed`], also when the manager is closed or killed meanwhile.
    ///
    /// ```
    /// # use proxyprocess::{Command, Manager, ManagerOptions, ProxyConfig, State, WaitFor};
    /// # use std::time::Duration;
    /// # let state = State::new();
    /// # let mut options = ManagerOptions::default();
    /// # options.allow_root = true;
    /// let manager = Manager::new(state.clone(), options)?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| manager.run());
    ///     state.set("web", ProxyConfig::new(Command::new("sleep").arg("1000")))?;
    ///     manager.wait_until("web", WaitFor::Running, Duration::from_secs(30))?;
    ///     assert!(manager.status()[0].pid.is_some());
    ///     manager.kill()
    /// })?;
    /// # Ok::<(), proxyprocess::Error>(())
    /// ```
    pub fn wait_until(&self, id: &str, what: WaitFor, timeout: Duration) -> Result<()> {
        self.check_usable()?;
        let deadline = after(Instant::now(), timeout);
        loop {
            let waiting = self.begin_wait(id, what)?;
            match waiting.answer.recv_deadline(deadline) {
                Ok(answer) => return answer,
                // The declaration was followed, or what it waited at is no more.
                Err(RecvTimeoutError::Disconnected) => {}
                Err(RecvTimeoutError::Timeout) => {
                    let message = format!("proxy {}: not {what} after {timeout:?}", excerpt(id));
                    return Err(Error::new(ErrorCode::Timeout, message));
                }
            }
        }
    }

    /// Puts a waiter where the next answer can come from: at the next sync, or at what is managed.
    fn begin_wait(&self, id: &str, what: WaitFor) -> Result<StateAnswer> {
        let (waiter, waiting) = StateWaiter::new(what);
        let (supervisor, slot) = {
            let mut core = self.core();
            self.check_open()?;
            let state = self.state();
            if !state.is_declared(id) {
                return Err(Error::new(ErrorCode::NotFound, format!("proxy {}: not declared", excerpt(id))));
            }
            let followed = core.followed.filter(|_| core.synced);
            let followed = followed.is_some_and(|version| !state.has_changed_since(id, version));
            let held = core.held.get(id);
            if let Some(rejected) = held.filter(|held| followed && held.state == ProxyState::Failed) {
                return Err(Error::new(ErrorCode::StartFailed, rejected.last_error.clone().unwrap_or_default()));
            }
            match core.managed.get_key_value(id).filter(|_| followed && held.is_none()) {
                None => {
                    core.state_waiters.add(waiter);
                    return Ok(waiting);
                }
                Some((_, Managed::Custom(other))) => {
                    other.await_state(waiter);
                    return Ok(waiting);
                }
                Some((id, Managed::Daemon(_))) => {
                    let slot = Slot { owner: self.owner, id: id.clone() };
                    (core.supervisor()?, slot)
                }
            }
        };
        // Without a slot, because it was just removed, the waiter is dropped.
        supervisor.ask(|reply| SupervisorCommand::Await { slot, waiter, reply })?;
        Ok(waiting)
    }
}

/// Its own code cannot be started again once it was stopped.
fn restart_custom(core: &mut ManagedSet, old: CustomProxy) -> Result<()> {
    let new = core.registry.create(&old.id, &old.mode, old.config.as_ref())?;
    core.worker()?;
    core.managed.insert(old.id.clone(), Managed::Custom(Box::new(new.clone())));
    if let Err(error) = core.write_ahead(std::slice::from_ref(&old.id)) {
        core.managed.insert(old.id.clone(), Managed::Custom(Box::new(old)));
        return Err(error);
    }
    let worker = core.worker()?;
    worker.call(Call::Stop(old, None));
    worker.call(Call::Start(new));
    Ok(())
}
