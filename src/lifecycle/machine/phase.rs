// SPDX-License-Identifier: MPL-2.0
//! What a machine is doing, why its leader is gone, and what it tries again.

use std::time::{Duration, Instant};

use crate::deadline::after;
use crate::lifecycle::machine_event::Settings;
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
}

/// Why the leader is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// It was stopped or replaced.
    Asked,
    /// By itself; its successor has to wait so long.
    Ended { wait: Duration },
    /// It was stopped, because it was not ready in time; its successor has to wait so long.
    NotReady { wait: Duration },
    /// It has not fed its watchdog, and gets SIGABRT; its successor has to wait so long. Once it is gone, that is a crash.
    Hung { wait: Duration },
    /// No agent was there to see it.
    Unseen { start_if_gone: bool },
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
