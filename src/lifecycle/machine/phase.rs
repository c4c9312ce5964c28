// SPDX-License-Identifier: MPL-2.0
//! What a machine is doing, why its leader is gone, and what it will try again.

use std::time::{Duration, Instant};

use crate::deadline::after;
use crate::lifecycle::machine_event::{MachineAction, Settings};
use crate::lifecycle::restart_policy::{End, Rest};
use crate::lifecycle::stop_escalation::{Escalation, StopTarget};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Up,
    Down,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MachinePhase {
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
    /// The process runs, and is not ready yet. `until`: when it is too late for that; never for one that was adopted after
    /// its time. `probe_at`: when it is probed next, unless it reports by itself.
    AwaitingReady {
        since: Instant,
        until: Option<Instant>,
        probes: u32,
        probe_at: Option<Instant>,
    },
    Stopping {
        escalation: Escalation,
        cause: Cause,
    },
    /// The leader is gone, and what it has left is being ended.
    Clearing {
        escalation: Escalation,
        cause: Cause,
        probes: u32,
        probe_at: Instant,
    },
    /// Leader and group are gone; a scan for processes that left the group for another session is under way.
    ///
    /// Unsignalled: nothing of it has had a signal yet, and what is found has its time from then on, as for this cause. A scan
    /// may take longer than a grace period, which would leave no time to obey.
    Scanning {
        escalation: Escalation,
        cause: Cause,
        probes: u32,
        unsignalled: Option<Cause>,
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
    /// A start is due, and waits for its turn among those of other proxies.
    AwaitingTurn,
    Stopped,
    Failed,
    /// Its process has ended, and it is not started again.
    Resting(Rest),
}

/// What follows an end that was not asked for, once nothing is left of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Its successor must wait this long.
    Start(Duration),
    /// It is not started again; for its process has ended by itself, or else (not `by_exit`) for an error that was told.
    Rest { rest: Rest, by_exit: bool },
}

impl Next {
    /// The successor does not wait.
    pub(super) const AT_ONCE: Next = Next::Start(Duration::ZERO);

    /// The same, decided by an exit.
    pub(super) fn by_exit(self) -> Next {
        match self {
            Next::Rest { rest, .. } => Next::Rest { rest, by_exit: true },
            Next::Start(_) => self,
        }
    }

    /// What the record has to say of the end.
    pub(super) fn record(self) -> Option<MachineAction> {
        match self {
            Next::Rest { rest, .. } if rest.is_recorded() => Some(MachineAction::RecordEnd(rest)),
            Next::Start(_) | Next::Rest { .. } => None,
        }
    }
}

/// Why the leader is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// It was stopped or replaced.
    Asked,
    /// By itself.
    Ended { next: Next },
    /// It was stopped, because it was not ready in time.
    NotReady { next: Next },
    /// It has not fed its watchdog, and gets SIGABRT. Once it is gone, that is a crash.
    Hung { next: Next },
    /// No agent was there to see it. `ended`: it was of what is declared now, and ended so.
    Unseen { start_if_gone: bool, ended: Option<End> },
}

impl Cause {
    /// How what the leader has left is ended: a crash is not a stop, and whatever a leader that ended by itself returned, its
    /// successor waits meanwhile.
    pub(super) fn escalation(self, now: Instant, settings: Settings<'_>) -> Escalation {
        match self {
            Cause::Asked | Cause::NotReady { .. } => Escalation::begin(now, settings.stop, StopTarget::Leftovers),
            Cause::Ended { .. } | Cause::Hung { .. } | Cause::Unseen { .. } => {
                Escalation::of_leftovers(now, settings.stop)
            }
        }
    }

    /// An escalation that is under way takes no longer than it may now.
    pub(super) fn limit(self, escalation: &mut Escalation, now: Instant, settings: Settings<'_>) {
        match self {
            Cause::Asked | Cause::NotReady { .. } => escalation.limit_as_stop(now, settings.stop),
            Cause::Ended { .. } | Cause::Hung { .. } | Cause::Unseen { .. } => {
                escalation.limit(after(now, settings.stop.leftover_grace));
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    Spawn,
    Adopt { start_if_gone: bool, outdated: bool },
}
