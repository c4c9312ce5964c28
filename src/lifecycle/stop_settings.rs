// SPDX-License-Identifier: MPL-2.0
//! How a process is stopped.

use std::ffi::OsString;
use std::time::Duration;

use crate::defaults;
use crate::sys::signal::Signal;

/// How a proxy is stopped: the signal goes to its whole process group, and what is left when the grace period ends is
/// killed. With [`StopSettings::steps`] there are several signals, each with a time of its own. Changing it needs no new
/// process.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopSettings {
    /// The signal that asks the process to end (default SIGINT, as in the original).
    pub signal: Signal,
    /// How long it may take (default 5 s). With [`Duration::MAX`] as long as it likes: it is never killed. JSON has no
    /// longer one than a year, which is what a snapshot says of those that are.
    pub grace_period: Duration,
    /// How long what a process that ended by itself has left may take to obey the signal, before the restart (default
    /// none: it is killed at once). It makes no difference with which status it ended, or whether an agent was there to see
    /// it. A crash is not a stop, and nothing runs while it lasts; a stop that comes meanwhile has its own grace period. Of
    /// several steps it gets the signal of the last one that has a signal.
    pub leftover_grace: Duration,
    /// The steps of a stop, at most 16, in place of `signal` and `grace_period`, which keep their defaults then; what is left
    /// after the last one is killed (default none: one step, of `signal` and `grace_period`).
    pub steps: Vec<StopStep>,
}

/// One step of a stop: a signal or a command, and how long the processes may take to obey it before the next step. When all
/// of them are gone the stop is over, whatever steps are left.
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
    /// How long they may take to obey it, as [`StopSettings::grace_period`]; in JSON `for_ms`.
    pub duration: Duration,
}

/// What asks the processes to end in one step of a stop.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopAction {
    /// A signal, which SIGCONT follows.
    Signal {
        /// Which one.
        signal: Signal,
        /// Whether only the leader gets it, as long as it lives, and not its whole group.
        leader_only: bool,
    },
    /// A command: program and arguments. It is run as that of [`Reload::Command`](crate::Reload::Command), while the leader
    /// lives. Its exit with code 0 changes nothing: the processes have the time of the step. When it cannot be run or ends
    /// otherwise, the next step begins at once. It is killed with its group when the leader has ended, or the step.
    Command(Vec<OsString>),
}

impl StopStep {
    /// A step whose signal goes to the whole group.
    pub fn new(signal: Signal, duration: Duration) -> StopStep {
        StopStep { action: StopAction::Signal { signal, leader_only: false }, duration }
    }

    /// A step in which a command is run: program and arguments.
    pub fn command<W: Into<OsString>>(argv: impl IntoIterator<Item = W>, duration: Duration) -> StopStep {
        StopStep { action: StopAction::Command(argv.into_iter().map(Into::into).collect()), duration }
    }

    /// The same, but the signal goes to the leader only, as long as it lives. A command stays as it is.
    #[must_use]
    pub fn leader_only(mut self) -> StopStep {
        if let StopAction::Signal { leader_only, .. } = &mut self.action {
            *leader_only = true;
        }
        self
    }

    /// Whether a command is run in this step.
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

    /// How long all steps take that a process does not obey.
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
