// SPDX-License-Identifier: MPL-2.0
//! What a machine does when something has happened to its process: it was started or adopted, or not; it has ended; and
//! what was found of its group, of processes that left it, and of zombies.

use std::time::{Duration, Instant};

use super::Machine;
use super::phase::{Cause, MachinePhase, Retry, Wanted};
use crate::deadline::after;
use crate::defaults;
use crate::lifecycle::machine_event::{Announcement, MachineAction, Settings};
use crate::lifecycle::stop_escalation::probe_interval;

impl Machine {
    pub(super) fn spawned(&mut self, now: Instant, settings: Settings<'_>) -> Vec<MachineAction> {
        let MachinePhase::Starting { outdated } = self.phase else { return vec![] };
        self.backoff.started();
        if outdated || self.wanted == Wanted::Down {
            return self.begin_stop(now, settings);
        }
        self.run_started(now, settings)
    }

    pub(super) fn spawn_failed(
        &mut self,
        hopeless: bool,
        now: Instant,
        settings: Settings<'_>,
        chance: f64,
    ) -> Vec<MachineAction> {
        let MachinePhase::Starting { outdated } = self.phase else { return vec![] };
        if self.wanted == Wanted::Down {
            return self.gone(now, settings);
        }
        if outdated {
            return self.spawn(now, settings);
        }
        if hopeless {
            self.phase = MachinePhase::Failed;
            return vec![MachineAction::CleanUp, MachineAction::Announce(Announcement::Failed)];
        }
        let wait = self.backoff.after_failed_start(settings.restart, chance);
        self.wait(wait, now)
    }

    pub(super) fn adopted(
        &mut self,
        age: Option<Duration>,
        now: Instant,
        settings: Settings<'_>,
    ) -> Vec<MachineAction> {
        let MachinePhase::Adopting { outdated, .. } = self.phase else { return vec![] };
        self.backoff.started();
        if outdated || self.wanted == Wanted::Down {
            return self.begin_stop(now, settings);
        }
        self.run_adopted(age, now, settings)
    }

    pub(super) fn adoption_refused(
        &mut self,
        gone: bool,
        now: Instant,
        settings: Settings<'_>,
        chance: f64,
    ) -> Vec<MachineAction> {
        let MachinePhase::Adopting { start_if_gone, outdated } = self.phase else { return vec![] };
        if !gone {
            // It may live: neither a second copy nor a signal until it is known.
            let wait = self.backoff.after_failed_start(settings.restart, chance);
            self.phase =
                MachinePhase::Waiting { until: after(now, wait), then: Retry::Adopt { start_if_gone, outdated } };
            let announce = MachineAction::Announce(Announcement::Waiting(wait));
            return if self.wanted == Wanted::Down { vec![MachineAction::Stuck, announce] } else { vec![announce] };
        }
        let cause = if self.wanted == Wanted::Down { Cause::Asked } else { Cause::Unseen { start_if_gone } };
        self.scan_after_exit(cause, now, settings)
    }

    pub(super) fn exited(
        &mut self,
        group_left: bool,
        quietly: bool,
        now: Instant,
        settings: Settings<'_>,
        chance: f64,
    ) -> Vec<MachineAction> {
        match self.phase {
            MachinePhase::Running { .. } | MachinePhase::AwaitingReady { .. } => {
                let ran = self.healthy_run(now).unwrap_or_default();
                let wait = self.backoff.after_exit(settings.restart, ran, chance);
                self.crashed(wait, group_left, quietly, now, settings)
            }
            MachinePhase::Stopping { cause: Cause::Hung { wait }, .. } => {
                self.crashed(wait, group_left, quietly, now, settings)
            }
            MachinePhase::Stopping { escalation, cause } => {
                if !group_left {
                    return self.scan_after_stop(escalation, cause);
                }
                self.phase = MachinePhase::Clearing { escalation, cause, probes: 0, probe_at: now };
                vec![MachineAction::RemovePidFile]
            }
            MachinePhase::Idle
            | MachinePhase::Adopting { .. }
            | MachinePhase::Starting { .. }
            | MachinePhase::Clearing { .. }
            | MachinePhase::Scanning { .. }
            | MachinePhase::Held { .. }
            | MachinePhase::Waiting { .. }
            | MachinePhase::AwaitingReap { .. }
            | MachinePhase::AwaitingTurn
            | MachinePhase::Stopped
            | MachinePhase::Failed => vec![],
        }
    }

    pub(super) fn stop_command_failed(
        &mut self,
        step: usize,
        now: Instant,
        settings: Settings<'_>,
    ) -> Vec<MachineAction> {
        // When the leader is gone no command is run for it any more.
        let MachinePhase::Stopping { escalation, .. } = &mut self.phase else { return vec![] };
        escalation.command_failed(step, now, settings.stop).into_iter().collect()
    }

    fn crashed(
        &mut self,
        wait: Duration,
        group_left: bool,
        quietly: bool,
        now: Instant,
        settings: Settings<'_>,
    ) -> Vec<MachineAction> {
        let cause = Cause::Ended { wait };
        let escalation = match self.phase {
            // SIGKILL went to the whole group, and nothing comes after that.
            MachinePhase::Stopping { escalation, .. } if escalation.has_killed() => escalation,
            _ => cause.escalation(now, settings),
        };
        match (group_left, wait.is_zero()) {
            (true, _) => {}
            // A scan takes time in proportion to the number of processes. What a crash left in another session
            // may be in the way of its successor; that crashes as well then, and the first one that has to wait
            // has them ended.
            (false, true) if !quietly => {
                let waits = self.reap_until.is_some().then_some(MachineAction::RemovePidFile);
                return waits.into_iter().chain(self.spawn(now, settings)).collect();
            }
            (false, _) => return self.scan_after_exit(cause, now, settings),
        }
        self.phase = MachinePhase::Clearing { escalation, cause, probes: 0, probe_at: now };
        escalation.signal(settings.stop).into_iter().chain([MachineAction::RemovePidFile]).collect()
    }

    /// It is ended so that it leaves a core, and not asked to stop: it does not react.
    pub(super) fn watchdog_expired(&mut self, now: Instant, settings: Settings<'_>, chance: f64) -> Vec<MachineAction> {
        let Some(ran) = self.healthy_run(now) else { return vec![] };
        let wait = self.backoff.after_exit(settings.restart, ran, chance);
        self.stop_because(Cause::Hung { wait }, now, settings)
    }

    /// How long the process has run that runs, in the eyes of the backoff.
    fn healthy_run(&self, now: Instant) -> Option<Duration> {
        match self.phase {
            MachinePhase::Running { since } => Some(now.saturating_duration_since(since)),
            // No healthy run, however long it was.
            MachinePhase::AwaitingReady { .. } => Some(Duration::ZERO),
            _ => None,
        }
    }

    pub(super) fn zombies(
        &mut self,
        left: bool,
        useless: bool,
        now: Instant,
        settings: Settings<'_>,
    ) -> Vec<MachineAction> {
        let MachinePhase::AwaitingReap { probes, probe_at } = &mut self.phase else { return vec![] };
        if let Some(until) = self.reap_until.filter(|until| left && !useless && now < *until) {
            *probes = probes.saturating_add(1);
            *probe_at = until.min(now + probe_interval(*probes));
            return vec![];
        }
        self.reap_until = None;
        left.then_some(MachineAction::TellZombies).into_iter().chain(self.spawn(now, settings)).collect()
    }

    pub(super) fn group(&mut self, left: bool, now: Instant) -> Vec<MachineAction> {
        let MachinePhase::Clearing { cause, probes, probe_at, escalation } = &mut self.phase else { return vec![] };
        if left {
            *probes = probes.saturating_add(1);
            *probe_at = now + escalation.probe_interval(*probes);
            return vec![];
        }
        let (escalation, cause, probes) = (*escalation, *cause, *probes);
        self.phase = MachinePhase::Scanning { escalation, cause, probes, unsignalled: None };
        vec![MachineAction::Scan]
    }

    pub(super) fn scanned(
        &mut self,
        left: bool,
        held: bool,
        now: Instant,
        settings: Settings<'_>,
    ) -> Vec<MachineAction> {
        let MachinePhase::Scanning { escalation, cause, probes, unsignalled } = self.phase else { return vec![] };
        if left {
            let anew = |begun: Cause| {
                let mut escalation = begun.escalation(now, settings);
                // A stop that came meanwhile gives no more.
                cause.limit(&mut escalation, now, settings);
                escalation
            };
            let escalation = unsignalled.map_or(escalation, anew);
            let probes = probes.saturating_add(1);
            let probe_at = now + escalation.probe_interval(probes);
            self.phase = MachinePhase::Clearing { escalation, cause, probes, probe_at };
            return escalation.signal(settings.stop).into_iter().collect();
        }
        // Also of one that is only restored: it is started when the manager runs, which may be at once.
        if held && self.wanted == Wanted::Up {
            let (until, probe_at) = (now + defaults::HELD_START, now + defaults::HELD_START_INTERVAL);
            self.phase = MachinePhase::Held { cause, until, probe_at };
            // A stop does not wait for the start that follows it.
            return if cause == Cause::Asked { vec![MachineAction::Settle] } else { vec![] };
        }
        self.proceed(cause, now, settings)
    }

    pub(super) fn held(&mut self, left: bool, now: Instant, settings: Settings<'_>) -> Vec<MachineAction> {
        let MachinePhase::Held { cause, until, probe_at } = &mut self.phase else { return vec![] };
        if left && now < *until {
            *probe_at = now + defaults::HELD_START_INTERVAL;
            return vec![];
        }
        let cause = *cause;
        self.proceed(cause, now, settings)
    }
}
