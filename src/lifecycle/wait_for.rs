// SPDX-License-Identifier: MPL-2.0
//! What a call waits for, and whether a state satisfies it. Pure.

use std::fmt;

use super::ProxyState;

/// What [`Manager::wait_until`](crate::Manager::wait_until) waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WaitFor {
    /// The proxy is [`ProxyState::Running`]: it runs and is ready.
    Running,
    /// The proxy is [`ProxyState::Completed`]: its process ended as expected and is not started again. This never
    /// happens with [`RestartWhen::Always`](crate::RestartWhen::Always).
    Completed,
    /// The proxy is [`ProxyState::Paused`]: nothing of it runs.
    Paused,
}

impl fmt::Display for WaitFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WaitFor::Running => "running",
            WaitFor::Completed => "completed",
            WaitFor::Paused => "paused",
        })
    }
}

/// What a state means for a waiting call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitProgress {
    Reached,
    /// The awaited state may come.
    Pending,
    /// It will not come with the present declaration.
    Failed,
    /// It will not come before the proxy is started again.
    Rests,
    /// It will not come while the proxy is paused.
    Paused,
    /// It will not come for this process: there may be another one in its place, or none.
    Gone,
}

impl WaitFor {
    pub(crate) fn progress(self, state: ProxyState) -> WaitProgress {
        match (self, state) {
            (WaitFor::Running, ProxyState::Running)
            | (WaitFor::Completed, ProxyState::Completed)
            | (WaitFor::Paused, ProxyState::Paused) => WaitProgress::Reached,
            (WaitFor::Running, ProxyState::Completed) => WaitProgress::Rests,
            (WaitFor::Running | WaitFor::Completed, ProxyState::Paused) => WaitProgress::Paused,
            (WaitFor::Running | WaitFor::Completed, ProxyState::Failed) => WaitProgress::Failed,
            (_, ProxyState::Stopped | ProxyState::Closed) => WaitProgress::Gone,
            (WaitFor::Completed, ProxyState::Running)
            | (WaitFor::Paused, ProxyState::Running | ProxyState::Completed | ProxyState::Failed)
            | (
                _,
                ProxyState::Idle
                | ProxyState::Adopting
                | ProxyState::Starting
                | ProxyState::Clearing
                | ProxyState::Waiting
                | ProxyState::Stopping,
            ) => WaitProgress::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completed_is_reached_by_one_state_and_waits_while_the_process_runs() {
        let progress = |state| WaitFor::Completed.progress(state);
        assert_eq!(progress(ProxyState::Completed), WaitProgress::Reached);
        assert_eq!(progress(ProxyState::Running), WaitProgress::Pending);
        assert_eq!(progress(ProxyState::Failed), WaitProgress::Failed);
        assert_eq!(progress(ProxyState::Stopped), WaitProgress::Gone);
    }

    #[test]
    fn paused_is_reached_by_one_state_and_an_error_for_the_others_that_wait() {
        for (what, expected) in [
            (WaitFor::Paused, WaitProgress::Reached),
            (WaitFor::Running, WaitProgress::Paused),
            (WaitFor::Completed, WaitProgress::Paused),
        ] {
            assert_eq!(what.progress(ProxyState::Paused), expected);
        }
        assert_eq!(WaitFor::Paused.progress(ProxyState::Running), WaitProgress::Pending);
    }

    #[test]
    fn running_is_reached_by_one_state_and_given_up_in_four() {
        let progress = |state| WaitFor::Running.progress(state);
        assert_eq!(progress(ProxyState::Running), WaitProgress::Reached);
        assert_eq!(progress(ProxyState::Waiting), WaitProgress::Pending);
        assert_eq!(progress(ProxyState::Stopping), WaitProgress::Pending, "it may be started again");
        assert_eq!(progress(ProxyState::Failed), WaitProgress::Failed);
        assert_eq!(progress(ProxyState::Completed), WaitProgress::Rests);
        for state in [ProxyState::Stopped, ProxyState::Closed] {
            assert_eq!(progress(state), WaitProgress::Gone);
        }
    }
}
