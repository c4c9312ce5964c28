// SPDX-License-Identifier: MPL-2.0
//! What a machine is told, what it says has to be done, and what it is doing.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::readiness::Readiness;
use super::restart_policy::{End, Rest};
use super::{RestartSettings, StopSettings};

/// What a proxy is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ProxyState {
    /// Never started; or restored when its process was gone: it is started when the manager runs, if it is declared then.
    Idle,
    /// A process of an earlier agent is being identified.
    Adopting,
    /// The process is being started, or runs and is not ready yet, as its declaration says.
    Starting,
    /// The process runs, and is ready.
    Running,
    /// The process ended, and what it may have left is looked for, and ended or waited for, before it is started again; or
    /// its parent has yet to reap it.
    Clearing,
    /// The next start is due later: at its time, or when it is its turn.
    Waiting,
    /// The process was told to end.
    Stopping,
    /// The process is gone, as was wanted.
    Stopped,
    /// It cannot be started as it is declared, or may not be; or it has failed, and is not started again as its
    /// [`RestartSettings`] say.
    Failed,
    /// It was closed: whatever it was, it is no more supervised; a process may run on.
    Closed,
    /// The process has ended as it may, and is not started again as its [`RestartWhen`](crate::RestartWhen) says.
    Completed,
    /// It is declared and not run: by its declaration ([`ProxyConfig::enabled`](crate::ProxyConfig::enabled)), or by
    /// [`Manager::pause`](crate::Manager::pause).
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

/// What happened to the process, or is asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MachineEvent {
    /// It should run; it may run already.
    Start,
    /// A process of an earlier agent may be there: take it over. If it is gone, start anew or stay idle.
    Adopt {
        start_if_gone: bool,
    },
    /// It should run from a new declaration.
    Replace,
    /// It should run anew from the same declaration.
    Restart,
    /// What it waits for, or has failed for, is tried now.
    Retry,
    /// How often it has failed is forgotten.
    ResetCrashes,
    /// It should be gone.
    Stop,
    /// What is being ended, or is to be ended as soon as it is there, has no time any more.
    EndGrace,
    Spawned,
    /// The program never ran. Hopeless: it never will.
    SpawnFailed {
        hopeless: bool,
    },
    /// `age`: how long ago it was started, if that is known.
    Adopted {
        age: Option<Duration>,
    },
    /// Not taken over: it is certainly gone, or (not `gone`) that cannot be known now.
    ///
    /// `ended`: it was of what is declared now and ran since the machine was started, and ended so.
    AdoptionRefused {
        gone: bool,
        ended: Option<End>,
    },
    /// The process is ready.
    Ready,
    /// The answer to [`MachineAction::ProbeReady`]: it is not ready yet; or (not `known`) that cannot be known now.
    NotReady {
        known: bool,
    },
    /// The process asks for more time to become ready, or to obey the signal of a stop: so long from now on.
    MoreTime {
        by: Duration,
    },
    /// The process does not feed its watchdog, or asks to be treated so.
    WatchdogExpired,
    /// The leader has ended; others of its group may be left.
    ///
    /// Quietly: with the code 0, as a program that has put itself into the background, or it is not known how; or others
    /// of its group may be left where it cannot be signalled. Then a scan comes before any start.
    Exited {
        group_left: bool,
        quietly: bool,
        end: End,
    },
    /// Processes of it have ended and are zombies, which their parents have to reap: the next start waits for that.
    Unreaped,
    /// The answer to [`MachineAction::ProbeZombies`]: whether any is left, and whether it is useless to wait for it.
    Zombies {
        left: bool,
        useless: bool,
    },
    /// The answer to [`MachineAction::ProbeGroup`].
    Group {
        left: bool,
    },
    /// The answer to [`MachineAction::Scan`]: whether any process was found, or that cannot be known now.
    ///
    /// Held: none, but members of the old session live that are not proven to be of it.
    Scanned {
        left: bool,
        held: bool,
    },
    /// The answer to [`MachineAction::ProbeHeld`].
    Held {
        left: bool,
    },
    /// The command of this step of a stop could not be run, or has ended with another exit status than the code 0.
    StopCommandFailed {
        step: usize,
    },
    /// The answer to [`MachineAction::AskTurn`], which may come much later.
    Turn,
    /// The settings changed: waits and grace periods under way become no longer than they allow.
    Settings,
    /// The time of `Machine::deadline` has come.
    Timer,
}

/// What the supervisor has to do, in this order.
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
    /// The leader is gone, and nothing takes its place at once: remove its pid file. Its record stays, which proves what it
    /// has left.
    RemovePidFile,
    /// Find out whether zombies of it are left, and answer with [`MachineEvent::Zombies`].
    ProbeZombies,
    /// Tell that the start that follows does not wait for these zombies, or no longer.
    TellZombies,
    /// Find out whether any of the processes lives that hold the start, and answer with [`MachineEvent::Held`].
    ProbeHeld,
    /// No process is left: remove its pid file and record.
    CleanUp,
    /// The leader is gone, and none will take its place: have its record say how it ended.
    RecordEnd(Rest),
    /// No process is left, and none will take its place: remove its pid file.
    CleanUpButRecord,
    /// Tell the callers of a stop that the process is gone.
    Settle,
    /// Tell the callers of a stop that the process outlived SIGKILL.
    Stuck,
    /// The state changed in a way that readers of events want to know.
    Announce(Announcement),
}

/// A change that is announced; starts and exits are announced where they are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Announcement {
    Waiting(Duration),
    Ready,
    /// It was not in time, and is stopped.
    NotReady,
    Stopping,
    Stopped,
    Failed,
    /// It is not started again. `by_exit`: for its process has ended by itself, which no other error tells.
    Rests {
        rest: Rest,
        by_exit: bool,
    },
}

/// The settings that hold at this moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings<'a> {
    pub(crate) restart: &'a RestartSettings,
    pub(crate) stop: &'a StopSettings,
    pub(crate) readiness: Readiness,
    /// Whether a start has to wait for its turn.
    pub(crate) needs_turn: bool,
}
