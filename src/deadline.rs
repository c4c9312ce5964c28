// SPDX-License-Identifier: MPL-2.0
//! When a declared period is over, however long it is. Pure.

use std::time::{Duration, Instant};

/// A hundred years: no instant of this program is so far away that adding it overflows, and no program lasts so long.
const NEVER: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

/// The instant at which `period` is over that begins now: a longest one never is.
pub(crate) fn after(now: Instant, period: Duration) -> Instant {
    now + period.min(NEVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_ends_when_it_is_over_and_the_longest_one_never() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        assert_eq!(after(now, second), now + second);
        let never = after(now, Duration::MAX);
        assert_eq!(never.saturating_duration_since(now), NEVER);
        assert!(after(never, Duration::MAX) > never);
    }
}
