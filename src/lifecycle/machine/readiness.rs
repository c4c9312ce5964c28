// SPDX-License-Identifier: MPL-2.0
//! From the start of a process to its readiness, or to a stop because it was not ready in time.

use std::time::{Duration, Instant};

use super::Machine;
use super::phase::{Cause, MachinePhase};
use crate::deadline::after;
use crate::lifecycle::machine_event::{Announcement, MachineAction, Settings};
use crate::lifecycle::readiness::{Readiness, probe_interval};
use crate::lifecycle::restart_policy::End;

impl Machine {
    /// The process was started just now.
    pub(super) fn run_started(&mut self, now: Instant, settings: Settings<'_>) -> Vec<MachineAction> {
        match settings.readiness {
            Readiness::Started => self.run(now),
            Readiness::Probed { within, first } => self.probe_until(Some(after(now, within)), first, now),
            Readiness::Reported { within } => {
                let until = Some(after(now, within));
                self.phase = MachinePhase::AwaitingReady { since: now, until, probes: 0, probe_at: None };
                vec![]
            }
        }
    }

    /// The process was started by an earlier agent, so long ago. What is left of its time it has; one whose time is over may
    /// have been ready for days, and is not stopped because it does not answer at this moment. What it reported, or will
    /// report, is for the agent that started it.
    pub(super) fn run_adopted(
        &mut self,
        age: Option<Duration>,
        now: Instant,
        settings: Settings<'_>,
    ) -> Vec<MachineAction> {
        match settings.readiness {
            Readiness::Started | Readiness::Reported { .. } => self.run(now),
            Readiness::Probed { within, first } => {
                let left = age.and_then(|age| within.checked_sub(age)).filter(|left| !left.is_zero());
                let first = age.map_or(Duration::ZERO, |age| first.saturating_sub(age));
                self.probe_until(left.map(|left| after(now, left)), first, now)
            }
        }
    }

    fn run(&mut self, now: Instant) -> Vec<MachineAction> {
        self.phase = MachinePhase::Running { since: now };
        vec![]
    }

    fn probe_until(&mut self, until: Option<Instant>, first: Duration, now: Instant) -> Vec<MachineAction> {
        let probe_at = Some(after(now, first));
        self.phase = MachinePhase::AwaitingReady { since: now, until, probes: 0, probe_at };
        first.is_zero().then_some(MachineAction::ProbeReady).into_iter().collect()
    }

    pub(super) fn ready(&mut self) -> Vec<MachineAction> {
        let MachinePhase::AwaitingReady { since, .. } = self.phase else { return vec![] };
        self.phase = MachinePhase::Running { since };
        vec![MachineAction::Announce(Announcement::Ready)]
    }

    pub(super) fn not_ready(
        &mut self,
        known: bool,
        now: Instant,
        settings: Settings<'_>,
        chance: f64,
    ) -> Vec<MachineAction> {
        let MachinePhase::AwaitingReady { until, probes, probe_at, .. } = &mut self.phase else { return vec![] };
        let is_late = until.is_some_and(|until| now >= until);
        if is_late && known {
            // However long it ran, that was no healthy run.
            let next = self.next_after(End::Unexpected, Duration::ZERO, now, settings, chance);
            let stop = self.stop_because(Cause::NotReady { next }, now, settings);
            return [MachineAction::Announce(Announcement::NotReady)].into_iter().chain(stop).collect();
        }
        *probes = probes.saturating_add(1);
        let next = now + probe_interval(*probes);
        // What is wrong with the agent is no reason to stop a process, which may be ready: it is asked again.
        *until = until.map(|until| if is_late { next } else { until });
        *probe_at = probe_at.map(|_| next);
        vec![]
    }

    /// It has at least so long from now on, to become ready or to obey the signal of a stop.
    pub(super) fn more_time(&mut self, by: Duration, now: Instant) -> Vec<MachineAction> {
        match &mut self.phase {
            MachinePhase::AwaitingReady { until, .. } => *until = until.map(|until| until.max(after(now, by))),
            MachinePhase::Stopping { escalation, .. } => escalation.extend(after(now, by)),
            MachinePhase::Idle
            | MachinePhase::Adopting { .. }
            | MachinePhase::Starting { .. }
            | MachinePhase::Running { .. }
            | MachinePhase::Clearing { .. }
            | MachinePhase::Scanning { .. }
            | MachinePhase::Held { .. }
            | MachinePhase::Waiting { .. }
            | MachinePhase::AwaitingReap { .. }
            | MachinePhase::AwaitingTurn
            | MachinePhase::Stopped
            | MachinePhase::Failed
            | MachinePhase::Resting(_) => {}
        }
        vec![]
    }

    /// The settings changed while it was not ready. One that reports stays one: that takes a descriptor which a process gets
    /// at its start.
    pub(super) fn readiness_changed(&mut self, now: Instant, settings: Settings<'_>) -> Vec<MachineAction> {
        let MachinePhase::AwaitingReady { until, probes, probe_at, .. } = &mut self.phase else { return vec![] };
        match settings.readiness {
            Readiness::Started => self.ready(),
            Readiness::Probed { within, .. } | Readiness::Reported { within } => {
                *until = until.map(|until| until.min(after(now, within)));
                // The address may be another one. The first probe has its time.
                let is_probed = probe_at.is_some_and(|at| at <= now || *probes > 0);
                is_probed.then_some(MachineAction::ProbeReady).into_iter().collect()
            }
        }
    }
}
