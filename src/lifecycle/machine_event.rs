// SPDX-License-Identifier: MPL-2.0
//! The events of a machine, the actions that it returns, and its state.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::readiness::Readiness;
use super::restart_policy::{End, Rest};
use super::{RestartSettings, StopSettings};

/// The state of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ProxyState {
    /// Never started; or restored after its process was gone, and started when the manager runs if it is still
    /// declared.
    Idle,
    /// A process of an earlier agent is being identified.
    Adopting,
    /// The process is being started, or runs and is not ready yet.
    Starting,
    /// The process runs and is ready.
    Running,
    /// The process ended. Before it is started again, processes that it left are searched for and ended or waited for,
    /// and its zombie must be reaped by its parent.
    Clearing,
    /// Waiting for the next start: until it is due, or until it is its turn.
    Waiting,
    /// The process was told to end.
    Stopping,
    /// The process was stopped on request and is gone.
    Stopped,
    /// The proxy cannot or may not be started as declared; or it failed, and its [`RestartSettings`] do not start it
    /// again.
    Failed,
    /// The proxy was closed: it is not supervised any more, and its process may still run.
    Closed,
    /// The process ended as expected, and its [`RestartWhen`](crate::RestartWhen) does not restart it.
    Completed,
    /// The proxy is declared but does not run: its declaration says so
    /// ([`ProxyConfig::enabled`](crate::ProxyConfig::enabled)), or [`Manager::pause`](crate::Manager::pause) was
    /// called.
    Paused,
}

impl ProxyState {
    /// The state's name: its identifier in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            ProxyState::Idle => "idle",
            ProxyState::Adopting => "adopting",
            ProxyState::Starting => "starting",
            ProxyState::Running => "running",
            ProxyState::Clearing => "clearing",
            ProxyState::Waiting => "waiting",
            ProxyState::Stopping => "stopping",
            ProxyState::Stopped => "stopped",
            ProxyState::Failed => "failed",
            ProxyState::Closed => "closed",
            ProxyState::Completed => "completed",
            ProxyState::Paused => "paused",
        }
    }
}

impl fmt::Display for ProxyState {
    /// The name, as [`ProxyState::as_str`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An event of the process, or a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MachineEvent {
    /// It should run; it may already be running.
    Start,
    /// A process of an earlier agent may be there: adopt it. If it is gone, start again or stay idle.
    Adopt {
        start_if_gone: bool,
    },
    /// It should run from a new declaration.
    Replace,
    /// It should run again from the same declaration.
    Restart,
    /// A start that it waits for, or has failed, is tried now.
    Retry,
    /// Its failures are forgotten.
    ResetCrashes,
    /// It should be gone.
    Stop,
    /// Processes that are being ended, or will be as soon as they are started, have no grace period any more.
    EndGrace,
    Spawned,
    /// The program was never executed. Hopeless: no later start can succeed.
    SpawnFailed {
        hopeless: bool,
    },
    /// `age`: how long ago it was started, if that is known.
    Adopted {
        age: Option<Duration>,
    },
    /// Not adopted: it is certainly gone, or (not `gone`) that cannot be determined now.
    ///
    /// `ended`: it belonged to the present declaration, ran after the machine was started, and ended like this.
    AdoptionRefused {
        gone: bool,
        ended: Option<End>,
    },
    /// The process is ready.
    Ready,
    /// The answer to [`MachineAction::ProbeReady`]: it is not ready yet; or (not `known`) that cannot be determined
    /// now.
    NotReady {
        known: bool,
    },
    /// The process requests more time to become ready, or to obey the signal of a stop: this much from now on.
    MoreTime {
        by: Duration,
    },
    /// The process did not feed its watchdog, or sent `WATCHDOG=trigger`.
    WatchdogExpired,
    /// The leader ended; members of its group may be left.
    ///
    /// Quietly: it exited with code 0, like a program that has put itself into the background; or it is unknown how it
    /// ended; or members of its group may be left where it cannot be signalled. A scan then precedes any start.
    Exited {
        group_left: bool,
        quietly: bool,
        end: End,
    },
    /// Processes of it ended and are zombies that their parents must reap: the next start waits for that.
    Unreaped,
    /// The answer to [`MachineAction::ProbeZombies`]: whether any is left, and whether waiting for it is useless.
    Zombies {
        left: bool,
        useless: bool,
    },
    /// The answer to [`MachineAction::ProbeGroup`].
    Group {
        left: bool,
    },
    /// The answer to [`MachineAction::Scan`]: whether any process was found, or that this cannot be determined now.
    ///
    /// Held: none was found, but members of the old session are alive that are not proven to belong to the proxy.
    Scanned {
        left: bool,
        held: bool,
    },
    /// The answer to [`MachineAction::ProbeHeld`].
    Held {
        left: bool,
    },
    /// The command of this step of a stop could not be run, or did not exit with code 0.
    StopCommandFailed {
        step: usize,
    },
    /// The answer to [`MachineAction::AskTurn`], which may come much later.
    Turn,
    /// The settings changed: present waits and grace periods are shortened to what they allow.
    Settings,
    /// The time of `Machine::deadline` has come.
    Timer,
}

/// What the supervisor must do, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MachineAction {
    Spawn,
    /// Wait for the turn of a start, and answer with [`MachineEvent::Turn`].
    AskTurn,
    Adopt,
    /// Find out whether the process is ready, and answer with [`MachineEvent::Ready`] or [`MachineEvent::NotReady`].
    ProbeReady,
    /// Send the signal of this step of a stop: to the leader alone or to the whole group, as the step says.
    SignalStop {
        step: usize,
    },
    /// Run the command of this step of a stop, and answer with [`MachineEvent::StopCommandFailed`] if it fails.
    RunStop {
        step: usize,
    },
    /// Send SIGABRT to the leader alone.
    Abort,
    /// Send SIGKILL to the whole group.
    Kill,
    /// Find out whether the group has members, and answer with [`MachineEvent::Group`].
    ProbeGroup,
    /// Scan for processes that have left the group for another session, and answer with [`MachineEvent::Scanned`]. From then
    /// on they are signalled and probed with the group.
    Scan,
    /// The leader is gone, and no other one follows at once: remove its pid file. Its record stays as the proof for
    /// processes that it has left.
    RemovePidFile,
    /// Find out whether zombies of it are left, and answer with [`MachineEvent::Zombies`].
    ProbeZombies,
    /// Report that the following start does not wait for these zombies, or no longer.
    TellZombies,
    /// Find out whether any process that holds the start is alive, and answer with [`MachineEvent::Held`].
    ProbeHeld,
    /// No process is left: remove its pid file and record.
    CleanUp,
    /// The leader is gone, and none will follow: write into its record how it ended.
    RecordEnd(Rest),
    /// No process is left, and none will follow: remove its pid file.
    CleanUpButRecord,
    /// Report to the callers of a stop that the process is gone.
    Settle,
    /// Report to the callers of a stop that the process survived SIGKILL.
    Stuck,
    /// The state changed in a way that readers of events need to know.
    Announce(Announcement),
}

/// A change that is announced; starts and exits are announced where they are detected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Announcement {
    Waiting(Duration),
    Ready,
    /// It was not ready in time, and is stopped.
    NotReady,
    Stopping,
    Stopped,
    Failed,
    /// It is not started again. `by_exit`: because its process ended by itself, which no other error reports.
    Rests {
        rest: Rest,
        by_exit: bool,
    },
}

/// The present settings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings<'a> {
    pub(crate) restart: &'a RestartSettings,
    pub(crate) stop: &'a StopSettings,
    pub(crate) readiness: Readiness,
    /// Whether a start has to wait for its turn.
    pub(crate) needs_turn: bool,
}
