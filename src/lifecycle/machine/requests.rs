// SPDX-License-Identifier: MPL-2.0
//! What a machine does on request: start, adopt, replace or restart its process, stop it, or apply new settings.

use std::time::Instant;

use super::Machine;
use super::phase::{Cause, MachinePhase, Next, Retry, Wanted};
use crate::deadline::after;
use crate::lifecycle::machine_event::{MachineAction, Settings};
use crate::lifecycle::restart_policy::Rest;

impl Machine {
    pub(super) fn start(&mut self, now: Instant, settings: Settings<'_>) -> Vec<MachineAction> {
        self.wanted = Wanted::Up;
        match &mut self.phase {
            MachinePhase::Idle | MachinePhase::Stopped | MachinePhase::Failed => self.spawn(now, settings),
            MachinePhase::Adopting { start_if_gone, .. }
            | MachinePhase::Waiting { then: Retry::Adopt { start_if_gone, .. }, .. } => {
                *start_if_gone = true;
                vec![]
            }
            MachinePhase::Clearing { cause: Cause::Unseen { start_if_gone, .. }, .. }
            | MachinePhase::Scanning { cause: Cause::Unseen { start_if_gone, .. }, .. }
            | MachinePhase::Held { cause: Cause::Unseen { start_if_gone, .. }, .. } => {
                *start_if_gone = true;
                vec![]
            }
            // It is wanted as it was, and has ended.
            MachinePhase::Resting(_) => vec![],
            MachinePhase::Starting { .. }
            | MachinePhase::Running { .. }
            | MachinePhase::AwaitingReady { .. }
            | MachinePhase::Stopping { .. }
            | MachinePhase::Clearing { .. }
            | MachinePhase::Scanning { .. }
            | MachinePhase::AwaitingReap { .. }
            | MachinePhase::AwaitingTurn
            | MachinePhase::Held { .. }
            | MachinePhase::Waiting { then: Retry::Spawn, .. } => vec![],
        }
    }

    pub(super) fn adopt(&mut self, start_if_gone: bool) -> Vec<MachineAction> {
        match self.phase {
            MachinePhase::Idle | MachinePhase::Stopped | MachinePhase::Failed | MachinePhase::Resting(_) => {
                self.wanted = Wanted::Up;
                self.adopt_now(start_if_gone, false)
            }
            // A machine that has a process, or is about to, has nothing to adopt.
            MachinePhase::Adopting { .. }
            | MachinePhase::Starting { .. }
            | MachinePhase::Running { .. }
            | MachinePhase::AwaitingReady { .. }
            | MachinePhase::Stopping { .. }
            | MachinePhase::Clearing { .. }
            | MachinePhase::Scanning { .. }
            | MachinePhase::AwaitingReap { .. }
            | MachinePhase::AwaitingTurn
            | MachinePhase::Held { .. }
            | MachinePhase::Waiting { .. } => vec![],
        }
    }

    /// Begins to identify the process; outdated: it is not what is wanted any more.
    pub(super) fn adopt_now(&mut self, start_if_gone: bool, outdated: bool) -> Vec<MachineAction> {
        self.phase = MachinePhase::Adopting { start_if_gone, outdated };
        vec![MachineAction::Adopt]
    }

    pub(super) fn replace(&mut self, now: Instant, settings: Settings<'_>) -> Vec<MachineAction> {
        self.wanted = Wanted::Up;
        self.backoff.reset();
        self.failures.forget();
        match &mut self.phase {
            MachinePhase::Idle
            | MachinePhase::Stopped
            | MachinePhase::Failed
            | MachinePhase::Resting(_)
            | MachinePhase::Waiting { then: Retry::Spawn, .. } => self.spawn(now, settings),
            MachinePhase::Adopting { start_if_gone, outdated } => {
                (*start_if_gone, *outdated) = (true, true);
                vec![]
            }
            MachinePhase::Waiting { then: Retry::Adopt { .. }, .. } => self.adopt_now(true, true),
            MachinePhase::Starting { outdated } => {
                *outdated = true;
                vec![]
            }
            MachinePhase::Running { .. } | MachinePhase::AwaitingReady { .. } => self.begin_stop(now, settings),
            // It is ended already, and all that it leaves is killed.
            MachinePhase::Stopping { cause: Cause::Hung { next }, .. } => {
                *next = Next::AT_ONCE;
                vec![]
            }
            MachinePhase::Stopping { cause, .. } => {
                *cause = Cause::Asked;
                vec![]
            }
            MachinePhase::AwaitingReap { .. } | MachinePhase::AwaitingTurn => vec![],
            MachinePhase::Clearing { escalation, cause, .. } | MachinePhase::Scanning { escalation, cause, .. } => {
                *cause = Cause::Asked;
                escalation.limit_as_stop(now, settings.stop);
                vec![]
            }
            MachinePhase::Held { cause, .. } => {
                *cause = Cause::Asked;
                vec![]
            }
        }
    }

    /// As a replacement by a changed declaration. What is to be gone is not brought back.
    pub(super) fn restart(&mut self, now: Instant, settings: Settings<'_>) -> Vec<MachineAction> {
        match self.wanted {
            Wanted::Up => self.replace(now, settings),
            Wanted::Down => vec![],
        }
    }

    /// What holds a start for the sake of what lives goes on holding it, and what has completed has not failed.
    pub(super) fn retry(&mut self, now: Instant, settings: Settings<'_>) -> Vec<MachineAction> {
        if self.wanted == Wanted::Down {
            return vec![];
        }
        match self.phase {
            MachinePhase::Failed
            | MachinePhase::Resting(Rest::NotRestarted | Rest::GaveUp(_))
            | MachinePhase::Waiting { then: Retry::Spawn, .. } => {
                self.failures.forget();
                self.spawn(now, settings)
            }
            MachinePhase::Waiting { then: Retry::Adopt { start_if_gone, outdated }, .. } => {
                self.adopt_now(start_if_gone, outdated)
            }
            MachinePhase::Idle
            | MachinePhase::Adopting { .. }
            | MachinePhase::Starting { .. }
            | MachinePhase::Running { .. }
            | MachinePhase::AwaitingReady { .. }
            | MachinePhase::Stopping { .. }
            | MachinePhase::Clearing { .. }
            | MachinePhase::Scanning { .. }
            | MachinePhase::AwaitingReap { .. }
            | MachinePhase::AwaitingTurn
            | MachinePhase::Held { .. }
            | MachinePhase::Stopped
            | MachinePhase::Resting(Rest::Completed) => vec![],
        }
    }

    pub(super) fn reset_crashes(&mut self) -> Vec<MachineAction> {
        self.backoff.reset();
        self.failures.forget();
        vec![]
    }

    pub(super) fn stop(&mut self, now: Instant, settings: Settings<'_>) -> Vec<MachineAction> {
        self.wanted = Wanted::Down;
        match &mut self.phase {
            MachinePhase::Idle | MachinePhase::Failed | MachinePhase::Resting(_) => self.gone(now, settings),
            MachinePhase::Stopped => vec![MachineAction::Settle],
            // The process is gone: a stop waits neither for the reaping of zombies nor for what holds the next start.
            MachinePhase::Waiting { then: Retry::Spawn, .. }
            | MachinePhase::AwaitingReap { .. }
            | MachinePhase::AwaitingTurn
            | MachinePhase::Held { .. } => self.gone(now, settings),
            &mut MachinePhase::Waiting { then: Retry::Adopt { start_if_gone, outdated }, .. } => {
                self.adopt_now(start_if_gone, outdated)
            }
            MachinePhase::Running { .. } | MachinePhase::AwaitingReady { .. } => self.begin_stop(now, settings),
            // Settled when what is under way has ended.
            MachinePhase::Adopting { .. } | MachinePhase::Starting { .. } => vec![],
            // So that all of its group gets the signals of a stop.
            MachinePhase::Stopping { escalation, cause: cause @ Cause::Hung { .. } } => {
                *cause = Cause::Asked;
                let anew = escalation.stop_instead(now, settings.stop);
                anew.into_iter().chain(escalation.tell()).collect()
            }
            MachinePhase::Stopping { escalation, cause } => {
                *cause = Cause::Asked;
                escalation.tell()
            }
            MachinePhase::Clearing { escalation, cause, .. } | MachinePhase::Scanning { escalation, cause, .. } => {
                *cause = Cause::Asked;
                // Of the two grace periods the one that ends first.
                escalation.limit_as_stop(now, settings.stop);
                escalation.tell()
            }
        }
    }

    pub(super) fn settings_changed(&mut self, now: Instant, settings: Settings<'_>) -> Vec<MachineAction> {
        match &mut self.phase {
            // What was refused may be allowed now.
            MachinePhase::Failed if self.wanted == Wanted::Up => return self.spawn(now, settings),
            MachinePhase::Resting(rest) if rest.is_over(settings.restart.policy) => {
                self.failures.forget();
                return self.spawn(now, settings);
            }
            MachinePhase::Waiting { until, .. } => *until = (*until).min(after(now, settings.restart.max_wait)),
            MachinePhase::AwaitingReady { .. } => return self.readiness_changed(now, settings),
            MachinePhase::Stopping { escalation, .. } => escalation.limit_as_stop(now, settings.stop),
            MachinePhase::Clearing { escalation, cause, .. } | MachinePhase::Scanning { escalation, cause, .. } => {
                cause.limit(escalation, now, settings);
            }
            MachinePhase::Held { .. }
            | MachinePhase::Idle
            | MachinePhase::Adopting { .. }
            | MachinePhase::Starting { .. }
            | MachinePhase::Running { .. }
            | MachinePhase::AwaitingReap { .. }
            | MachinePhase::AwaitingTurn
            | MachinePhase::Stopped
            | MachinePhase::Failed
            | MachinePhase::Resting(_) => {}
        }
        vec![]
    }
}
