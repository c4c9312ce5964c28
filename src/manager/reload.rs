// SPDX-License-Identifier: MPL-2.0
//! The reload of one proxy by a call.

use super::Manager;
use crate::error::{ErrorCode, Result, excerpt};
use crate::logging::Level;
use crate::supervisor::{BegunReload, SupervisorCommand, not_managed};

impl Manager {
    /// Makes the process of one proxy reload its configuration as declared
    /// ([`ProxyConfig::reload`](crate::ProxyConfig::reload)): by a signal to its leader, which the process may have to
    /// confirm, or by a command that runs with the environment, directory and credentials of the proxy, and with the
    /// pid of the leader in `MAINPID`.
    ///
    /// Returns when the kernel has accepted the signal; or when the process has confirmed the reload by its
    /// notifications ([`Reload::Notify`](crate::Reload::Notify)); or when the command has exited, for which this thread
    /// waits. Without a confirmation the effect of the signal is not known. The declaration that the manager has
    /// applied is used. A stop of the proxy meanwhile ends the command, [`Manager::close`] does not. The process is
    /// never replaced, whether it confirms or not.
    ///
    /// # Errors
    /// - [`ErrorCode::CommandFailed`]: the command did not exit with code 0; the message says how it ended.
    /// - [`ErrorCode::Timeout`]: the command reached its timeout and was killed with its group
    ///   ([`ErrorCode::StillRunning`] if it has not ended 5 s after that). Or the process did not confirm its reload
    ///   within the declared `start_timeout`, or the time that it requested; the message says what was missing.
    /// - [`ErrorCode::StartFailed`], [`ErrorCode::RootRefused`]: the command was not started.
    /// - [`ErrorCode::InvalidConfig`]: the proxy declares no `reload`.
    /// - [`ErrorCode::NotFound`]: there is no proxy with this id.
    /// - [`ErrorCode::NotRunning`]: it has no process now, or is of a registered kind; the message names its state.
    ///   With a confirmation also: its process is not ready, or ended before it confirmed.
    /// - [`ErrorCode::Io`]: the kernel refuses the signal (EPERM: the agent may not signal the process), or a log of
    ///   the proxy cannot be opened.
    /// - [`ErrorCode::Closed`], also if the manager is closed before the process has confirmed its reload.
    ///
    /// ```
    /// # use proxyprocess::{Command, ErrorCode, Manager, ManagerOptions, ProxyConfig, Reload, State, WaitFor};
    /// # use std::time::Duration;
    /// # let state = State::new();
    /// # let mut options = ManagerOptions::default();
    /// # options.allow_root = true;
    /// let sleeper = ProxyConfig::new(Command::new("sleep").arg("1000"));
    /// state.set("web", sleeper.clone().with_reload(Reload::command(["sh", "-c", "kill -0 $MAINPID"])))?;
    /// state.set("other", sleeper.with_reload(Reload::command(["false"])))?;
    /// let manager = Manager::new(state, options)?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| manager.run());
    ///     for id in ["web", "other"] {
    ///         manager.wait_until(id, WaitFor::Running, Duration::from_secs(30))?;
    ///     }
    ///     manager.reload("web")?;
    ///     let error = manager.reload("other").unwrap_err();
    ///     assert_eq!(error.code(), ErrorCode::CommandFailed);
    ///     assert_eq!(error.to_string(), "proxy other: reload: false: exit code 1");
    ///     manager.kill()
    /// })?;
    /// # Ok::<(), proxyprocess::Error>(())
    /// ```
    pub fn reload(&self, id: &str) -> Result<()> {
        let reload = |slot, reply| SupervisorCommand::Reload { slot, reply };
        let (supervisor, begun) = self.ask_slot(id, reload)?;
        let (result, done) = match begun {
            BegunReload::Signalled => return Ok(()),
            BegunReload::Awaited(answer) => {
                // ORDER: before the wait, which must not keep the threads of a manager that is closed.
                drop(supervisor);
                match answer.recv() {
                    Ok(result) => (result, "it has confirmed that it has reloaded"),
                    Err(_) => return Err(self.check_open().err().unwrap_or_else(|| not_managed(id))),
                }
            }
            BegunReload::Command(command, timeout) => {
                let result = command.run(timeout);
                if result.as_ref().is_err_and(|error| error.code() == ErrorCode::StillRunning) {
                    supervisor.send(SupervisorCommand::ReapLeftBehind)?;
                }
                (result, "the command that reloads it has succeeded")
            }
        };
        match &result {
            Ok(()) => self.log.about(Level::Info, id, format_args!("{done}")),
            Err(error) => self.log.about(Level::Error, id, format_args!("reload: {error}")),
        }
        result.map_err(|error| error.within(format_args!("proxy {}: reload", excerpt(id))))
    }
}
