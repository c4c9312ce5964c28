// SPDX-License-Identifier: MPL-2.0
//! How a process is stopped.

use std::ffi::OsString;
use std::time::Duration;

use crate::defaults;
use crate::sys::signal::Signal;

/// How a proxy is stopped: its whole process group gets the signal, and processes that are left after the grace period
/// get SIGKILL. With [`StopSettings::steps`] there are several signals, each with its own time. A change needs no new
/// process.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopSettings {
    /// The signal that asks the process to end (default SIGINT, as in the original).
    pub signal: Signal,
    /// The time between the signal and SIGKILL (default 5 s). With [`Duration::MAX`] there is no SIGKILL. The longest
    /// period in JSON is a year, and a snapshot contains that for a longer one.
    pub grace_period: Duration,
    /// When a process ended by itself: the time between the signal to the processes that it left and SIGKILL, before
    /// the restart (default zero: SIGKILL at once). It applies whatever the exit status was, and also if no agent was
    /// running then. This is not a stop, and nothing runs during that time; a stop that comes meanwhile has its own
    /// grace period. If there are several steps, the signal of the last step that has one is used.
    pub leftover_grace: Duration,
    /// The steps of a stop, at most 16, in place of `signal` and `grace_period`, which must keep their defaults.
    /// Processes that are left after the last step get SIGKILL (default none: one step, of `signal` and
    /// `grace_period`).
    pub steps: Vec<StopStep>,
}

/// One step of a stop: a signal or a command, and the time that the processes have to end before the next step. The
/// stop is complete when all processes are gone; the remaining steps are then skipped.
///
/// ```
/// use proxyprocess::{StopSettings, StopStep};
/// use std::time::Duration;
///
/// // Asks HAProxy to finish its connections, for at most 30 s, and cuts them then.
/// let drain = StopStep::new("SIGUSR1".parse()?, Duration::from_secs(30)).leader_only();
/// let cut = StopStep::new("SIGTERM".parse()?, Duration::from_secs(2));
/// let haproxy = StopSettings::default().with_steps([drain, cut.clone()]);
/// // Envoy drains by a request to its admin address, by no signal.
/// let fail = ["curl", "-sfX", "POST", "http://127.0.0.1:9901/drain_listeners?graceful"];
/// let envoy = StopSettings::default().with_steps([StopStep::command(fail, Duration::from_secs(30)), cut]);
/// # assert_eq!((haproxy.steps.len(), envoy.steps.len()), (2, 2));
/// # Ok::<(), proxyprocess::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopStep {
    /// What asks the processes to end.
    pub action: StopAction,
    /// The time before the next step, as [`StopSettings::grace_period`]; in JSON `for_ms`.
    pub duration: Duration,
}

/// What one step of a stop does to ask the processes to end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopAction {
    /// Sends a signal, followed by SIGCONT.
    Signal {
        /// Which one.
        signal: Signal,
        /// Whether only the leader gets it while it is alive, instead of its whole group.
        leader_only: bool,
    },
    /// Runs a command: program and arguments. It is run like that of [`Reload::Command`](crate::Reload::Command), while
    /// the leader is alive. If it exits with code 0, the processes still have the time of the step. If it cannot be run
    /// or ends otherwise, the next step begins at once. It is killed with its group when the leader or the step has
    /// ended.
    Command(Vec<OsString>),
}

impl StopStep {
    /// A step that sends a signal to the whole group.
    pub fn new(signal: Signal, duration: Duration) -> StopStep {
        StopStep { action: StopAction::Signal { signal, leader_only: false }, duration }
    }

    /// A step that runs a command: program and arguments.
    pub fn command<W: Into<OsString>>(argv: impl IntoIterator<Item = W>, duration: Duration) -> StopStep {
        StopStep { action: StopAction::Command(argv.into_iter().map(Into::into).collect()), duration }
    }

    /// The same step, but the signal goes only to the leader while it is alive. A command is not changed.
    #[must_use]
    pub fn leader_only(mut self) -> StopStep {
        if let StopAction::Signal { leader_only, .. } = &mut self.action {
            *leader_only = true;
        }
        self
    }

    /// Whether this step runs a command.
    pub(crate) fn is_command(&self) -> bool {
        matches!(self.action, StopAction::Command(_))
    }
}

impl Default for StopSettings {
    fn default() -> Self {
        StopSettings {
            signal: Signal::INT,
            grace_period: defaults::DAEMON_GRACE_PERIOD,
            leftover_grace: defaults::DAEMON_LEFTOVER_GRACE,
            steps: Vec::new(),
        }
    }
}

impl StopSettings {
    /// A step by its index; `None` after the last one.
    pub(crate) fn step(&self, index: usize) -> Option<StopStep> {
        if self.steps.is_empty() {
            return (index == 0).then(|| StopStep::new(self.signal, self.grace_period));
        }
        self.steps.get(index).cloned()
    }

    /// The index of the last step that has a signal.
    pub(crate) fn last_signal(&self) -> Option<usize> {
        if self.steps.is_empty() {
            return Some(0);
        }
        self.steps.iter().rposition(|step| !step.is_command())
    }

    /// How long all steps take if the processes do not end.
    pub(crate) fn time_until_kill(&self) -> Duration {
        let steps = (0..).map_while(|index| self.step(index));
        steps.fold(Duration::ZERO, |sum, step| sum.saturating_add(step.duration))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_steps_there_is_one_of_signal_and_grace_period() {
        let short = StopSettings::default().with_signal(Signal::KILL).with_grace_period(Duration::MAX);
        assert_eq!(short.step(0), Some(StopStep::new(Signal::KILL, Duration::MAX)));
        assert_eq!((short.step(1), short.last_signal(), short.time_until_kill()), (None, Some(0), Duration::MAX));

        let second = StopStep::new(Signal::INT, Duration::from_secs(2)).leader_only();
        let first = StopStep::new(Signal::KILL, Duration::from_secs(1));
        let steps = StopSettings::default().with_steps([first.clone(), second.clone()]);
        assert_eq!((steps.step(1), steps.step(2), steps.last_signal()), (Some(second.clone()), None, Some(1)));
        assert_eq!(steps.time_until_kill(), Duration::from_secs(3));
        let endless = steps.with_steps([second, StopStep::command(["a"], Duration::MAX)]);
        assert_eq!((endless.time_until_kill(), endless.last_signal()), (Duration::MAX, Some(0)));
        let commands = endless.with_steps([StopStep::command(["a"], Duration::ZERO).leader_only()]);
        assert_eq!((commands.step(0).map(|step| step.is_command()), commands.last_signal()), (Some(true), None));
    }
}
