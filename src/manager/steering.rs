// SPDX-License-Identifier: MPL-2.0
//! Steering one proxy: restart, and signals.

use super::Manager;
use super::custom_kinds::{Call, CustomProxy};
use super::managed_set::{Managed, ManagedSet};
use crate::error::{Error, ErrorCode, Result};
use crate::lifecycle::ProxyState;
#[cfg(doc)]
use crate::state::State;
use crate::supervisor::{Slot, SupervisorCommand, not_managed, not_running};
use crate::sys::signal::Signal;

impl Manager {
    /// Restarts one proxy from the declaration that is followed: its process is stopped as a changed declaration stops it
    /// (stop signal to its group, grace period, SIGKILL), and started anew when nothing of it is left. So a new program at the
    /// same path and a moved log come into effect.
    ///
    /// Returns when the restart has begun, and waits neither for the stop nor for the start: events tell both. The backoff
    /// begins anew, and a proxy that waits for its next start, or has failed, is started at once. A process that is being
    /// started or adopted is replaced when it runs, so that what runs in the end was started after this call; one that is just
    /// being stopped to be started again is not stopped twice. A proxy of a registered kind is created anew from its
    /// declaration, after which the old one is stopped and the new one started.
    ///
    /// When the agent ends or is killed before the restart is complete, the next one adopts the process that there is, or
    /// starts one: there are never two.
    ///
    /// # Errors
    /// - [`ErrorCode::NotFound`]: no proxy of this id is managed. Nothing is before the first sync of [`Manager::run`].
    /// - [`ErrorCode::Closed`].
    /// - Of a proxy of a registered kind: what its factory fails with, and [`ErrorCode::Io`] when the snapshot cannot be
    ///   written. The old one goes on.
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
        self.check_usable()?;
        let (supervisor, slot) = {
            let mut core = self.core();
            self.check_open()?;
            // What could not even be tried has no process, and is tried again with all that the next sync compares.
            let held = core.held.contains_key(id);
            if held {
                self.control.nudge();
            }
            match core.managed.get_key_value(id).filter(|_| core.synced) {
                None if held => return Ok(()),
                None => return Err(not_managed(id)),
                Some((_, Managed::Custom(old))) => {
                    let old = (**old).clone();
                    return restart_custom(&mut core, old);
                }
                Some((id, Managed::Daemon(_))) => {
                    let slot = Slot { owner: self.owner, id: id.clone() };
                    (core.supervisor()?, slot)
                }
            }
        };
        // Not under the lock, for it is answered by another thread. What was removed or closed meanwhile has no slot any more.
        let restarted = supervisor.ask(|reply| SupervisorCommand::Restart { slot, reply })?;
        restarted.map_err(|error| self.check_open().err().unwrap_or(error))
    }

    /// Sends a signal to the process of one proxy, for what the program makes of it: SIGHUP to reload, SIGUSR1 to open its
    /// logs anew. Only the leader gets it, no other process of its group, and never a process that has a recycled pid
    /// (pidfd_send_signal(2); without pidfds the process is proven first).
    ///
    /// Returns when the kernel has taken the signal. A process that ends by it has ended by itself: it is restarted as after
    /// a crash. A proxy that is being stopped can be sent one as well, also when it was removed from the [`State`].
    ///
    /// # Errors
    /// - [`ErrorCode::NotFound`]: there is no proxy of this id.
    /// - [`ErrorCode::NotRunning`]: it has no process now, or is of a registered kind; the message names its state.
    /// - [`ErrorCode::Io`]: the kernel refuses. EPERM: the agent may not signal the process, which the message names.
    /// - [`ErrorCode::Closed`].
    pub fn signal(&self, id: &str, signal: Signal) -> Result<()> {
        self.check_usable()?;
        let (managed, supervisor) = {
            let core = self.core();
            self.check_open()?;
            (core.managed.get(id).cloned(), core.supervisor.clone())
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
        supervisor.ask(|reply| SupervisorCommand::Signal { slot, signal, reply })?.map_err(unknown)
    }
}

/// Its own code cannot be started again once it was stopped.
fn restart_custom(core: &mut ManagedSet, old: CustomProxy) -> Result<()> {
    let new = core.registry.create(&old.id, &old.mode, old.config.as_ref())?;
    core.worker()?;
    core.managed.insert(old.id.clone(), Managed::Custom(Box::new(new.clone())));
    if let Err(error) = core.write_ahead(vec![&old.id]) {
        core.managed.insert(old.id.clone(), Managed::Custom(Box::new(old)));
        return Err(error);
    }
    let worker = core.worker()?;
    worker.call(Call::Stop(old, None));
    worker.call(Call::Start(new));
    Ok(())
}
