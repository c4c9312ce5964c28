// SPDX-License-Identifier: MPL-2.0
//! Noting what failed, and trying it again later.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::EventLoop;
use super::pending_repair::{PendingRepair, RepairTask};
use super::supervised::Supervised;
use crate::defaults;
use crate::error::Result;
use crate::lifecycle::ProxyState;
use crate::logging::Level;
use crate::supervisor::process_key::ProcessKey;
use crate::supervisor::spawner::job::Job;

/// How often the wait is doubled: to about a minute. A disk that is full fails for all proxies, and each logs it.
const MAX_DOUBLINGS: u32 = 6;

/// How long the next attempt waits, after so many failures.
pub(super) fn repair_wait(failures: u32) -> Duration {
    defaults::REPAIR_WAIT * (1 << failures.min(MAX_DOUBLINGS))
}

impl Supervised {
    /// Takes note of the result of a job: what failed shows in the status, and is done again.
    pub(crate) fn note(&mut self, what: RepairTask, result: Result<()>) {
        let Err(error) = result else {
            self.rare.failures = 0;
            return;
        };
        self.spec.context.log.about(Level::Error, &self.slot.id, format_args!("{error}"));
        let wait = match what {
            // A process that may not be signalled now may not be signalled later.
            RepairTask::Signal(_) if error.errno() == Some(libc::EPERM) => None,
            RepairTask::Signal(_) => Some(defaults::REPAIR_WAIT),
            _ => Some(repair_wait(self.rare.failures)),
        };
        // Why a process is not started says more than which of its files are still there.
        let says_more = matches!(what, RepairTask::CleanUp(_)) && self.machine.state() == ProxyState::Waiting;
        if !says_more || self.rare.last_error.is_none() {
            self.rare.last_error = Some(error.clone());
        }
        self.rare.failures = self.rare.failures.saturating_add(1);
        if let Some(wait) = wait {
            self.rare.repair = Some(PendingRepair { at: Instant::now() + wait, what, error });
        }
    }

    /// The answer to a stop: neither files of a process that is gone nor processes that may be of it must be left behind
    /// silently.
    pub(crate) fn stopped(&self) -> Result<()> {
        match &self.rare.repair {
            Some(PendingRepair { what: RepairTask::CleanUp(_), error, .. }) => Err(error.clone()),
            _ => self.may_have_left(),
        }
    }

    /// Whether a task still applies: the process that it is about is the one that there is.
    fn still_applies(&self, chore: &RepairTask) -> bool {
        match chore {
            // Forgotten with the next start.
            RepairTask::CleanUp(_) => true,
            RepairTask::CleanUpButRecord(_) => self.machine.rests(),
            RepairTask::RecordEnd(..) => self.machine.rests() || self.machine.state() == ProxyState::Clearing,
            RepairTask::RemovePidFile(_) => matches!(self.machine.state(), ProxyState::Stopping | ProxyState::Clearing),
            RepairTask::PidFile(_, pid) => self.pid == Some(*pid),
            RepairTask::Record(spec, pid) => {
                self.machine.runs() && self.pid == Some(*pid) && Arc::ptr_eq(spec, &self.spec)
            }
            RepairTask::Signal(_) => matches!(self.machine.state(), ProxyState::Stopping | ProxyState::Clearing),
        }
    }
}

impl EventLoop {
    /// Has a repair done whose time has come.
    pub(crate) fn repair(&mut self, key: ProcessKey, now: Instant) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        let Some(repair) = supervised.rare.repair.take_if(|repair| repair.at <= now) else { return };
        if !supervised.still_applies(&repair.what) {
            return self.drop_if_done(key);
        }
        let job = match repair.what {
            RepairTask::Signal(signal) => return self.send_stop_signal(key, signal),
            // What is under way may make it needless, or come to the same failure.
            what if supervised.busy => {
                supervised.rare.repair =
                    Some(PendingRepair { at: now + defaults::REPAIR_WAIT, what, error: repair.error });
                return self.arm_repair(key);
            }
            RepairTask::CleanUp(spec) => {
                let (sockets, cgroup) = (self.sockets_to_close(key), self.cgroup_to_remove(key));
                Job::CleanUp { key, spec, left: self.leftovers(key), sockets, cgroup, unread: None }
            }
            RepairTask::CleanUpButRecord(spec) => {
                Job::CleanUpButRecord { key, spec, left: self.leftovers(key), unread: None }
            }
            RepairTask::RecordEnd(spec, ended) => Job::RecordEnd { key, spec, ended },
            RepairTask::RemovePidFile(spec) => Job::RemovePidFile { key, spec },
            RepairTask::PidFile(spec, pid) => Job::PidFile { key, spec, pid },
            RepairTask::Record(..) => supervised.record_job(),
        };
        self.submit(key, job);
    }

    /// Sets the timer of a repair, if there is one to be done.
    pub(crate) fn arm_repair(&mut self, key: ProcessKey) {
        if let Some(repair) = self.slots.get(&key).and_then(|supervised| supervised.rare.repair.as_ref()) {
            self.timers.arm(repair.at, key);
        }
    }
}
