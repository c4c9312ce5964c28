// SPDX-License-Identifier: MPL-2.0
//! From the stop signal to SIGKILL to the admission that nothing helps.

use std::time::{Duration, Instant};

use super::machine_event::MachineAction;
use crate::deadline::after;
use crate::defaults;

/// The way from the stop signal to the admission that nothing helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escalation {
    Asked {
        kill_at: Instant,
    },
    /// The supervisor polls a process thoroughly whenever a timer of its stop is due: one that a debugger holds may have
    /// ended without a report.
    Killed {
        probe_at: Instant,
        give_up_at: Instant,
    },
    Stuck,
}

/// How often a process that was sent SIGKILL is probed until it has ended. Most have before the first time.
const PROBE_INTERVAL: Duration = Duration::from_millis(50);

impl Escalation {
    pub(super) fn deadline(self) -> Option<Instant> {
        match self {
            Escalation::Asked { kill_at } => Some(kill_at),
            Escalation::Killed { probe_at, give_up_at } => Some(probe_at.min(give_up_at)),
            Escalation::Stuck => None,
        }
    }

    /// The next rung, when its time has come.
    pub(super) fn advance(&mut self, now: Instant) -> Option<MachineAction> {
        match *self {
            Escalation::Asked { kill_at } if now >= kill_at => {
                *self = Escalation::killed(now);
                Some(MachineAction::Kill)
            }
            Escalation::Killed { give_up_at, .. } if now >= give_up_at => {
                *self = Escalation::Stuck;
                Some(MachineAction::Stuck)
            }
            Escalation::Killed { probe_at, give_up_at } if now >= probe_at => {
                *self = Escalation::Killed { probe_at: now + PROBE_INTERVAL, give_up_at };
                None
            }
            _ => None,
        }
    }

    fn killed(now: Instant) -> Escalation {
        Escalation::Killed { probe_at: now + PROBE_INTERVAL, give_up_at: now + defaults::KILL_PATIENCE }
    }

    /// The stop signal is being sent.
    pub(super) fn begin(kill_at: Instant) -> Escalation {
        Escalation::Asked { kill_at }
    }

    /// For what a leader that ended by itself has left: a successor waits for its end, so it is killed at once unless it is
    /// declared to have time.
    pub(super) fn of_leftovers(now: Instant, grace: Duration) -> Escalation {
        if grace.is_zero() { Escalation::killed(now) } else { Escalation::Asked { kill_at: after(now, grace) } }
    }

    /// The grace period was shortened.
    pub(super) fn kill_by(&mut self, latest: Instant) {
        if let Escalation::Asked { kill_at } = self {
            *kill_at = latest.min(*kill_at);
        }
    }

    /// The signal of this step: for processes that are found only now.
    pub(super) fn signal(self) -> MachineAction {
        match self {
            Escalation::Asked { .. } => MachineAction::SignalStop,
            Escalation::Killed { .. } | Escalation::Stuck => MachineAction::Kill,
        }
    }

    /// What is said to a caller of a stop that is under way: once nothing helped, that it did not.
    pub(super) fn tell(self) -> Vec<MachineAction> {
        if self == Escalation::Stuck { vec![MachineAction::Stuck] } else { vec![] }
    }

    /// When to look again whether the group is gone. Its members are not our children, so the kernel reports no event
    /// when the last one ends: it is probed for, only while a group is being ended, at first often and then rarely.
    pub(super) fn probe_interval(self, probes: u32) -> Duration {
        if self == Escalation::Stuck { Duration::from_secs(1) } else { probe_interval(probes) }
    }
}

/// When to look again: at first often and then rarely.
pub(super) fn probe_interval(probes: u32) -> Duration {
    Duration::from_millis(1 << probes.saturating_sub(1).min(6))
}
