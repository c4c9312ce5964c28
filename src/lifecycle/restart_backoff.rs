// SPDX-License-Identifier: MPL-2.0
//! When to start again: a few attempts at once, then waits that double, reset by a healthy run. Pure.

use std::time::Duration;

use super::restart_policy::{GiveUpAfter, RestartWhen};
use crate::defaults;

/// How a proxy is restarted. A change needs no new process and applies from the next exit on.
///
/// The waits are those of the original (Consul's "constants related to restart timers"): `attempts_before_backoff`
/// restarts in a row are made at once, the next waits 2 s, then 4 s, 8 s, and so on, never longer than `max_wait`. A
/// process that ran for `healthy_after` resets this.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct RestartSettings {
    /// A run at least this long resets the backoff; with [`Duration::MAX`] no run does.
    pub healthy_after: Duration,
    /// Restarts in a row that are made without waiting.
    pub attempts_before_backoff: u32,
    /// The longest wait. Zero means no wait, except for a moment after a failed start; with [`Duration::MAX`] waits
    /// double without a limit.
    pub max_wait: Duration,
    /// The random fraction of each wait, 0 to 1: the wait is between `wait * (1 - jitter)` and `wait`.
    pub jitter: f64,
    /// When it is started again after an end.
    pub policy: RestartWhen,
    /// After which failures it is not started any more, but [`ProxyState::Failed`](crate::ProxyState::Failed); `None`
    /// means never. It is started again on request, when its declaration changes, and by the next agent.
    pub give_up_after: Option<GiveUpAfter>,
}

impl Default for RestartSettings {
    fn default() -> Self {
        RestartSettings {
            healthy_after: defaults::DAEMON_RESTART_HEALTHY,
            attempts_before_backoff: defaults::DAEMON_RESTART_BACKOFF_MIN,
            max_wait: defaults::DAEMON_RESTART_MAX_WAIT,
            jitter: defaults::DAEMON_RESTART_JITTER,
            policy: RestartWhen::Always,
            give_up_after: None,
        }
    }
}

/// The consecutive attempts of one proxy.
///
/// Failed starts are counted separately: a lack of resources is not the fault of the program, which keeps its free
/// attempts for when there are enough again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Backoff {
    exits: u32,
    failed_starts: u32,
}

impl Backoff {
    /// The process ended after running for `ran`: how long to wait before the next start. `chance` is in `0.0..1.0`.
    pub(crate) fn after_exit(&mut self, settings: &RestartSettings, ran: Duration, chance: f64) -> Duration {
        if ran >= settings.healthy_after {
            self.exits = 0;
        }
        next(&mut self.exits, settings, chance)
    }

    /// The process could not be started: how long to wait before the next attempt.
    pub(crate) fn after_failed_start(&mut self, settings: &RestartSettings, chance: f64) -> Duration {
        let least = defaults::FAILED_START_WAIT.min(settings.max_wait).max(defaults::FAILED_START_PAUSE);
        next(&mut self.failed_starts, settings, chance).max(least)
    }

    /// The process was started.
    pub(crate) fn started(&mut self) {
        self.failed_starts = 0;
    }

    /// A new declaration gets its own free attempts.
    pub(crate) fn reset(&mut self) {
        *self = Backoff::default();
    }
}

/// Counts one more attempt, and returns how long to wait before it.
fn next(attempts: &mut u32, settings: &RestartSettings, chance: f64) -> Duration {
    *attempts = attempts.saturating_add(1);
    let Some(doublings) = attempts.checked_sub(settings.attempts_before_backoff.saturating_add(1)) else {
        return Duration::ZERO;
    };
    let wait = 2u32
        .checked_pow(doublings)
        .and_then(|factor| defaults::BACKOFF_BASE.checked_mul(factor))
        .map_or(settings.max_wait, |wait| wait.min(settings.max_wait));
    // Rounding the longest duration would overflow.
    let part = wait.as_secs_f64() * (1.0 - settings.jitter * chance);
    Duration::try_from_secs_f64(part).map_or(wait, |part| part.min(wait))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHORT: Duration = Duration::from_secs(1);

    fn waits(settings: &RestartSettings, count: usize) -> Vec<u64> {
        let mut backoff = Backoff::default();
        (0..count).map(|_| backoff.after_exit(settings, SHORT, 0.5).as_secs()).collect()
    }

    #[test]
    fn three_restarts_at_once_then_doubling_up_to_a_minute() {
        assert_eq!(waits(&RestartSettings::default(), 11), [0, 0, 0, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    /// Fault A of the original: after three fast crashes every later exit waited, however long the process had run.
    #[test]
    fn fault_a_backoff_resets_after_a_healthy_run() {
        let settings = RestartSettings::default();
        let mut backoff = Backoff::default();
        for _ in 0..6 {
            backoff.after_exit(&settings, SHORT, 0.0);
        }
        let healthy = settings.healthy_after;
        for _ in 0..5 {
            assert_eq!(backoff.after_exit(&settings, healthy, 0.0), Duration::ZERO);
        }
        for _ in 0..2 {
            assert_eq!(backoff.after_exit(&settings, healthy - Duration::from_nanos(1), 0.0), Duration::ZERO);
        }
        assert_eq!(backoff.after_exit(&settings, SHORT, 0.0), Duration::from_secs(2));
    }

    #[test]
    fn a_failed_start_never_spins() {
        let settings = RestartSettings::default();
        let mut backoff = Backoff::default();
        let waits: Vec<u64> = (0..6).map(|_| backoff.after_failed_start(&settings, 0.0).as_secs()).collect();
        assert_eq!(waits, [1, 1, 1, 2, 4, 8]);
        let never = RestartSettings { max_wait: Duration::ZERO, ..settings };
        assert_eq!(backoff.after_failed_start(&never, 0.0), defaults::FAILED_START_PAUSE);
    }

    /// A process that waited long for resources is not one that crashed often.
    #[test]
    fn starts_that_failed_leave_the_free_attempts_and_no_wait_behind() {
        let settings = RestartSettings::default();
        let mut backoff = Backoff::default();
        assert_eq!(backoff.after_exit(&settings, SHORT, 0.0), Duration::ZERO);
        for _ in 0..20 {
            backoff.after_failed_start(&settings, 0.0);
        }
        backoff.started();
        assert_eq!(backoff.after_failed_start(&settings, 0.0), defaults::FAILED_START_WAIT);
        let exits: Vec<u64> = (0..4).map(|_| backoff.after_exit(&settings, SHORT, 0.0).as_secs()).collect();
        assert_eq!(exits, [0, 0, 2, 4], "one of them was before");
    }

    proptest! {
        #[test]
        fn waits_stay_within_bounds(
            free in 0u32..5, max_ms in 0u64..100_000, jitter in 0.0f64..=1.0, chance in 0.0f64..1.0, exits in 1usize..200,
        ) {
            let max_wait = Duration::from_millis(max_ms);
            let settings = RestartSettings { attempts_before_backoff: free, max_wait, jitter, ..Default::default() };
            let (mut with, mut without) = (Backoff::default(), Backoff::default());
            let plain = RestartSettings { jitter: 0.0, ..settings };
            let mut last = Duration::ZERO;
            for exit in 0..exits {
                let wait = with.after_exit(&settings, SHORT, chance);
                let full = without.after_exit(&plain, SHORT, chance);
                prop_assert!(wait <= full && full <= max_wait);
                prop_assert!(wait + Duration::from_micros(1) >= full.mul_f64(1.0 - jitter));
                prop_assert!(full >= last, "waits never shrink while it keeps failing");
                prop_assert_eq!(full.is_zero(), exit < free as usize || max_ms == 0);
                last = full;
            }
        }
    }
}
