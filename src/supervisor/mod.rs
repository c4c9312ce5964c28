// SPDX-License-Identifier: MPL-2.0
//! The threads that supervise: one supervisor, and at most one spawner for each core, shared by all managers and
//! daemons of the program.

pub(crate) mod adoption;
mod cgroup_limits;
mod cgroup_names;
mod cgroups;
mod command_run;
mod event_loop;
pub(crate) mod events;
mod former_cgroups;
mod log_keeper;
mod mailbox;
mod notifications;
mod other_agent;
mod process_key;
mod readiness;
mod reaper;
mod refusals;
mod removed_logs;
mod scan;
mod sockets;
mod spare_descriptor;
mod spawner;
mod spec;
pub(crate) mod state_waiters;
mod status;
mod status_text;
mod zombies;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};

pub(crate) use self::scan::find_by_log::find_by_log;
pub(crate) use self::scan::find_by_owner_tag::find_by_owner_tag;
pub(crate) use adoption::claim::Claim;
pub use cgroups::CgroupUse;
pub(crate) use cgroups::Cgroups;
pub use events::{Event, EventKind, Events};
#[cfg(feature = "capi")]
pub(crate) use events::{EventFields, unix_ns};
pub(crate) use events::{EventRing, ProxyOccurrence, Publisher, SnapshotOccurrence};
pub(crate) use mailbox::{BegunReload, OtherClaim, Owner, Slot, StartMode, Steering, StopReply, SupervisorCommand};
#[cfg(fuzzing)]
pub(crate) use notifications::notice;
pub(crate) use refusals::{not_managed, not_running, paused};
pub(crate) use removed_logs::RemovedLogs;
pub(crate) use spec::base_environment::BaseEnvironment;
pub(crate) use spec::{Context, Files, OwnerTag, Spec, random_owner_tag};
pub(crate) use status::LogSizes;
pub use status::{OtherGeneration, ProxyStatus, UnprovenProcess};

use self::spawner::threads::Spawners;
pub(crate) use self::spawner::threads::most_spawners;
use crate::error::{Error, ErrorCode, Result};
use crate::host_code::outside_loggers;
use crate::store::{DataDir, LogPositions};
use crate::sys::fork::HomeProcess;
use crate::sys::fork_safe::PerProcess;
use crate::sys::thread;
use log_keeper::LogKeeper;
use mailbox::{Mailbox, Message, Processes};
use reaper::Reaper;

/// The supervisor of this program, while there is one.
static SHARED: PerProcess<Mutex<Weak<Supervisor>>> = PerProcess::new(|| Mutex::new(Weak::new()));

/// A handle on the threads. They start with the first handle and end with the last.
#[derive(Debug)]
pub(crate) struct Supervisor {
    mailbox: Mailbox,
    /// The supervisor thread, which ends the others; and the process that they are threads of.
    thread: Mutex<Option<JoinHandle<()>>>,
    home: HomeProcess,
}

impl Supervisor {
    /// The supervisor of this program, started if need be.
    ///
    /// # Errors
    /// [`ErrorCode::Exhausted`] when threads or descriptors cannot be had.
    pub(crate) fn shared() -> Result<Arc<Supervisor>> {
        let mut shared = SHARED.get().lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = shared.upgrade() {
            return Ok(running);
        }
        let started = Arc::new(Supervisor::start()?);
        *shared = Arc::downgrade(&started);
        Ok(started)
    }

    fn start() -> Result<Supervisor> {
        let failed = |error: std::io::Error| Error::os(ErrorCode::Exhausted, "start supervisor threads", &error);
        let reaper = Arc::new(Reaper::new().map_err(failed)?);
        let (mailbox, inbox) = mailbox::mailbox(&reaper);
        let positions = Arc::new(LogPositions::default());
        let spawners = Spawners::start(mailbox.clone(), reaper.clone(), positions.clone()).map_err(failed)?;
        let supervisor = event_loop::EventLoop::new(inbox, spawners, reaper, LogKeeper::new(positions));
        let thread = thread::start("proxy-superv", move || supervisor.run()).map_err(failed)?;
        Ok(Supervisor { mailbox, thread: Mutex::new(Some(thread)), home: HomeProcess::here() })
    }

    /// A number for a new owner of processes.
    pub(crate) fn new_owner() -> Owner {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }

    /// Sends a command.
    ///
    /// # Errors
    /// [`ErrorCode::Forked`] in a process that the host forked off.
    pub(crate) fn send(&self, command: SupervisorCommand) -> Result<()> {
        self.home.check()?;
        if self.mailbox.send(Message::Command(command)) { Ok(()) } else { Err(mailbox::gone()) }
    }

    /// Sends a command that is answered once.
    ///
    /// # Errors
    /// [`ErrorCode::InCallback`] on a thread that is in a logger, for whose return the answer may wait.
    pub(crate) fn ask<T>(&self, command: impl FnOnce(Sender<T>) -> SupervisorCommand) -> Result<T> {
        outside_loggers()?;
        let (reply, answer) = crossbeam_channel::bounded(1);
        self.send(command(reply))?;
        answer.recv().map_err(|_| mailbox::gone())
    }

    /// Has a spawner find out what is wrong with a data directory, if anything is.
    ///
    /// # Errors
    /// [`ErrorCode::Forked`] in a process that the host forked off.
    pub(crate) fn look_at(&self, data_dir: &Arc<DataDir>) -> Result<Receiver<Option<Error>>> {
        let (reply, answer) = crossbeam_channel::bounded(1);
        self.send(SupervisorCommand::LookAt { data_dir: data_dir.clone(), reply })?;
        Ok(answer)
    }

    /// Has a spawner find out how large the logs of these are.
    ///
    /// # Errors
    /// [`ErrorCode::Forked`] in a process that the host forked off.
    pub(crate) fn measure_logs(&self, all: &Arc<Vec<ProxyStatus>>) -> Result<Receiver<Vec<LogSizes>>> {
        let (reply, answer) = crossbeam_channel::bounded(1);
        self.send(SupervisorCommand::MeasureLogs { all: all.clone(), reply })?;
        Ok(answer)
    }

    /// What the processes of an owner are doing, by id.
    pub(crate) fn status(&self, owner: Owner) -> Result<Vec<ProxyStatus>> {
        let mut all = self.ask(|reply| SupervisorCommand::Status { owner, reply })?;
        // Mostly sorted already, which a stable sort makes use of.
        all.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(all)
    }

    /// What one proxy is doing; `None` when it has no slot.
    pub(crate) fn status_of(&self, slot: Slot) -> Result<Option<ProxyStatus>> {
        self.ask(|reply| SupervisorCommand::StatusOf { slot, reply })
    }

    /// The living processes of an owner.
    ///
    /// # Errors
    /// Also when one of them cannot be identified now: without it the others are not all.
    pub(crate) fn processes(&self, owner: Owner) -> Result<Processes> {
        self.ask(|reply| SupervisorCommand::Processes { owner, reply })?
    }

    /// Lets all processes of an owner run on unsupervised; returns when nothing of them is in flight.
    pub(crate) fn release(&self, owner: Owner) -> Result<()> {
        outside_loggers()?;
        let (released, done): (Sender<()>, Receiver<()>) = crossbeam_channel::bounded(0);
        self.send(SupervisorCommand::Release { owner, released })?;
        // Nothing is ever sent: the channel closes when the last slot of the owner is gone.
        let _ = done.recv();
        Ok(())
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if !self.home.is_here() {
            std::mem::forget(thread);
            return;
        }
        self.mailbox.send(Message::Command(SupervisorCommand::Shutdown));
        // A thread must not wait for itself: a host's code may drop the last handle on one of ours.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != std::thread::current().id()) {
            let _ = thread.join();
        }
        // Another supervisor may have begun before this one had ended: it missed what was left behind just now.
        let next = SHARED.get().lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        if let Some(next) = next {
            // If it has ended as well, the one after it begins with them.
            let _ = next.send(SupervisorCommand::ReapLeftBehind);
        }
    }
}
