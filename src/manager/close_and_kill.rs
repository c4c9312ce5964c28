// SPDX-License-Identifier: MPL-2.0
//! The two ends of a manager: close, which leaves the proxies to the next agent, and kill, which stops them.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::ManuallyDrop;
use std::sync::{Mutex, PoisonError};

use crossbeam_channel::Receiver;

use super::custom_kinds::{Call, Worker};
use super::managed::Managed;
use super::managed_set::ManagedSet;
use super::run_control::Control;
use super::{Manager, ManagerOptions, sync};
use crate::error::{Error, ErrorCode, Result};
use crate::host_code::outside_loggers;
use crate::lifecycle::ProxyState;
use crate::logging::Level;
use crate::state::State;
use crate::supervisor::{Owner, ProxyStatus, StopReply, Supervisor, SupervisorCommand};
use crate::sys::fail;
use crate::sys::fork::OnlyHome;
use crate::sys::thread;

impl Manager {
    /// Ends the manager and leaves the proxies running. When it returns nothing is in progress: every process is
    /// recorded, the snapshot is written, the data directory is free for the next manager, and [`Manager::run`] returns
    /// as well. After [`Manager::kill`], or if called again, it waits until the end is complete and does nothing else.
    ///
    /// Without a data directory no later manager finds the processes, except by a snapshot that [`Manager::snapshot`]
    /// wrote just before: a warning with their number is logged.
    ///
    /// # Errors
    /// [`ErrorCode::Io`] if the snapshot could not be written, [`ErrorCode::Locked`] if the data directory was removed
    /// and another manager uses the one in its place, or the error of a proxy of a registered kind. If there are
    /// several failures, the message names all, and the code is that of the first. The manager is closed nevertheless.
    pub fn close(&self) -> Result<()> {
        self.check_usable()?;
        let Some(ending) = self.control.begin_end() else { return Ok(()) };
        ending.finish(self.end_by_closing())
    }

    /// Ends the manager and stops all proxies at the same time, including restored ones and recorded ones without a
    /// declaration. When it returns they are gone, and [`Manager::run`] returns as well. After [`Manager::close`], or
    /// if called again, it waits until the end is complete and does nothing else.
    ///
    /// # Errors
    /// - [`ErrorCode::StillRunning`]: processes survived SIGKILL, or may be alive; the message names them and
    ///   everything else that failed.
    /// - [`ErrorCode::Unproven`]: none survived, and the message names others that may belong to a proxy and were not
    ///   signalled.
    /// - [`ErrorCode::Io`] and other file errors: the processes are gone, but the snapshot could not be written, or pid
    ///   files and records could not be removed; the message names them.
    /// - The error of a proxy of a registered kind. If there are several failures but no remaining processes, the code
    ///   is that of the first; it is [`ErrorCode::StillRunning`] if proxies of registered kinds could not be stopped
    ///   for several reasons.
    ///
    /// The manager is ended nevertheless.
    pub fn kill(&self) -> Result<()> {
        self.check_usable()?;
        let Some(ending) = self.control.begin_end() else { return Ok(()) };
        ending.finish(self.end_by_killing())
    }

    /// Cuts short the grace periods of all present stops: the remaining processes get SIGKILL now, whatever time and
    /// steps they have left. Processes that are just being started or adopted in order to be stopped get it as soon as
    /// they exist. So an agent that is asked to end a second time need not wait for a grace period of an hour.
    ///
    /// It applies to [`Manager::kill`], [`Manager::pause`], [`Manager::restart`] and every stop by the state; in a
    /// [handover](crate::Replace::Overlap) to both generations if they are being stopped; to processes that a crash
    /// left, and to a process that is dumping core. Commands of a stop are killed. Stops that begin later have their
    /// grace period, and without a present stop it does nothing. It does not reach the code that stops a proxy of a
    /// registered kind.
    ///
    /// It returns at once. The stop itself returns as usual when all processes are gone, at the latest about five
    /// seconds later, with [`ErrorCode::StillRunning`] if any survives SIGKILL. Any thread may call it, repeatedly,
    /// while other threads run, kill or close the manager.
    ///
    /// # Errors
    /// - [`ErrorCode::Forked`] in a process that the host forked.
    /// - [`ErrorCode::InCallback`] in a logger.
    ///
    /// ```
    /// # use proxyprocess::{Command, Manager, ManagerOptions, ProxyConfig, ProxyState, State, WaitFor};
    /// # use std::time::Duration;
    /// # let state = State::new();
    /// # let mut options = ManagerOptions::default();
    /// # options.allow_root = true;
    /// # let stubborn = Command::new("/bin/sh").args(["-c", "trap '' INT; while :; do sleep 1; done"]);
    /// let mut config = ProxyConfig::new(stubborn);
    /// config.stop.grace_period = Duration::from_secs(3600);
    /// state.set("web", config)?;
    /// let manager = Manager::new(state, options)?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| manager.run());
    ///     manager.wait_until("web", WaitFor::Running, Duration::from_secs(30))?;
    ///     let killing = scope.spawn(|| manager.kill());
    ///     while manager.status().iter().any(|status| status.state != ProxyState::Stopping) {
    ///         std::thread::yield_now();
    ///     }
    ///     manager.end_grace()?;
    ///     killing.join().unwrap()
    /// })?;
    /// # Ok::<(), proxyprocess::Error>(())
    /// ```
    pub fn end_grace(&self) -> Result<()> {
        self.check_usable()?;
        // ORDER: before the processes are told. A kill asks them to end and then looks here: so either it sees this, or they hear
        // of it after they were asked.
        self.control.end_grace();
        let supervisor = self.supervisor.get();
        supervisor.map_or(Ok(()), |supervisor| supervisor.send(SupervisorCommand::EndGrace { owner: self.owner }))
    }

    fn end_by_closing(&self) -> Result<()> {
        let mut core = self.core();
        core.leave_logs();
        let renewed = core.renew_files(self.owner, false);
        // What the processes are is in the records; what was declared is written for the last time. A manager that
        // never followed the state knows nothing better than what is there.
        let written = if core.synced { core.write_snapshot() } else { Ok(()) };
        fail::point("close:written");
        let released = match core.supervisor.take() {
            Some(supervisor) => {
                self.warn_of_orphans(&supervisor);
                supervisor.release(self.owner)
            }
            None => Ok(()),
        };
        fail::point("close:released");
        let closed = end_others(&mut core, Call::Close);
        self.finish(&mut core);
        let failed = [renewed, written, released].into_iter().filter_map(Result::err).chain(closed);
        summary(failed.collect())
    }

    /// Without a data directory it is not known later which processes there were, and an agent that declares them again has two
    /// of each.
    fn warn_of_orphans(&self, supervisor: &Supervisor) {
        if self.data_dir.is_some() {
            return;
        }
        // Those that are being started run when the close is done. What cannot be counted is an error of the release.
        // What is being ended may have outlived its leader.
        let may_run = [ProxyState::Starting, ProxyState::Stopping, ProxyState::Clearing];
        let left = |status: &ProxyStatus| status.pid.is_some() || may_run.contains(&status.state);
        let count = supervisor.status(self.owner).unwrap_or_default().into_iter().filter(left).count();
        let (who, them) = match count {
            0 => return,
            1 => ("process runs", "it"),
            _ => ("processes run", "them"),
        };
        let lost = format_args!("without a data directory no later agent finds {them}, unless by a snapshot elsewhere");
        self.log.write(Level::Warn, format_args!("close: {count} {who} on, and {lost}"));
    }

    fn end_by_killing(&self) -> Result<()> {
        fail::point("kill:begun");
        self.core().leave_logs();
        let mut failed = Vec::new();
        let stopped = self.stop_all(&mut failed);
        failed.extend(stopped.err());
        fail::point("kill:stopped");
        let mut core = self.core();
        // A proxy that is still there stays in the snapshot: the next agent knows of it.
        failed.extend(core.write_snapshot().err());
        fail::point("kill:written");
        self.finish(&mut core);
        summary(failed)
    }

    /// Stops all proxies. What is left of one, or could not be done for it, is added to `failed`; returned is what kept it
    /// from being tried.
    fn stop_all(&self, failed: &mut Vec<Error>) -> Result<()> {
        let (supervisor, stops) = {
            let mut core = self.core();
            failed.extend(self.restore_again(&mut core).err());
            if core.supervisor.get().is_none() && core.unclaimed.is_empty() && core.unrecorded.is_empty() {
                failed.extend(stop_others(&mut core));
                return Ok(());
            }
            let supervisor = core.supervisor()?;
            let stops = begin_stop(&mut core, self.owner, &supervisor)?;
            fail::point("kill:asked");
            if self.control.is_grace_ended() {
                supervisor.send(SupervisorCommand::EndGrace { owner: self.owner })?;
            }
            (supervisor, stops)
        };
        // Not under the lock: until the last one is gone the status can be asked.
        failed.extend(stops.into_iter().filter_map(|(_, result)| result.err()));
        let mut core = self.core();
        // What was restored and never started has no slot, and nothing to stop.
        let stuck: BTreeSet<String> = supervisor.status(self.owner)?.into_iter().map(|status| status.id).collect();
        core.managed.retain(|id, managed| as_other(managed).is_some() || stuck.contains(&**id));
        failed.extend(stop_others(&mut core));
        drop(core.supervisor.take());
        supervisor.release(self.owner)
    }

    /// For a drop within a logger, which must not wait for the end: another thread makes it.
    fn close_on_another_thread(&mut self) {
        let nothing = ManagedSet::new(
            (ManagerOptions::default(), None),
            (None, None),
            &self.events,
            ("".into(), self.log.clone()),
            (Vec::new(), Vec::new()),
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
            supervisor: self.supervisor.clone(),
            counters: self.counters.clone(),
            last_look: self.last_look.clone(),
            usages: Mutex::default(),
            core: std::mem::replace(&mut self.core, OnlyHome::new(Mutex::new(nothing))),
        });
        if let Err(error) = thread::start("proxy-free", move || drop(ManuallyDrop::into_inner(manager))) {
            self.log.write(Level::Error, format_args!("close within a logger: start thread: {error}"));
        }
    }

    fn finish(&self, core: &mut ManagedSet) {
        if let Some(cgroups) = &core.context.cgroups {
            cgroups.close(&self.log);
        }
        core.managed.clear();
        core.held.clear();
        core.unclaimed.clear();
        core.unrecorded.clear();
        core.state_waiters.dismiss();
        if let Some(data_dir) = &self.data_dir {
            data_dir.unlock();
            fail::point("end:unlocked");
        }
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::new();
        self.events.end();
        self.log.end();
    }
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

/// Stops every process of the manager at the same time, those of proxies that were removed before and are still being
/// stopped among them. What is left of one arrives at the receiver, which closes when they are gone.
fn begin_stop(core: &mut ManagedSet, owner: Owner, supervisor: &Supervisor) -> Result<Receiver<StopReply>> {
    sync::claim_unclaimed(core, owner, supervisor)?;
    let (left, stops) = crossbeam_channel::unbounded();
    supervisor.send(SupervisorCommand::StopAll { owner, left })?;
    Ok(stops)
}

/// What the proxies of registered kinds say that could not be stopped, as one error.
fn stop_others(core: &mut ManagedSet) -> Option<Error> {
    let failed = end_others(core, |other, reply| Call::Stop(other, Some(reply)));
    // Where their codes differ there is no code for all of them, other than that they were not stopped.
    let differ = failed.iter().any(|error| error.code() != failed[0].code());
    let joined = summary(failed).err()?;
    Some(if differ { Error::new(ErrorCode::StillRunning, joined.to_string()) } else { joined })
}

/// Makes one last call to every proxy of a registered kind, and ends their thread. What failed is returned.
fn end_others(
    core: &mut ManagedSet,
    call: impl Fn(super::custom_kinds::CustomProxy, crossbeam_channel::Sender<Result<()>>) -> Call,
) -> Vec<Error> {
    let others: Vec<_> = core.managed.values().filter_map(as_other).collect();
    let (reply, answers) = crossbeam_channel::unbounded();
    if !others.is_empty() {
        let worker = match core.worker() {
            Ok(worker) => worker,
            Err(error) => return vec![error],
        };
        for other in others {
            worker.call(call(other, reply.clone()));
        }
    }
    drop(reply);
    if let Some(worker) = core.worker.take() {
        Worker::finish(worker);
    }
    core.managed.retain(|_, managed| as_other(managed).is_none());
    answers.into_iter().filter_map(Result::err).collect()
}

fn as_other(managed: &Managed) -> Option<super::custom_kinds::CustomProxy> {
    match managed {
        Managed::Custom(other) => Some((**other).clone()),
        Managed::Daemon(_) => None,
    }
}

/// One error that names all that failed. That processes are left, or may be, says more than what else went wrong, such
/// as a file that could not be removed; of others the first one counts.
fn summary(mut failed: Vec<Error>) -> Result<()> {
    let (Some(first), 2..) = (failed.first(), failed.len()) else { return failed.pop().map_or(Ok(()), Err) };
    let any = |code| failed.iter().map(Error::code).find(|other| *other == code);
    let left = any(ErrorCode::StillRunning).or_else(|| any(ErrorCode::Unproven));
    let texts: Vec<String> = failed.iter().map(Error::to_string).collect();
    Err(Error::new(left.unwrap_or(first.code()), texts.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_several_errors_says_whether_processes_are_left() {
        use ErrorCode::{Io, StillRunning, Unproven, Untrusted};
        let code = |codes: &[ErrorCode]| {
            let failed = codes.iter().map(|code| Error::new(*code, format!("{code:?}"))).collect();
            summary(failed).map_err(|error| (error.code(), error.to_string()))
        };
        assert_eq!(code(&[]), Ok(()));
        assert_eq!(code(&[Io]), Err((Io, "Io".to_owned())));
        assert_eq!(code(&[Io, Io]), Err((Io, "Io; Io".to_owned())));
        assert_eq!(code(&[Io, StillRunning]), Err((StillRunning, "Io; StillRunning".to_owned())));
        assert_eq!(code(&[Unproven, StillRunning]), Err((StillRunning, "Unproven; StillRunning".to_owned())));
        assert_eq!(code(&[Io, Unproven]), Err((Unproven, "Io; Unproven".to_owned())));
        assert_eq!(code(&[Untrusted, Io]), Err((Untrusted, "Untrusted; Io".to_owned())));
    }
}
