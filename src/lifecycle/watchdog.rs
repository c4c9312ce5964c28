// SPDX-License-Identifier: MPL-2.0
//! How long a process has been silent that must feed its watchdog once in each period (sd_watchdog_enabled(3)). Pure.

use std::time::{Duration, Instant};

use crate::deadline::after;

/// In how many steps the silence of a period is counted.
const STEPS: u32 = 4;

/// The watchdog of one process.
///
/// Silence is counted in steps of a quarter of the period, and a step counts for no more than a quarter, however late its
/// end is noticed: an agent that stood still, perhaps together with the process, has not observed a silence.
#[derive(Debug)]
pub(crate) struct Watchdog {
    /// Zero: none.
    period: Duration,
    silence: Option<Silence>,
    /// When the owner of the timers was last told to check.
    told: Option<Instant>,
}

/// The silence that is being counted.
#[derive(Debug, Clone, Copy)]
struct Silence {
    /// How much more of it is one too long.
    left: Duration,
    /// Up to when it is counted; in a pause, when that is over.
    since: Instant,
    check_at: Instant,
}

impl Watchdog {
    /// One that does not count yet. A period of zero is none.
    pub(crate) fn new(period: Duration) -> Watchdog {
        Watchdog { period, silence: None, told: None }
    }

    pub(crate) fn period(&self) -> Duration {
        self.period
    }

    /// Counts from now on, or no longer.
    pub(crate) fn follow(&mut self, is_watched: bool, now: Instant) {
        match (is_watched && !self.period.is_zero(), self.silence) {
            (true, None) => self.silence = Some(self.begin(now)),
            (false, Some(_)) => self.silence = None,
            (true, Some(_)) | (false, None) => {}
        }
    }

    /// It was fed: a new period begins. The next check stays as scheduled, so that no timer is set for each message.
    pub(crate) fn feed(&mut self, now: Instant) {
        let period = self.period;
        if let Some(silence) = &mut self.silence {
            (silence.left, silence.since) = (period, silence.since.max(now));
        }
    }

    /// The process has asked for another period.
    pub(crate) fn set_period(&mut self, period: Duration, now: Instant) {
        self.period = period;
        if self.silence.is_some() {
            self.silence = (!period.is_zero()).then(|| self.begin(now));
        }
    }

    /// Stops counting for this long.
    pub(crate) fn pause(&mut self, by: Duration, now: Instant) {
        if let Some(silence) = &mut self.silence {
            silence.since = silence.since.max(after(now, by));
        }
    }

    /// When to check next, if that is another time than when this was asked last.
    pub(crate) fn next_timer(&mut self) -> Option<Instant> {
        let due = self.due();
        let is_new = due != self.told;
        self.told = due;
        due.filter(|_| is_new)
    }

    /// When to check.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.silence.map(|silence| silence.check_at)
    }

    /// Whether it was silent for its period, once it is time to check. `heard`: all that it has sent was read. While that
    /// cannot be done, nothing is counted.
    pub(crate) fn check(&mut self, heard: bool, now: Instant) -> bool {
        let step = self.step();
        let Some(silence) = self.silence.as_mut().filter(|silence| silence.check_at <= now) else { return false };
        if heard {
            silence.left = silence.left.saturating_sub(now.saturating_duration_since(silence.since).min(step));
        }
        silence.since = silence.since.max(now);
        silence.check_at = after(silence.since, silence.left.min(step));
        let is_over = silence.left.is_zero();
        if is_over {
            self.silence = None;
        }
        is_over
    }

    fn begin(&self, now: Instant) -> Silence {
        Silence { left: self.period, since: now, check_at: after(now, self.step()) }
    }

    fn step(&self) -> Duration {
        self.period / STEPS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PERIOD: Duration = Duration::from_secs(8);

    /// What is done at which second, and what comes of it.
    enum Row {
        Feed(u64),
        Pause(u64, u64),
        Period(u64, u64),
        Unwatched(u64),
        Watched(u64),
        /// A check that does not find it silent, and the second of the next one.
        Good(u64, u64),
        /// The same, of a socket that cannot be read to its end.
        Unheard(u64, u64),
        Silent(u64),
        Unchecked,
    }

    #[test]
    fn silence_of_the_period_is_too_long_and_what_is_no_silence_does_not_count() {
        use Row::*;
        let table: [(&str, &[Row]); 11] = [
            ("silent from the beginning", &[Good(2, 4), Good(4, 6), Good(6, 8), Silent(8), Unchecked]),
            ("fed once", &[Feed(1), Good(2, 4), Good(4, 6), Good(6, 8), Good(8, 9), Silent(9)]),
            ("fed at the last moment", &[Good(2, 4), Good(4, 6), Good(6, 8), Feed(7), Good(8, 10), Good(10, 12)]),
            ("nothing is checked before its time", &[Good(1, 2), Good(2, 4), Good(3, 4)]),
            ("the agent stood still", &[Good(2, 4), Good(100, 102), Good(102, 104), Silent(300)]),
            ("it stood still and then read", &[Good(2, 4), Good(4, 6), Good(6, 8), Feed(60), Good(60, 62)]),
            ("paused", &[Pause(1, 10), Good(2, 13), Good(13, 15), Good(15, 17), Good(17, 19), Silent(19)]),
            ("fed in a pause", &[Pause(1, 10), Feed(5), Good(2, 13), Good(13, 15)]),
            ("not read to the end", &[Good(2, 4), Good(4, 6), Good(6, 8), Unheard(8, 10), Unheard(10, 12), Silent(12)]),
            ("another period", &[Good(2, 4), Period(3, 4), Good(4, 5), Good(5, 6), Good(6, 7), Silent(7)]),
            ("not watched for a while", &[Good(2, 4), Unwatched(3), Unchecked, Watched(9), Good(11, 13), Good(13, 15)]),
        ];
        let start = Instant::now();
        let at = |second: u64| start + Duration::from_secs(second);
        for (name, rows) in table {
            let mut watchdog = Watchdog::new(PERIOD);
            assert_eq!(watchdog.next_timer(), None, "{name}");
            watchdog.follow(true, start);
            assert_eq!((watchdog.next_timer(), watchdog.next_timer()), (Some(at(2)), None), "{name}");
            for row in rows {
                match *row {
                    Feed(now) => watchdog.feed(at(now)),
                    Pause(now, by) => watchdog.pause(Duration::from_secs(by), at(now)),
                    Period(now, period) => watchdog.set_period(Duration::from_secs(period), at(now)),
                    Unwatched(now) => watchdog.follow(false, at(now)),
                    Watched(now) => watchdog.follow(true, at(now)),
                    Good(now, next) => {
                        assert!(!watchdog.check(true, at(now)), "{name}: {now}");
                        assert_eq!(watchdog.due(), Some(at(next)), "{name}: {now}");
                    }
                    Unheard(now, next) => {
                        assert!(!watchdog.check(false, at(now)), "{name}: {now}");
                        assert_eq!(watchdog.due(), Some(at(next)), "{name}: {now}");
                    }
                    Silent(now) => assert!(watchdog.check(true, at(now)), "{name}: {now}"),
                    Unchecked => assert!(!watchdog.check(true, at(10_000)) && watchdog.due().is_none(), "{name}"),
                }
            }
        }
    }

    #[test]
    fn without_a_period_nothing_is_watched_until_the_process_asks_for_one() {
        let now = Instant::now();
        let mut watchdog = Watchdog::new(Duration::ZERO);
        watchdog.follow(true, now);
        watchdog.feed(now);
        watchdog.pause(PERIOD, now);
        assert_eq!((watchdog.due(), watchdog.check(true, now + PERIOD)), (None, false));
        watchdog.set_period(PERIOD, now);
        watchdog.follow(true, now);
        assert_eq!(watchdog.due(), Some(now + PERIOD / 4));
        watchdog.set_period(Duration::ZERO, now);
        watchdog.follow(true, now);
        assert_eq!((watchdog.due(), watchdog.period()), (None, Duration::ZERO));
        watchdog.set_period(Duration::MAX, now);
        watchdog.follow(true, now);
        watchdog.pause(Duration::MAX, now);
        assert!(!watchdog.check(true, now + PERIOD) && watchdog.due().is_some());
    }

    proptest! {
        /// Whatever the times of feeding and of checking: one that is fed in each half of its period is never too late, however
        /// long the agent stands still, and one that is not fed any more is found after its period if the agent is in time.
        #[test]
        fn fed_process_is_never_late_and_silent_one_is_late_after_its_period(
            steps in proptest::collection::vec((1u64..=4000, 0u64..=60_000, any::<bool>()), 1..60),
        ) {
            let mut now = Instant::now();
            let mut watchdog = Watchdog::new(PERIOD);
            watchdog.follow(true, now);
            for (awake, still, feeds_first) in steps {
                // The agent and the process run for a while, then both stand still, and go on in any order.
                let end = now + Duration::from_millis(awake);
                while let Some(due) = watchdog.due().filter(|due| *due <= end) {
                    prop_assert!(!watchdog.check(true, due.max(now)));
                    now = due.max(now);
                }
                now = end + Duration::from_millis(still);
                if feeds_first {
                    watchdog.feed(now);
                }
                prop_assert!(!watchdog.check(true, now));
                watchdog.feed(now);
            }
            let mut due = now;
            while !watchdog.check(true, due) {
                due = watchdog.due().unwrap();
            }
            prop_assert_eq!(due, now + PERIOD);
        }
    }
}
