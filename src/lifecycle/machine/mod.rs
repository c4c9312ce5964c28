//! The lifecycle of one process: state x event -> actions. Pure: it is told the time, and starts and signals nothing.
//!
//! What is wanted (up or down) is kept apart from what is (the phase). Replacing a process is being down with up
//! wanted: the old one is stopped like any other, and the new one is started when the old is gone.

use std::time::{Duration, Instant};

use super::machine_event::{Action, Announcement, Event, ProxyState, Settings};
use super::restart_backoff::Backoff;
use super::stop_escalation::{Escalation, probe_interval};
use crate::deadline::after;
use crate::defaults;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Up,
    Down,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    /// Outdated: what will be adopted or started is not what is wanted any more.
    Adopting {
        start_if_gone: bool,
        outdated: bool,
    },
    Starting {
        outdated: bool,
    },
    Running {
        since: Instant,
    },
    Stopping {
        escalation: Escalation,
    },
    /// The leader is gone, and what it has left is being ended.
    Clearing {
        escalation: Escalation,
        cause: Cause,
        probes: u32,
        probe_at: Instant,
    },
    /// Leader and group are gone; whether processes have left the group for another session is being looked for.
    Searching {
        escalation: Escalation,
        cause: Cause,
        probes: u32,
    },
    /// All that is proven to be of it is gone, and processes live that may be: the next start waits for their end, for a
    /// while.
    Held {
        cause: Cause,
        until: Instant,
        probe_at: Instant,
    },
    Waiting {
        until: Instant,
        then: Retry,
    },
    /// A start is due, and waits for zombies of the process before to be reaped.
    AwaitingReap {
        probes: u32,
        probe_at: Instant,
    },
    Stopped,
    Failed,
}

/// Why the leader is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// It was stopped or replaced.
    Asked,
    /// By itself; its successor has to wait so long.
    Ended { wait: Duration },
    /// No agent was there to see it.
    Unseen { start_if_gone: bool },
}

impl Cause {
    /// How long what the leader has left may take to obey the stop signal: a crash is not a stop, and whatever a leader
    /// that ended by itself returned, its successor waits meanwhile.
    fn grace_period(self, settings: Settings<'_>) -> Duration {
        match self {
            Cause::Asked => settings.stop.grace_period,
            Cause::Ended { .. } | Cause::Unseen { .. } => settings.stop.leftover_grace,
        }
    }

    fn escalation(self, now: Instant, settings: Settings<'_>) -> Escalation {
        match self {
            Cause::Asked => Escalation::begin(after(now, settings.stop.grace_period)),
            Cause::Ended { .. } | Cause::Unseen { .. } => Escalation::of_leftovers(now, settings.stop.leftover_grace),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Retry {
    Spawn,
    Adopt { start_if_gone: bool, outdated: bool },
}

/// One process from declaration to end.
#[derive(Debug)]
pub(crate) struct Machine {
    phase: Phase,
    wanted: Wanted,
    backoff: Backoff,
    /// There are zombies of the last process, which a start waits for until then.
    reap_until: Option<Instant>,
}

impl Machine {
    pub(crate) fn new() -> Machine {
        Machine { phase: Phase::Idle, wanted: Wanted::Down, backoff: Backoff::default(), reap_until: None }
    }

    pub(crate) fn state(&self) -> ProxyState {
        match self.phase {
            Phase::Idle => ProxyState::Idle,
            Phase::Adopting { .. } => ProxyState::Adopting,
            Phase::Starting { .. } => ProxyState::Starting,
            Phase::Running { .. } => ProxyState::Running,
            Phase::Stopping { .. } => ProxyState::Stopping,
            // To whoever asked for the stop it makes no difference that the leader went first.
            Phase::Clearing { cause: Cause::Asked, .. } | Phase::Searching { cause: Cause::Asked, .. } => {
                ProxyState::Stopping
            }
            Phase::Clearing { .. } | Phase::Searching { .. } | Phase::Held { .. } | Phase::AwaitingReap { .. } => {
                ProxyState::Clearing
            }
            Phase::Waiting { .. } => ProxyState::Waiting,
            Phase::Stopped => ProxyState::Stopped,
            Phase::Failed => ProxyState::Failed,
        }
    }

    /// Whether the process was told to stop, and its end is awaited.
    pub(crate) fn awaits_end(&self) -> bool {
        matches!(self.phase, Phase::Stopping { .. })
    }

    /// Whether the process is gone, and the answer to [`Action::Search`] is awaited.
    pub(crate) fn is_searching(&self) -> bool {
        matches!(self.phase, Phase::Searching { .. })
    }

    /// Whether a start is due, and waits for zombies to be reaped.
    pub(crate) fn awaits_reap(&self) -> bool {
        matches!(self.phase, Phase::AwaitingReap { .. })
    }

    /// When [`Event::Timer`] is due, if ever.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Waiting { until, .. } => Some(until),
            Phase::AwaitingReap { probe_at, .. } => Some(probe_at),
            Phase::Held { until, probe_at, .. } => Some(until.min(probe_at)),
            Phase::Stopping { escalation } | Phase::Searching { escalation, .. } => escalation.deadline(),
            Phase::Clearing { escalation, probe_at, .. } => {
                Some(escalation.deadline().map_or(probe_at, |deadline| deadline.min(probe_at)))
            }
            Phase::Idle
            | Phase::Adopting { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Stopped
            | Phase::Failed => None,
        }
    }

    /// When the next start is due, while waiting for it.
    pub(crate) fn next_start(&self) -> Option<Instant> {
        match self.phase {
            Phase::Waiting { until, .. } | Phase::Held { until, .. } => Some(until),
            _ => None,
        }
    }

    /// Since when the process runs, while it does.
    pub(crate) fn running_since(&self) -> Option<Instant> {
        match self.phase {
            Phase::Running { since } => Some(since),
            _ => None,
        }
    }

    /// Takes one event; `chance`, in `0.0..1.0`, decides within the jitter.
    pub(crate) fn on(&mut self, event: Event, now: Instant, settings: Settings<'_>, chance: f64) -> Vec<Action> {
        match event {
            Event::Start => self.start(now),
            Event::Adopt { start_if_gone } => self.adopt(start_if_gone),
            Event::Replace => self.replace(now, settings),
            Event::Stop => self.stop(now, settings),
            Event::Spawned => self.spawned(now, settings),
            Event::SpawnFailed { hopeless } => self.spawn_failed(hopeless, now, settings, chance),
            Event::Adopted => self.adopted(now, settings),
            Event::AdoptionRefused { gone } => self.adoption_refused(gone, now, settings, chance),
            Event::Exited { group_left, quietly } => self.exited(group_left, quietly, now, settings, chance),
            Event::Unreaped => {
                self.reap_until = Some(now + defaults::REAP_WAIT);
                vec![]
            }
            Event::Zombies { left, useless } => self.zombies(left, useless, now),
            Event::Group { left } => self.group(left, now),
            Event::Searched { left, held } => self.searched(left, held, now),
            Event::Held { left } => self.held(left, now),
            Event::Settings => self.settings_changed(now, settings),
            Event::Timer => self.timer(now),
        }
    }

    fn start(&mut self, now: Instant) -> Vec<Action> {
        self.wanted = Wanted::Up;
        match &mut self.phase {
            Phase::Idle | Phase::Stopped | Phase::Failed => self.spawn(now),
            Phase::Adopting { start_if_gone, .. } | Phase::Waiting { then: Retry::Adopt { start_if_gone, .. }, .. } => {
                *start_if_gone = true;
                vec![]
            }
            Phase::Clearing { cause: Cause::Unseen { start_if_gone }, .. }
            | Phase::Searching { cause: Cause::Unseen { start_if_gone }, .. }
            | Phase::Held { cause: Cause::Unseen { start_if_gone }, .. } => {
                *start_if_gone = true;
                vec![]
            }
            Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. }
            | Phase::Clearing { .. }
            | Phase::Searching { .. }
            | Phase::AwaitingReap { .. }
            | Phase::Held { .. }
            | Phase::Waiting { then: Retry::Spawn, .. } => vec![],
        }
    }

    fn adopt(&mut self, start_if_gone: bool) -> Vec<Action> {
        match self.phase {
            Phase::Idle | Phase::Stopped | Phase::Failed => {
                self.wanted = Wanted::Up;
                self.phase = Phase::Adopting { start_if_gone, outdated: false };
                vec![Action::Adopt]
            }
            // Whoever has a process, or is about to, has nothing to adopt.
            Phase::Adopting { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. }
            | Phase::Clearing { .. }
            | Phase::Searching { .. }
            | Phase::AwaitingReap { .. }
            | Phase::Held { .. }
            | Phase::Waiting { .. } => vec![],
        }
    }

    fn replace(&mut self, now: Instant, settings: Settings<'_>) -> Vec<Action> {
        self.wanted = Wanted::Up;
        self.backoff.reset();
        match &mut self.phase {
            Phase::Idle | Phase::Stopped | Phase::Failed | Phase::Waiting { then: Retry::Spawn, .. } => self.spawn(now),
            Phase::Adopting { start_if_gone, outdated } => {
                (*start_if_gone, *outdated) = (true, true);
                vec![]
            }
            Phase::Waiting { then: Retry::Adopt { .. }, .. } => {
                self.phase = Phase::Adopting { start_if_gone: true, outdated: true };
                vec![Action::Adopt]
            }
            Phase::Starting { outdated } => {
                *outdated = true;
                vec![]
            }
            Phase::Running { .. } => self.begin_stop(now, settings),
            Phase::Stopping { .. } | Phase::AwaitingReap { .. } => vec![],
            Phase::Clearing { escalation, cause, .. } | Phase::Searching { escalation, cause, .. } => {
                *cause = Cause::Asked;
                escalation.kill_by(after(now, settings.stop.grace_period));
                vec![]
            }
            Phase::Held { cause, .. } => {
                *cause = Cause::Asked;
                vec![]
            }
        }
    }

    fn stop(&mut self, now: Instant, settings: Settings<'_>) -> Vec<Action> {
        self.wanted = Wanted::Down;
        match &mut self.phase {
            Phase::Idle | Phase::Failed => self.gone(now),
            Phase::Stopped => vec![Action::Settle],
            // The process is gone: a stop waits neither for the reaping of zombies nor for what holds the next start.
            Phase::Waiting { then: Retry::Spawn, .. } | Phase::AwaitingReap { .. } | Phase::Held { .. } => {
                self.gone(now)
            }
            &mut Phase::Waiting { then: Retry::Adopt { start_if_gone, outdated }, .. } => {
                self.phase = Phase::Adopting { start_if_gone, outdated };
                vec![Action::Adopt]
            }
            Phase::Running { .. } => self.begin_stop(now, settings),
            // Settled when what is under way has ended.
            Phase::Adopting { .. } | Phase::Starting { .. } => vec![],
            Phase::Stopping { escalation } => escalation.tell(),
            Phase::Clearing { escalation, cause, .. } | Phase::Searching { escalation, cause, .. } => {
                *cause = Cause::Asked;
                // Of the two grace periods the one that ends first.
                escalation.kill_by(after(now, settings.stop.grace_period));
                escalation.tell()
            }
        }
    }

    fn spawned(&mut self, now: Instant, settings: Settings<'_>) -> Vec<Action> {
        let Phase::Starting { outdated } = self.phase else { return vec![] };
        self.backoff.started();
        self.phase = Phase::Running { since: now };
        if outdated || self.wanted == Wanted::Down { self.begin_stop(now, settings) } else { vec![] }
    }

    fn spawn_failed(&mut self, hopeless: bool, now: Instant, settings: Settings<'_>, chance: f64) -> Vec<Action> {
        let Phase::Starting { outdated } = self.phase else { return vec![] };
        if self.wanted == Wanted::Down {
            return self.gone(now);
        }
        if outdated {
            return self.spawn(now);
        }
        if hopeless {
            self.phase = Phase::Failed;
            return vec![Action::CleanUp, Action::Announce(Announcement::Failed)];
        }
        let wait = self.backoff.after_failed_start(settings.restart, chance);
        self.wait(wait, now)
    }

    fn adopted(&mut self, now: Instant, settings: Settings<'_>) -> Vec<Action> {
        let Phase::Adopting { outdated, .. } = self.phase else { return vec![] };
        self.backoff.started();
        self.phase = Phase::Running { since: now };
        if outdated || self.wanted == Wanted::Down { self.begin_stop(now, settings) } else { vec![] }
    }

    fn adoption_refused(&mut self, gone: bool, now: Instant, settings: Settings<'_>, chance: f64) -> Vec<Action> {
        let Phase::Adopting { start_if_gone, outdated } = self.phase else { return vec![] };
        if !gone {
            // It may live: neither a second copy nor a signal until it is known.
            let wait = self.backoff.after_failed_start(settings.restart, chance);
            self.phase = Phase::Waiting { until: after(now, wait), then: Retry::Adopt { start_if_gone, outdated } };
            let announce = Action::Announce(Announcement::Waiting(wait));
            return if self.wanted == Wanted::Down { vec![Action::Stuck, announce] } else { vec![announce] };
        }
        let cause = if self.wanted == Wanted::Down { Cause::Asked } else { Cause::Unseen { start_if_gone } };
        self.search_for_leftovers(cause.escalation(now, settings), cause)
    }

    fn exited(
        &mut self,
        group_left: bool,
        quietly: bool,
        now: Instant,
        settings: Settings<'_>,
        chance: f64,
    ) -> Vec<Action> {
        match self.phase {
            Phase::Running { since } => {
                let ran = now.saturating_duration_since(since);
                let wait = self.backoff.after_exit(settings.restart, ran, chance);
                let cause = Cause::Ended { wait };
                let escalation = cause.escalation(now, settings);
                match (group_left, wait.is_zero()) {
                    (true, _) => {}
                    // A search takes as long as there are processes. What a crash left in another session may be in the
                    // way of its successor; that crashes as well then, and the first one that has to wait has them ended.
                    (false, true) if !quietly => {
                        let waits = self.reap_until.is_some().then_some(Action::RemovePidFile);
                        return waits.into_iter().chain(self.spawn(now)).collect();
                    }
                    (false, _) => return self.search_for_leftovers(escalation, cause),
                }
                self.phase = Phase::Clearing { escalation, cause, probes: 0, probe_at: now };
                vec![escalation.signal(), Action::RemovePidFile]
            }
            Phase::Stopping { escalation } => {
                if !group_left {
                    return self.search_for_leftovers(escalation, Cause::Asked);
                }
                self.phase = Phase::Clearing { escalation, cause: Cause::Asked, probes: 0, probe_at: now };
                vec![Action::RemovePidFile]
            }
            Phase::Idle
            | Phase::Adopting { .. }
            | Phase::Starting { .. }
            | Phase::Clearing { .. }
            | Phase::Searching { .. }
            | Phase::Held { .. }
            | Phase::Waiting { .. }
            | Phase::AwaitingReap { .. }
            | Phase::Stopped
            | Phase::Failed => vec![],
        }
    }

    fn group(&mut self, left: bool, now: Instant) -> Vec<Action> {
        let Phase::Clearing { cause, probes, probe_at, escalation } = &mut self.phase else { return vec![] };
        if left {
            *probes = probes.saturating_add(1);
            *probe_at = now + escalation.probe_interval(*probes);
            return vec![];
        }
        let (escalation, cause, probes) = (*escalation, *cause, *probes);
        self.search(escalation, cause, probes)
    }

    fn searched(&mut self, left: bool, held: bool, now: Instant) -> Vec<Action> {
        let Phase::Searching { escalation, cause, probes } = self.phase else { return vec![] };
        if left {
            let probes = probes.saturating_add(1);
            let probe_at = now + escalation.probe_interval(probes);
            self.phase = Phase::Clearing { escalation, cause, probes, probe_at };
            return vec![escalation.signal()];
        }
        // Also of one that is only restored: it is started when the manager runs, which may be at once.
        if held && self.wanted == Wanted::Up {
            let (until, probe_at) = (now + defaults::HELD_START, now + defaults::HELD_START_INTERVAL);
            self.phase = Phase::Held { cause, until, probe_at };
            // A stop does not wait for the start that follows it.
            return if cause == Cause::Asked { vec![Action::Settle] } else { vec![] };
        }
        self.proceed(cause, now)
    }

    fn held(&mut self, left: bool, now: Instant) -> Vec<Action> {
        let Phase::Held { cause, until, probe_at } = &mut self.phase else { return vec![] };
        if left && now < *until {
            *probe_at = now + defaults::HELD_START_INTERVAL;
            return vec![];
        }
        let cause = *cause;
        self.proceed(cause, now)
    }

    /// What follows when the leader is gone and all that it left.
    fn proceed(&mut self, cause: Cause, now: Instant) -> Vec<Action> {
        match cause {
            Cause::Ended { wait } if self.wanted == Wanted::Up && wait.is_zero() => self.spawn(now),
            Cause::Ended { wait } if self.wanted == Wanted::Up => self.wait(wait, now),
            Cause::Unseen { start_if_gone } if self.wanted == Wanted::Up && !start_if_gone => {
                self.phase = Phase::Idle;
                vec![Action::CleanUp]
            }
            Cause::Unseen { .. } if self.wanted == Wanted::Up => self.spawn(now),
            _ => self.gone(now),
        }
    }

    fn settings_changed(&mut self, now: Instant, settings: Settings<'_>) -> Vec<Action> {
        match &mut self.phase {
            // What was refused may be allowed now.
            Phase::Failed if self.wanted == Wanted::Up => return self.spawn(now),
            Phase::Waiting { until, .. } => *until = (*until).min(after(now, settings.restart.max_wait)),
            Phase::Stopping { escalation } => escalation.kill_by(after(now, settings.stop.grace_period)),
            Phase::Clearing { escalation, cause, .. } | Phase::Searching { escalation, cause, .. } => {
                escalation.kill_by(after(now, cause.grace_period(settings)));
            }
            Phase::Held { .. }
            | Phase::Idle
            | Phase::Adopting { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::AwaitingReap { .. }
            | Phase::Stopped
            | Phase::Failed => {}
        }
        vec![]
    }

    fn timer(&mut self, now: Instant) -> Vec<Action> {
        match &mut self.phase {
            Phase::Waiting { until, then } if now >= *until => match *then {
                Retry::Spawn => self.spawn(now),
                Retry::Adopt { start_if_gone, outdated } => {
                    self.phase = Phase::Adopting { start_if_gone, outdated };
                    vec![Action::Adopt]
                }
            },
            Phase::Stopping { escalation } | Phase::Searching { escalation, .. } => {
                escalation.advance(now).into_iter().collect()
            }
            Phase::Clearing { escalation, probe_at, .. } => {
                let probe = (now >= *probe_at).then_some(Action::ProbeGroup);
                escalation.advance(now).into_iter().chain(probe).collect()
            }
            Phase::AwaitingReap { probe_at, .. } if now >= *probe_at => vec![Action::ProbeZombies],
            Phase::Held { until, probe_at, .. } if now >= *until || now >= *probe_at => vec![Action::ProbeHeld],
            // A timer of an earlier phase.
            _ => vec![],
        }
    }

    fn spawn(&mut self, now: Instant) -> Vec<Action> {
        if self.reap_until.is_some() {
            self.phase = Phase::AwaitingReap { probes: 0, probe_at: now };
            return vec![Action::ProbeZombies];
        }
        self.phase = Phase::Starting { outdated: false };
        vec![Action::Spawn]
    }

    fn zombies(&mut self, left: bool, useless: bool, now: Instant) -> Vec<Action> {
        let Phase::AwaitingReap { probes, probe_at } = &mut self.phase else { return vec![] };
        if let Some(until) = self.reap_until.filter(|until| left && !useless && now < *until) {
            *probes = probes.saturating_add(1);
            *probe_at = until.min(now + probe_interval(*probes));
            return vec![];
        }
        self.reap_until = None;
        left.then_some(Action::TellZombies).into_iter().chain(self.spawn(now)).collect()
    }

    /// The leader is gone, and of its group nothing is left.
    fn search_for_leftovers(&mut self, escalation: Escalation, cause: Cause) -> Vec<Action> {
        [Action::RemovePidFile].into_iter().chain(self.search(escalation, cause, 0)).collect()
    }

    fn search(&mut self, escalation: Escalation, cause: Cause, probes: u32) -> Vec<Action> {
        self.phase = Phase::Searching { escalation, cause, probes };
        vec![Action::Search]
    }

    fn wait(&mut self, wait: Duration, now: Instant) -> Vec<Action> {
        self.phase = Phase::Waiting { until: after(now, wait), then: Retry::Spawn };
        vec![Action::CleanUp, Action::Announce(Announcement::Waiting(wait))]
    }

    fn begin_stop(&mut self, now: Instant, settings: Settings<'_>) -> Vec<Action> {
        let escalation = Escalation::begin(after(now, settings.stop.grace_period));
        self.phase = Phase::Stopping { escalation };
        vec![Action::SignalStop, Action::Announce(Announcement::Stopping)]
    }

    /// Nothing of the process is left, and it was not wanted, or not this one.
    fn gone(&mut self, now: Instant) -> Vec<Action> {
        match self.wanted {
            Wanted::Up => [Action::Settle].into_iter().chain(self.spawn(now)).collect(),
            Wanted::Down => {
                self.phase = Phase::Stopped;
                vec![Action::CleanUp, Action::Announce(Announcement::Stopped), Action::Settle]
            }
        }
    }
}

#[cfg(test)]
mod tests;
