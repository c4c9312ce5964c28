// SPDX-License-Identifier: MPL-2.0
//! Settings of a proxy, made field by field in one expression.

use std::time::Duration;

use super::{GiveUpAfter, RestartSettings, RestartWhen, StopSettings, StopStep};
use crate::sys::signal::Signal;

impl StopSettings {
    /// The same with this [`StopSettings::signal`].
    #[must_use]
    pub fn with_signal(mut self, signal: Signal) -> StopSettings {
        self.signal = signal;
        self
    }

    /// The same with this [`StopSettings::grace_period`].
    #[must_use]
    pub fn with_grace_period(mut self, period: Duration) -> StopSettings {
        self.grace_period = period;
        self
    }

    /// The same with this [`StopSettings::leftover_grace`].
    #[must_use]
    pub fn with_leftover_grace(mut self, period: Duration) -> StopSettings {
        self.leftover_grace = period;
        self
    }

    /// The same with these [`StopSettings::steps`].
    #[must_use]
    pub fn with_steps(mut self, steps: impl IntoIterator<Item = StopStep>) -> StopSettings {
        self.steps = steps.into_iter().collect();
        self
    }
}

impl RestartSettings {
    /// The same with this [`RestartSettings::healthy_after`].
    #[must_use]
    pub fn with_healthy_after(mut self, period: Duration) -> RestartSettings {
        self.healthy_after = period;
        self
    }

    /// The same with this [`RestartSettings::attempts_before_backoff`].
    #[must_use]
    pub fn with_attempts_before_backoff(mut self, attempts: u32) -> RestartSettings {
        self.attempts_before_backoff = attempts;
        self
    }

    /// The same with this [`RestartSettings::max_wait`].
    #[must_use]
    pub fn with_max_wait(mut self, wait: Duration) -> RestartSettings {
        self.max_wait = wait;
        self
    }

    /// The same with this [`RestartSettings::jitter`].
    #[must_use]
    pub fn with_jitter(mut self, jitter: f64) -> RestartSettings {
        self.jitter = jitter;
        self
    }

    /// The same with this [`RestartSettings::policy`].
    #[must_use]
    pub fn with_policy(mut self, policy: RestartWhen) -> RestartSettings {
        self.policy = policy;
        self
    }

    /// The same with this [`RestartSettings::give_up_after`].
    #[must_use]
    pub fn with_give_up_after(mut self, limit: GiveUpAfter) -> RestartSettings {
        self.give_up_after = Some(limit);
        self
    }
}
