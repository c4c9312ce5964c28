// SPDX-License-Identifier: MPL-2.0
//! What the lifecycle has to know of readiness: whether a process that was started has to become ready, and in what time.

use std::time::Duration;

/// When a process is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// Once it is started.
    Started,
    /// Once a probe succeeds, the first of which is made so long after the start.
    Probed { within: Duration, first: Duration },
    /// Once it reports so, to the agent that has started it and no later one.
    Reported { within: Duration },
}

/// How long after the last of so many probes the next one is due: at first soon, for most programs are ready in an
/// instant, and then twice a second.
pub(super) fn probe_interval(probes: u32) -> Duration {
    const FIRST: Duration = Duration::from_millis(10);
    const LONGEST: Duration = Duration::from_millis(500);
    (FIRST * (1 << probes.saturating_sub(1).min(6))).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_are_made_soon_at_first_and_then_twice_a_second() {
        let all = [1, 2, 3, 4, 5, 6, 7, 8, u32::MAX].map(|probes| probe_interval(probes).as_millis());
        assert_eq!(all, [10, 20, 40, 80, 160, 320, 500, 500, 500]);
    }
}
