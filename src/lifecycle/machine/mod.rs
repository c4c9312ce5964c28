// SPDX-License-Identifier: MPL-2.0
//! The lifecycle of one process: state x event -> actions. Pure: the time is an argument, and it starts and signals
//! nothing.
//!
//! The wanted state (up or down) is separate from the actual state (the phase). A replacement is the phase of stopping
//! while up is wanted: the old process is stopped like any other, and the new one is started when the old one is gone.

mod end_grace;
mod phase;
mod process_events;
mod readiness;
mod requests;

use std::time::{Duration, Instant};

use super::EndedBy;
use super::machine_event::{Announcement, MachineAction, MachineEvent, ProxyState, Settings};
use super::restart_backoff::Backoff;
use super::restart_policy::{Failures, Rest};
use super::stop_escalation::{Escalation, StopTarget};
use crate::deadline::after;
use crate::defaults;
use phase::{Cause, MachinePhase, Next, Retry, Wanted};

/// One process from its declaration to its end.
#[derive(Debug)]
pub(crate) struct Machine {
    phase: MachinePhase,
    wanted: Wanted,
    backoff: Backoff,
    failures: Failures,
    /// There are zombies of the last process; a start waits for them until then.
    reap_until: Option<Instant>,
    /// Processes that are being ended, or will be as soon as they are started, get SIGKILL at once.
    grace_ended: bool,
}

impl Machine {
    pub(crate) fn new() -> Machine {
        let (backoff, failures) = (Backoff::default(), Failures::default());
        let (phase, wanted) = (MachinePhase::Idle, Wanted::Down);
        Machine { phase, wanted, backoff, failures, reap_until: None, grace_ended: false }
    }

    pub(crate) fn state(&self) -> ProxyState {
        match self.phase {
            MachinePhase::Idle => ProxyState::Idle,
            MachinePhase::Adopting { .. } => ProxyState::Adopting,
            MachinePhase::Starting { .. } | MachinePhase::AwaitingReady { .. } => ProxyState::Starting,
            MachinePhase::Running { .. } => ProxyState::Running,
            MachinePhase::Stopping { .. } => ProxyState::Stopping,
            // For the caller of the stop it makes no difference that the leader went first.
            MachinePhase::Clearing { cause: Cause::Asked | Cause::NotReady { .. }, .. }
            | MachinePhase::Scanning { cause: Cause::Asked | Cause::NotReady { .. }, .. } => ProxyState::Stopping,
            MachinePhase::Clearing { .. }
            | MachinePhase::Scanning { .. }
            | MachinePhase::Held { .. }
            | MachinePhase::AwaitingReap { .. } => ProxyState::Clearing,
            MachinePhase::Waiting { .. } | MachinePhase::AwaitingTurn => ProxyState::Waiting,
            MachinePhase::Stopped => ProxyState::Stopped,
            MachinePhase::Failed | MachinePhase::Resting(Rest::NotRestarted | Rest::GaveUp(_)) => ProxyState::Failed,
            MachinePhase::Resting(Rest::Completed) => ProxyState::Completed,
        }
    }

    /// Whether nothing was requested yet, or there is no process.
    pub(crate) fn is_idle(&self) -> bool {
        self.phase == MachinePhase::Idle
    }

    /// Whether the process is being started: it is not known yet whether there is one.
    pub(crate) fn is_starting(&self) -> bool {
        matches!(self.phase, MachinePhase::Starting { .. })
    }

    /// Whether a process of an earlier agent may exist but is not identified yet.
    pub(crate) fn awaits_adoption(&self) -> bool {
        matches!(self.phase, MachinePhase::Adopting { .. } | MachinePhase::Waiting { then: Retry::Adopt { .. }, .. })
    }

    /// Whether there is a process, and it was not told to stop.
    pub(crate) fn runs(&self) -> bool {
        matches!(self.phase, MachinePhase::Running { .. } | MachinePhase::AwaitingReady { .. })
    }

    /// Whether the process runs and is not ready yet.
    pub(crate) fn awaits_ready(&self) -> bool {
        matches!(self.phase, MachinePhase::AwaitingReady { .. })
    }

    /// Whether the process is stopped because it was not ready in time or did not feed its watchdog; it is then handled
    /// as after a crash.
    pub(crate) fn is_stopped_as_failed(&self) -> bool {
        matches!(
            self.phase,
            MachinePhase::Stopping { cause: Cause::NotReady { .. } | Cause::Hung { .. }, .. }
                | MachinePhase::Clearing { cause: Cause::NotReady { .. }, .. }
                | MachinePhase::Scanning { cause: Cause::NotReady { .. }, .. }
        )
    }

    /// Whether the process was told to stop, and its end is awaited.
    pub(crate) fn awaits_end(&self) -> bool {
        matches!(self.phase, MachinePhase::Stopping { .. })
    }

    /// The step of a stop that is under way, while the leader lives.
    pub(crate) fn stop_step(&self) -> Option<usize> {
        match self.phase {
            MachinePhase::Stopping { escalation, .. } => escalation.step(),
            _ => None,
        }
    }

    /// Whether the process is gone, and the answer to [`MachineAction::Scan`] is awaited.
    pub(crate) fn is_scanning(&self) -> bool {
        matches!(self.phase, MachinePhase::Scanning { .. })
    }

    /// Whether a start is due but waits for zombies to be reaped.
    pub(crate) fn awaits_reap(&self) -> bool {
        matches!(self.phase, MachinePhase::AwaitingReap { .. })
    }

    /// Whether a start is due but waits for its turn.
    pub(crate) fn awaits_turn(&self) -> bool {
        self.phase == MachinePhase::AwaitingTurn
    }

    /// Whether its process ended and is not started again automatically.
    pub(crate) fn rests(&self) -> bool {
        matches!(self.phase, MachinePhase::Resting(_))
    }

    /// Whether there is a process that is not ready, or may be; or it is about to be started, or what the last one has left is
    /// ended.
    pub(crate) fn prepares(&self) -> bool {
        match self.phase {
            MachinePhase::Adopting { .. }
            | MachinePhase::Starting { .. }
            | MachinePhase::AwaitingReady { .. }
            | MachinePhase::Stopping { .. }
            | MachinePhase::Clearing { .. }
            | MachinePhase::Scanning { .. }
            | MachinePhase::Held { .. }
            | MachinePhase::AwaitingReap { .. }
            | MachinePhase::Waiting { then: Retry::Adopt { .. }, .. } => true,
            MachinePhase::Idle
            | MachinePhase::Running { .. }
            | MachinePhase::Waiting { then: Retry::Spawn, .. }
            | MachinePhase::AwaitingTurn
            | MachinePhase::Stopped
            | MachinePhase::Failed
            | MachinePhase::Resting(_) => false,
        }
    }

    /// When [`MachineEvent::Timer`] is due, if ever.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            MachinePhase::Waiting { until, .. } => Some(until),
            MachinePhase::AwaitingReap { probe_at, .. } => Some(probe_at),
            MachinePhase::Held { until, probe_at, .. } => Some(until.min(probe_at)),
            MachinePhase::AwaitingReady { until, probe_at, .. } => until.into_iter().chain(probe_at).min(),
            MachinePhase::Stopping { escalation, .. } | MachinePhase::Scanning { escalation, .. } => {
                escalation.deadline()
            }
            MachinePhase::Clearing { escalation, probe_at, .. } => {
                Some(escalation.deadline().map_or(probe_at, |deadline| deadline.min(probe_at)))
            }
            MachinePhase::Idle
            | MachinePhase::Adopting { .. }
            | MachinePhase::Starting { .. }
            | MachinePhase::Running { .. }
            | MachinePhase::AwaitingTurn
            | MachinePhase::Stopped
            | MachinePhase::Failed
            | MachinePhase::Resting(_) => None,
        }
    }

    /// When the next start is due, while waiting for it.
    pub(crate) fn next_start(&self) -> Option<Instant> {
        match self.phase {
            MachinePhase::Waiting { until, .. } | MachinePhase::Held { until, .. } => Some(until),
            _ => None,
        }
    }

    /// What is making the process end.
    pub(crate) fn ended_by(&self) -> EndedBy {
        match self.phase {
            MachinePhase::Stopping { cause: Cause::Asked, .. } => EndedBy::Stop,
            MachinePhase::Stopping { cause: Cause::NotReady { .. }, .. } => EndedBy::NotReady,
            MachinePhase::Stopping { cause: Cause::Hung { .. }, .. } => EndedBy::Watchdog,
            _ => EndedBy::Itself,
        }
    }

    /// Since when the process has been running, if it runs.
    pub(crate) fn running_since(&self) -> Option<Instant> {
        match self.phase {
            MachinePhase::Running { since } | MachinePhase::AwaitingReady { since, .. } => Some(since),
            _ => None,
        }
    }

    /// Takes one event; `chance`, in `0.0..1.0`, chooses within the jitter.
    pub(crate) fn on(
        &mut self,
        event: MachineEvent,
        now: Instant,
        settings: Settings<'_>,
        chance: f64,
    ) -> Vec<MachineAction> {
        let actions = self.take(event, now, settings, chance);
        // It is for what was being ended then, and for no process that is started after it.
        self.grace_ended &= self.is_ending();
        actions
    }

    fn take(&mut self, event: MachineEvent, now: Instant, settings: Settings<'_>, chance: f64) -> Vec<MachineAction> {
        match event {
            MachineEvent::Start => self.start(now, settings),
            MachineEvent::Adopt { start_if_gone } => self.adopt(start_if_gone),
            MachineEvent::Replace => self.replace(now, settings),
            MachineEvent::Restart => self.restart(now, settings),
            MachineEvent::Retry => self.retry(now, settings),
            MachineEvent::ResetCrashes => self.reset_crashes(),
            MachineEvent::Stop => self.stop(now, settings),
            MachineEvent::EndGrace => self.end_grace(now),
            MachineEvent::Spawned => self.spawned(now, settings),
            MachineEvent::SpawnFailed { hopeless } => self.spawn_failed(hopeless, now, settings, chance),
            MachineEvent::Adopted { age } => self.adopted(age, now, settings),
            MachineEvent::AdoptionRefused { gone, ended } => self.adoption_refused(gone, ended, now, settings, chance),
            MachineEvent::Ready => self.ready(),
            MachineEvent::NotReady { known } => self.not_ready(known, now, settings, chance),
            MachineEvent::MoreTime { by } => self.more_time(by, now),
            MachineEvent::WatchdogExpired => self.watchdog_expired(now, settings, chance),
            MachineEvent::Exited { group_left, quietly, end } => {
                self.exited(end, group_left, quietly, now, settings, chance)
            }
            MachineEvent::StopCommandFailed { step } => self.stop_command_failed(step, now, settings),
            MachineEvent::Unreaped => {
                self.reap_until = Some(now + defaults::REAP_WAIT);
                vec![]
            }
            MachineEvent::Zombies { left, useless } => self.zombies(left, useless, now, settings),
            MachineEvent::Group { left } => self.group(left, now),
            MachineEvent::Scanned { left, held } => self.scanned(left, held, now, settings),
            MachineEvent::Held { left } => self.held(left, now, settings),
            MachineEvent::Settings => self.settings_changed(now, settings),
            MachineEvent::Turn => self.turn(),
            MachineEvent::Timer => self.timer(now, settings),
        }
    }

    /// What happens after the leader and all processes that it left are gone.
    fn proceed(&mut self, cause: Cause, now: Instant, settings: Settings<'_>) -> Vec<MachineAction> {
        match cause {
            Cause::Ended { next } | Cause::NotReady { next } | Cause::Hung { next } if self.wanted == Wanted::Up => {
                match next {
                    Next::Start(Duration::ZERO) => self.spawn(now, settings),
                    Next::Start(wait) => self.wait(wait, now),
                    Next::Rest { rest, by_exit } => self.rest(rest, by_exit),
                }
            }
            Cause::Unseen { start_if_gone, ended } if self.wanted == Wanted::Up => {
                // Also of one that is only restored: what the first sync finds is a proxy that has ended.
                match ended.and_then(|end| settings.restart.policy.rest_after(end)) {
                    Some(rest) => self.rest(rest, false),
                    None if start_if_gone => self.spawn(now, settings),
                    None => {
                        self.phase = MachinePhase::Idle;
                        vec![MachineAction::CleanUp]
                    }
                }
            }
            _ => self.gone(now, settings),
        }
    }

    fn timer(&mut self, now: Instant, settings: Settings<'_>) -> Vec<MachineAction> {
        match &mut self.phase {
            MachinePhase::Waiting { until, then } if now >= *until => match *then {
                Retry::Spawn => self.spawn(now, settings),
                Retry::Adopt { start_if_gone, outdated } => self.adopt_now(start_if_gone, outdated),
            },
            MachinePhase::Stopping { escalation, .. } => {
                escalation.advance(now, settings.stop, StopTarget::Leader).into_iter().collect()
            }
            MachinePhase::Scanning { escalation, .. } => {
                escalation.advance(now, settings.stop, StopTarget::Leftovers).into_iter().collect()
            }
            MachinePhase::Clearing { escalation, probe_at, .. } => {
                let probe = (now >= *probe_at).then_some(MachineAction::ProbeGroup);
                escalation.advance(now, settings.stop, StopTarget::Leftovers).into_iter().chain(probe).collect()
            }
            MachinePhase::AwaitingReap { probe_at, .. } if now >= *probe_at => vec![MachineAction::ProbeZombies],
            MachinePhase::Held { until, probe_at, .. } if now >= *until || now >= *probe_at => {
                vec![MachineAction::ProbeHeld]
            }
            // ORDER: also if it is too late: this thread may have been suspended since the process became ready.
            MachinePhase::AwaitingReady { until, probe_at, .. }
                if until.iter().chain(probe_at.iter()).any(|due| now >= *due) =>
            {
                vec![MachineAction::ProbeReady]
            }
            // A timer of an earlier phase.
            _ => vec![],
        }
    }

    fn spawn(&mut self, now: Instant, settings: Settings<'_>) -> Vec<MachineAction> {
        if self.reap_until.is_some() {
            self.phase = MachinePhase::AwaitingReap { probes: 0, probe_at: now };
            return vec![MachineAction::ProbeZombies];
        }
        if settings.needs_turn {
            self.phase = MachinePhase::AwaitingTurn;
            return vec![MachineAction::AskTurn];
        }
        self.phase = MachinePhase::Starting { outdated: false };
        vec![MachineAction::Spawn]
    }

    fn turn(&mut self) -> Vec<MachineAction> {
        if self.phase != MachinePhase::AwaitingTurn {
            return vec![];
        }
        self.phase = MachinePhase::Starting { outdated: false };
        vec![MachineAction::Spawn]
    }

    /// The leader is gone, and its group is empty.
    fn scan_after_stop(&mut self, escalation: Escalation, cause: Cause) -> Vec<MachineAction> {
        self.phase = MachinePhase::Scanning { escalation, cause, probes: 0, unsignalled: None };
        vec![MachineAction::RemovePidFile, MachineAction::Scan]
    }

    /// Like [`Machine::scan_after_stop`], but it was not asked to end.
    fn scan_after_exit(&mut self, cause: Cause, now: Instant, settings: Settings<'_>) -> Vec<MachineAction> {
        let (escalation, unsignalled) = (self.escalation(cause, now, settings), Some(cause));
        self.phase = MachinePhase::Scanning { escalation, cause, probes: 0, unsignalled };
        vec![MachineAction::RemovePidFile, MachineAction::Scan]
    }

    fn wait(&mut self, wait: Duration, now: Instant) -> Vec<MachineAction> {
        self.phase = MachinePhase::Waiting { until: after(now, wait), then: Retry::Spawn };
        vec![MachineAction::CleanUp, MachineAction::Announce(Announcement::Waiting(wait))]
    }

    /// It is not started again.
    fn rest(&mut self, rest: Rest, by_exit: bool) -> Vec<MachineAction> {
        self.phase = MachinePhase::Resting(rest);
        let clean_up = if rest.is_recorded() { MachineAction::CleanUpButRecord } else { MachineAction::CleanUp };
        vec![clean_up, MachineAction::Announce(Announcement::Rests { rest, by_exit })]
    }

    fn begin_stop(&mut self, now: Instant, settings: Settings<'_>) -> Vec<MachineAction> {
        self.stop_because(Cause::Asked, now, settings)
    }

    fn stop_because(&mut self, cause: Cause, now: Instant, settings: Settings<'_>) -> Vec<MachineAction> {
        let escalation = match cause {
            _ if self.grace_ended => Escalation::killed(now),
            Cause::Hung { .. } => Escalation::abort(now, settings.stop),
            Cause::Asked | Cause::NotReady { .. } | Cause::Ended { .. } | Cause::Unseen { .. } => {
                Escalation::begin(now, settings.stop, StopTarget::Leader)
            }
        };
        self.phase = MachinePhase::Stopping { escalation, cause };
        vec![escalation.action(settings.stop), MachineAction::Announce(Announcement::Stopping)]
    }

    /// Nothing of the process is left, and it was not wanted, or not this one.
    fn gone(&mut self, now: Instant, settings: Settings<'_>) -> Vec<MachineAction> {
        match self.wanted {
            Wanted::Up => [MachineAction::Settle].into_iter().chain(self.spawn(now, settings)).collect(),
            Wanted::Down => {
                self.phase = MachinePhase::Stopped;
                vec![MachineAction::CleanUp, MachineAction::Announce(Announcement::Stopped), MachineAction::Settle]
            }
        }
    }
}

#[cfg(test)]
mod end_grace_tests;
#[cfg(test)]
mod policy_tests;
#[cfg(test)]
mod random_walk_tests;
#[cfg(test)]
mod readiness_tests;
#[cfg(test)]
mod restart_tests;
#[cfg(test)]
mod stop_step_tests;
#[cfg(test)]
mod stop_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod watchdog_tests;
