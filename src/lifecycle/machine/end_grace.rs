// SPDX-License-Identifier: MPL-2.0
//! What a machine does when a caller cuts grace periods short: processes that are being ended, or will be as soon as
//! they are started, get SIGKILL at once. Other processes are not touched.

use std::time::Instant;

use super::Machine;
use super::phase::{Cause, MachinePhase, Retry, Wanted};
use crate::lifecycle::machine_event::{MachineAction, Settings};
use crate::lifecycle::stop_escalation::Escalation;

impl Machine {
    /// Whether what is being ended has no time any more, for a caller has ended its grace.
    pub(crate) fn is_grace_ended(&self) -> bool {
        self.grace_ended
    }

    /// How what the leader has left is ended.
    pub(super) fn escalation(&self, cause: Cause, now: Instant, settings: Settings<'_>) -> Escalation {
        if self.grace_ended { Escalation::killed(now) } else { cause.escalation(now, settings) }
    }

    /// What is being ended gets SIGKILL with the next timer, and so does later what is there to be ended then.
    pub(super) fn end_grace(&mut self, now: Instant) -> Vec<MachineAction> {
        self.grace_ended = self.is_ending();
        match &mut self.phase {
            MachinePhase::Stopping { escalation, .. }
            | MachinePhase::Clearing { escalation, .. }
            | MachinePhase::Scanning { escalation, .. } => escalation.end_grace(now),
            MachinePhase::Idle
            | MachinePhase::Adopting { .. }
            | MachinePhase::Starting { .. }
            | MachinePhase::Running { .. }
            | MachinePhase::AwaitingReady { .. }
            | MachinePhase::AwaitingReap { .. }
            | MachinePhase::AwaitingTurn
            | MachinePhase::Held { .. }
            | MachinePhase::Waiting { .. }
            | MachinePhase::Stopped
            | MachinePhase::Failed
            | MachinePhase::Resting(_) => {}
        }
        vec![]
    }

    /// Whether a process, or what one has left, is being ended, or will be, should it turn out to be there; or was, for a file of
    /// it may still have to be removed.
    pub(super) fn is_ending(&self) -> bool {
        match self.phase {
            MachinePhase::Stopping { .. }
            | MachinePhase::Clearing { .. }
            | MachinePhase::Scanning { .. }
            | MachinePhase::Stopped => true,
            MachinePhase::Starting { outdated }
            | MachinePhase::Adopting { outdated, .. }
            | MachinePhase::Waiting { then: Retry::Adopt { outdated, .. }, .. } => {
                outdated || self.wanted == Wanted::Down
            }
            MachinePhase::Idle
            | MachinePhase::Running { .. }
            | MachinePhase::AwaitingReady { .. }
            | MachinePhase::AwaitingReap { .. }
            | MachinePhase::AwaitingTurn
            | MachinePhase::Held { .. }
            | MachinePhase::Waiting { then: Retry::Spawn, .. }
            | MachinePhase::Failed
            | MachinePhase::Resting(_) => false,
        }
    }
}
