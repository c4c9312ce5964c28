// SPDX-License-Identifier: MPL-2.0
//! From the steps of a stop to SIGKILL to the admission that nothing helps.

use std::time::{Duration, Instant};

use super::StopSettings;
use super::machine_event::MachineAction;
use crate::deadline::after;
use crate::defaults;

/// The way from the first stop signal to the admission that nothing helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escalation {
    /// They were sent the signal of this step, and have until then to obey it.
    Asked {
        step: usize,
        until: Instant,
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
            Escalation::Asked { until, .. } => Some(until),
            Escalation::Killed { probe_at, give_up_at } => Some(probe_at.min(give_up_at)),
            Escalation::Stuck => None,
        }
    }

    /// The next rung, when its time has come. A step that comes late has its whole time nevertheless.
    pub(super) fn advance(&mut self, now: Instant, stop: &StopSettings) -> Option<MachineAction> {
        match *self {
            Escalation::Asked { step, until } if now >= until => {
                let next = step + 1;
                *self = match stop.step(next) {
                    Some(settings) => Escalation::Asked { step: next, until: after(now, settings.duration) },
                    None => Escalation::killed(now),
                };
                Some(self.signal())
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

    /// The signal of the first step is being sent.
    pub(super) fn begin(now: Instant, stop: &StopSettings) -> Escalation {
        let duration = stop.step(0).map_or(Duration::ZERO, |first| first.duration);
        Escalation::Asked { step: 0, until: after(now, duration) }
    }

    /// For what a leader that ended by itself has left: a successor waits for its end, so it is killed at once unless it is
    /// declared to have time, and begins with the last step.
    pub(super) fn of_leftovers(now: Instant, stop: &StopSettings) -> Escalation {
        if stop.leftover_grace.is_zero() {
            return Escalation::killed(now);
        }
        Escalation::Asked { step: stop.last_step(), until: after(now, stop.leftover_grace) }
    }

    /// The step that is under way ends at the latest then.
    pub(super) fn limit(&mut self, latest: Instant) {
        if let Escalation::Asked { until, .. } = self {
            *until = latest.min(*until);
        }
    }

    /// The step that is under way has no longer than a stop gives it: from now on, for a part of its time may be over.
    pub(super) fn limit_as_stop(&mut self, now: Instant, stop: &StopSettings) {
        if let Escalation::Asked { step, .. } = *self {
            self.limit(after(now, stop.step(step).map_or(Duration::ZERO, |settings| settings.duration)));
        }
    }

    /// The signal of this step: for processes that are found only now.
    pub(super) fn signal(self) -> MachineAction {
        match self {
            Escalation::Asked { step, .. } => MachineAction::SignalStop { step },
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
