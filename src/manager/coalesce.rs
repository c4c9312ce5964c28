// SPDX-License-Identifier: MPL-2.0
//! When changes of the state are applied: after a quiet period, or when they have continued for long enough. Pure.

use std::time::{Duration, Instant};

use crate::deadline::after;

/// The two periods (Consul's ManagerCoalescePeriod and ManagerQuiescentPeriod).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Periods {
    pub(super) coalesce: Duration,
    pub(super) quiescent: Duration,
}

/// Changes that were not followed yet.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Coalescer {
    first: Option<Instant>,
}

impl Coalescer {
    /// Something changed.
    pub(super) fn on_change(&mut self, now: Instant) {
        self.first.get_or_insert(now);
    }

    /// Whether there are changes to follow.
    pub(super) fn is_pending(&self) -> bool {
        self.first.is_some()
    }

    /// When to follow them, given when the last change was. It moves with every further change, up to a limit.
    pub(super) fn deadline(&self, last_change: Instant, periods: Periods) -> Option<Instant> {
        let first = self.first?;
        Some(after(last_change.max(first), periods.quiescent).min(after(first, periods.coalesce)))
    }

    /// They are being followed.
    pub(super) fn reset(&mut self) {
        self.first = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PERIODS: Periods = Periods { coalesce: Duration::from_secs(5), quiescent: Duration::from_millis(500) };

    #[test]
    fn one_change_is_followed_after_the_quiescent_period() {
        let now = Instant::now();
        let mut coalescer = Coalescer::default();
        assert_eq!(coalescer.deadline(now, PERIODS), None);
        coalescer.on_change(now);
        assert_eq!(coalescer.deadline(now, PERIODS), Some(now + PERIODS.quiescent));
        coalescer.reset();
        assert!(!coalescer.is_pending());
    }

    #[test]
    fn changes_without_end_are_followed_after_the_coalesce_period() {
        let start = Instant::now();
        let mut coalescer = Coalescer::default();
        for tenth in 0..100u64 {
            let now = start + Duration::from_millis(tenth * 100);
            coalescer.on_change(now);
            let deadline = coalescer.deadline(now, PERIODS).unwrap();
            assert_eq!(deadline, (now + PERIODS.quiescent).min(start + PERIODS.coalesce));
        }
    }

    #[test]
    fn of_a_period_without_end_the_other_one_counts() {
        let now = Instant::now();
        let mut coalescer = Coalescer::default();
        coalescer.on_change(now);
        let until_calm = Periods { coalesce: Duration::MAX, ..PERIODS };
        assert_eq!(coalescer.deadline(now, until_calm), Some(now + PERIODS.quiescent));
        let until_late = Periods { quiescent: Duration::MAX, ..PERIODS };
        assert_eq!(coalescer.deadline(now, until_late), Some(now + PERIODS.coalesce));
        assert!(coalescer.deadline(now, Periods { coalesce: Duration::MAX, ..until_late }).is_some());
    }

    proptest! {
        #[test]
        fn the_deadline_is_never_before_quiet_nor_after_the_limit(
            gaps in proptest::collection::vec(0u64..2000, 1..40), coalesce in 0u64..6000, quiescent in 0u64..2000,
        ) {
            let periods = Periods { coalesce: Duration::from_millis(coalesce), quiescent: Duration::from_millis(quiescent) };
            let (start, mut coalescer) = (Instant::now(), Coalescer::default());
            let mut now = start;
            for gap in gaps {
                coalescer.on_change(now);
                let deadline = coalescer.deadline(now, periods).unwrap();
                prop_assert!(deadline <= start + periods.coalesce && deadline <= now + periods.quiescent);
                prop_assert!(deadline == start + periods.coalesce || deadline == now + periods.quiescent);
                now += Duration::from_millis(gap);
            }
        }
    }
}
