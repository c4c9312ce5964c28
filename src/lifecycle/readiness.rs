// SPDX-License-Identifier: MPL-2.0
//! What the lifecycle needs to know about readiness: whether and in what time a started process must become ready.

use std::time::Duration;

/// When a process is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// Once it is started.
    Started,
    /// Once a probe succeeds. The first probe is made this long after the start.
    Probed { within: Duration, first: Duration },
    /// Once it reports so, to the agent that started it and to no later one.
    Reported { within: Duration },
}

/// How long after this many probes the next one is due: soon at first, because most programs are ready within an
/// instant, then twice a second.
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
