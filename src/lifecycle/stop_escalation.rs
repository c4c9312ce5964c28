// SPDX-License-Identifier: MPL-2.0
//! From the steps of a stop to SIGKILL, and to the report that processes survived it.

use std::time::{Duration, Instant};

use super::machine_event::MachineAction;
use super::{StopSettings, StopStep};
use crate::deadline::after;
use crate::defaults;

/// The way from the first stop signal to the admission that nothing helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escalation {
    /// They were asked to end as this step says, and have until then to obey it.
    Asked {
        step: usize,
        until: Instant,
    },
    /// The leader was sent SIGABRT, and has until then to end.
    Aborted {
        until: Instant,
    },
    /// A caller has ended the grace: SIGKILL is due. It is sent when a timer tells, as at the end of a time, so that many
    /// processes get it as many timers: one after the other, with what else there is to do in between.
    Over {
        since: Instant,
    },
    /// The supervisor polls a process thoroughly whenever a timer of its stop is due: one that a debugger holds may have
    /// ended without a report.
    Killed {
        probe_at: Instant,
        give_up_at: Instant,
    },
    Stuck,
}

/// What a stop is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopTarget {
    /// A leader that lives, with its group.
    Leader,
    /// What a leader that is gone has left. No command is run for that.
    Leftovers,
}

/// How often a process that was sent SIGKILL is probed until it has ended. Most have before the first time.
const PROBE_INTERVAL: Duration = Duration::from_millis(50);

impl Escalation {
    pub(super) fn deadline(self) -> Option<Instant> {
        match self {
            Escalation::Asked { until, .. } | Escalation::Aborted { until } => Some(until),
            Escalation::Over { since } => Some(since),
            Escalation::Killed { probe_at, give_up_at } => Some(probe_at.min(give_up_at)),
            Escalation::Stuck => None,
        }
    }

    /// The next rung, when its time has come. A step that comes late has its whole time nevertheless.
    pub(super) fn advance(&mut self, now: Instant, stop: &StopSettings, target: StopTarget) -> Option<MachineAction> {
        match *self {
            Escalation::Asked { step, until } if now >= until => {
                *self = Escalation::from_step(step + 1, now, stop, target);
                Some(self.action(stop))
            }
            Escalation::Aborted { until } | Escalation::Over { since: until } if now >= until => {
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

    /// The time of every step is over.
    pub(super) fn end_grace(&mut self, now: Instant) {
        if let Escalation::Asked { .. } | Escalation::Aborted { .. } = self {
            *self = Escalation::Over { since: now };
        }
    }

    /// SIGKILL is due.
    pub(super) fn killed(now: Instant) -> Escalation {
        Escalation::Killed { probe_at: now + PROBE_INTERVAL, give_up_at: now + defaults::KILL_PATIENCE }
    }

    /// The first step begins.
    pub(super) fn begin(now: Instant, stop: &StopSettings, target: StopTarget) -> Escalation {
        Escalation::from_step(0, now, stop, target)
    }

    /// The first step from this one on that there is for them.
    fn from_step(first: usize, now: Instant, stop: &StopSettings, target: StopTarget) -> Escalation {
        let mut steps = (first..).map_while(|index| stop.step(index).map(|step| (index, step)));
        let is_for = |step: &StopStep| match target {
            StopTarget::Leader => true,
            StopTarget::Leftovers => !step.is_command(),
        };
        match steps.find(|(_, step)| is_for(step)) {
            Some((step, StopStep { duration, .. })) => Escalation::Asked { step, until: after(now, duration) },
            None => Escalation::killed(now),
        }
    }

    /// The command of this step has failed: the next one begins at once, if this is the one that is under way.
    pub(super) fn command_failed(&mut self, failed: usize, now: Instant, stop: &StopSettings) -> Option<MachineAction> {
        let is_under_way = matches!(*self, Escalation::Asked { step, .. } if step == failed);
        is_under_way.then(|| {
            *self = Escalation::from_step(failed + 1, now, stop, StopTarget::Leader);
            self.action(stop)
        })
    }

    /// For what a leader that ended by itself has left: a successor waits for its end, so it is killed at once unless it is
    /// declared to have time, and begins with the last signal.
    pub(super) fn of_leftovers(now: Instant, stop: &StopSettings) -> Escalation {
        match stop.last_signal().filter(|_| !stop.leftover_grace.is_zero()) {
            Some(step) => Escalation::Asked { step, until: after(now, stop.leftover_grace) },
            None => Escalation::killed(now),
        }
    }

    /// For a leader that does not feed its watchdog: it has the time of the last signal to leave a core.
    pub(super) fn abort(now: Instant, stop: &StopSettings) -> Escalation {
        Escalation::Aborted { until: after(now, Escalation::time_to_abort(stop)) }
    }

    fn time_to_abort(stop: &StopSettings) -> Duration {
        let last = stop.last_signal().and_then(|last| stop.step(last));
        last.map_or(stop.grace_period, |last| last.duration)
    }

    /// Begins with the steps of a stop in place of an abort, and says what is done for the first one. What is killed already is
    /// not asked any more.
    pub(super) fn stop_instead(&mut self, now: Instant, stop: &StopSettings) -> Option<MachineAction> {
        let Escalation::Aborted { .. } = self else { return None };
        *self = Escalation::begin(now, stop, StopTarget::Leader);
        Some(self.action(stop))
    }

    /// The step that is under way ends at the latest then.
    pub(super) fn limit(&mut self, latest: Instant) {
        if let Escalation::Asked { until, .. } | Escalation::Aborted { until } = self {
            *until = latest.min(*until);
        }
    }

    /// The step that is under way ends at the soonest then. An abort is not extended.
    pub(super) fn extend(&mut self, soonest: Instant) {
        if let Escalation::Asked { until, .. } = self {
            *until = soonest.max(*until);
        }
    }

    /// The step that is under way has no longer than a stop gives it: from now on, for a part of its time may be over.
    pub(super) fn limit_as_stop(&mut self, now: Instant, stop: &StopSettings) {
        let time = match *self {
            Escalation::Asked { step, .. } => stop.step(step).map_or(Duration::ZERO, |settings| settings.duration),
            Escalation::Aborted { .. } => Escalation::time_to_abort(stop),
            Escalation::Over { .. } | Escalation::Killed { .. } | Escalation::Stuck => return,
        };
        self.limit(after(now, time));
    }

    /// The step of a stop that is under way.
    pub(super) fn step(self) -> Option<usize> {
        match self {
            Escalation::Asked { step, .. } => Some(step),
            Escalation::Aborted { .. } | Escalation::Over { .. } | Escalation::Killed { .. } | Escalation::Stuck => {
                None
            }
        }
    }

    /// What is done for the step that has begun.
    pub(super) fn action(self, stop: &StopSettings) -> MachineAction {
        match self {
            Escalation::Asked { step, .. } if stop.step(step).is_some_and(|settings| settings.is_command()) => {
                MachineAction::RunStop { step }
            }
            Escalation::Asked { step, .. } => MachineAction::SignalStop { step },
            Escalation::Aborted { .. } => MachineAction::Abort,
            Escalation::Over { .. } | Escalation::Killed { .. } | Escalation::Stuck => MachineAction::Kill,
        }
    }

    /// The signal of the step that is under way, for processes that are found only now. Those of a command have its time.
    pub(super) fn signal(self, stop: &StopSettings) -> Option<MachineAction> {
        Some(self.action(stop)).filter(|action| !matches!(action, MachineAction::RunStop { .. }))
    }

    /// Whether SIGKILL was sent.
    pub(super) fn has_killed(self) -> bool {
        matches!(self, Escalation::Killed { .. } | Escalation::Stuck)
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
