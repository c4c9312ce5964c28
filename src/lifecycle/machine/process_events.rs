// SPDX-License-Identifier: MPL-2.0
//! What a machine does after an event of its process: it was started or adopted, or not; it ended; and what was found
//! of its group, of processes that left the group, and of zombies.

use std::time::{Duration, Instant};

use super::Machine;
use super::phase::{Cause, MachinePhase, Next, Retry, Wanted};
use crate::deadline::after;
use crate::defaults;
use crate::lifecycle::machine_event::{Announcement, MachineAction, Settings};
use crate::lifecycle::restart_policy::End;
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
        // However it is restarted: the program has not run yet.
        if let Some(gave_up) = self.failures.add(now, settings.restart.give_up_after) {
            return self.rest(gave_up, false);
        }
        let wait = self.backoff.after_failed_start(settings.restart, chance);
        self.wait(wait, now)
    }

    /// What follows the end of a process that was not asked to end, after so long.
    pub(super) fn next_after(
        &mut self,
        end: End,
        ran: Duration,
        now: Instant,
        settings: Settings<'_>,
        chance: f64,
    ) -> Next {
        let by_policy = settings.restart.policy.rest_after(end);
        let rest = by_policy.or_else(|| match end {
            End::Expected => None,
            End::Unexpected | End::Unknown => self.failures.add(now, settings.restart.give_up_after),
        });
        match rest {
            Some(rest) => Next::Rest { rest, by_exit: false },
            None => Next::Start(self.backoff.after_exit(settings.restart, ran, chance)),
        }
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
        ended: Option<End>,
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
        // One that was restored may be of another declaration than the one that is wanted by now.
        let ended = ended.filter(|_| !outdated);
        let unseen = Cause::Unseen { start_if_gone, ended };
        let cause = if self.wanted == Wanted::Down { Cause::Asked } else { unseen };
        self.scan_after_exit(cause, now, settings)
    }

    pub(super) fn exited(
        &mut self,
        end: End,
        group_left: bool,
        quietly: bool,
        now: Instant,
        settings: Settings<'_>,
        chance: f64,
    ) -> Vec<MachineAction> {
        match self.phase {
            MachinePhase::Running { since } => {
                let next = self.next_after(end, now.saturating_duration_since(since), now, settings, chance);
                self.crashed(next.by_exit(), group_left, quietly, now, settings)
            }
            // A process that was to become ready, and has not, has failed however it ended.
            MachinePhase::AwaitingReady { .. } => {
                let next = self.next_after(End::Unexpected, Duration::ZERO, now, settings, chance);
                self.crashed(next.by_exit(), group_left, quietly, now, settings)
            }
            MachinePhase::Stopping { cause: Cause::Hung { next }, .. } => {
                self.crashed(next, group_left, quietly, now, settings)
            }
            MachinePhase::Stopping { escalation, cause } => {
                let record = match cause {
                    Cause::NotReady { next } => next.record(),
                    Cause::Asked | Cause::Ended { .. } | Cause::Hung { .. } | Cause::Unseen { .. } => None,
                };
                let follows = if group_left {
                    self.phase = MachinePhase::Clearing { escalation, cause, probes: 0, probe_at: now };
                    vec![MachineAction::RemovePidFile]
                } else {
                    self.scan_after_stop(escalation, cause)
                };
                record.into_iter().chain(follows).collect()
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
            | MachinePhase::Failed
            | MachinePhase::Resting(_) => vec![],
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
        next: Next,
        group_left: bool,
        quietly: bool,
        now: Instant,
        settings: Settings<'_>,
    ) -> Vec<MachineAction> {
        let cause = Cause::Ended { next };
        // ORDER: before anything of what it has left is ended, which may take long: should the agent end meanwhile, the next
        // one would not know how the process ended, and may run it again.
        let record = next.record();
        let escalation = match self.phase {
            // SIGKILL went to the whole group, and nothing comes after that.
            MachinePhase::Stopping { escalation, .. } if escalation.has_killed() => escalation,
            _ => self.escalation(cause, now, settings),
        };
        match (group_left, next == Next::AT_ONCE) {
            (true, _) => {}
            // A scan takes time in proportion to the number of processes. What a crash left in another session
            // may be in the way of its successor; that crashes as well then, and the first one that has to wait
            // has them ended.
            (false, true) if !quietly => {
                let waits = self.reap_until.is_some().then_some(MachineAction::RemovePidFile);
                return waits.into_iter().chain(self.spawn(now, settings)).collect();
            }
            (false, _) => return record.into_iter().chain(self.scan_after_exit(cause, now, settings)).collect(),
        }
        self.phase = MachinePhase::Clearing { escalation, cause, probes: 0, probe_at: now };
        let signal = escalation.signal(settings.stop);
        record.into_iter().chain(signal).chain([MachineAction::RemovePidFile]).collect()
    }

    /// It is ended so that it leaves a core, and not asked to stop: it does not react.
    pub(super) fn watchdog_expired(&mut self, now: Instant, settings: Settings<'_>, chance: f64) -> Vec<MachineAction> {
        let ran = match self.phase {
            MachinePhase::Running { since } => now.saturating_duration_since(since),
            // No healthy run, however long it was.
            MachinePhase::AwaitingReady { .. } => Duration::ZERO,
            _ => return vec![],
        };
        let next = self.next_after(End::Unexpected, ran, now, settings, chance);
        self.stop_because(Cause::Hung { next }, now, settings)
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
                let mut escalation = self.escalation(begun, now, settings);
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
