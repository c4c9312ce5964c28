//! Files that could not be written or removed are tried again: a pid file that names a dead process, or none, would be
//! wrong for as long as the process runs.

use std::sync::Arc;
use std::time::Instant;

use super::mailbox::{Claim, ProcessKey};
use super::run::Loop;
use super::spawner::Job;
use super::spec::Spec;
use super::supervised::Supervised;
use crate::defaults;
use crate::error::Result;
use crate::lifecycle::ProxyState;
use crate::logging::{self, Level};
use crate::sys::identity::Pid;

/// What has to be done again, and when.
#[derive(Debug)]
pub(super) struct Repair {
    pub(super) at: Instant,
    pub(super) what: Chore,
}

/// What on disk is not as it should be.
#[derive(Debug, Clone)]
pub(super) enum Chore {
    /// Files of a process that is gone are still there, or what it has left of its group.
    CleanUp(Arc<Spec>, Option<Claim>),
    /// The pid file of this process is not written.
    PidFile(Arc<Spec>, Pid),
    /// The record of this process is not of this declaration, though the process is.
    Record(Arc<Spec>, Pid),
}

impl Supervised {
    /// Takes note of how a chore went: what failed shows in the status, and is done again.
    pub(super) fn after(&mut self, what: Chore, result: Result<()>) {
        let Err(error) = result else { return };
        logging::about(Level::Error, &self.slot.id, format_args!("{error}"));
        self.last_error = Some(error);
        self.repair = Some(Repair { at: Instant::now() + defaults::REPAIR_WAIT, what });
    }

    /// The answer to a stop: the files of a process that is gone must not be left behind silently.
    pub(super) fn stopped(&self) -> Result<()> {
        match (&self.repair, &self.last_error) {
            (Some(Repair { what: Chore::CleanUp(..), .. }), Some(error)) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// Whether a chore is still one: the process that it is about is the one that there is.
    fn still_applies(&self, chore: &Chore) -> bool {
        match chore {
            // Forgotten with the next start.
            Chore::CleanUp(..) => true,
            Chore::PidFile(_, pid) => self.pid == Some(*pid),
            Chore::Record(spec, pid) => {
                let running = self.machine.state() == ProxyState::Running;
                running && self.pid == Some(*pid) && Arc::ptr_eq(spec, &self.spec)
            }
        }
    }
}

impl Loop {
    /// Has a repair done whose time has come.
    pub(super) fn repair(&mut self, key: ProcessKey, now: Instant) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        let Some(repair) = supervised.repair.take_if(|repair| repair.at <= now) else { return };
        if supervised.busy {
            // What is under way may make it needless, or comes to the same failure.
            supervised.repair = Some(Repair { at: now + defaults::REPAIR_WAIT, ..repair });
            self.arm_repair(key);
        } else if supervised.still_applies(&repair.what) {
            self.submit(
                key,
                match repair.what {
                    Chore::CleanUp(spec, after) => Job::CleanUp { key, spec, after },
                    Chore::PidFile(spec, pid) => Job::PidFile { key, spec, pid },
                    Chore::Record(spec, _) => Job::Record { key, spec },
                },
            );
        }
        self.drop_if_done(key);
    }

    /// Sets the timer of a repair, if there is one to be done.
    pub(super) fn arm_repair(&mut self, key: ProcessKey) {
        if let Some(repair) = self.slots.get(&key).and_then(|supervised| supervised.repair.as_ref()) {
            self.timers.arm(repair.at, key);
        }
    }
}
