// SPDX-License-Identifier: MPL-2.0
//! One heap of deadlines for all processes. Nothing ticks: the supervisor thread sleeps until the first one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use crate::supervisor::process_key::ProcessKey;

/// Deadlines by time. One that was superseded stays in the heap and is ignored when it comes, or left out before.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, ProcessKey)>>,
    /// How many there were when those that were superseded were last left out.
    least: usize,
}

impl Timers {
    /// So few are not looked through.
    const FEW: usize = 64;

    pub(crate) fn arm(&mut self, at: Instant, key: ProcessKey) {
        self.heap.push(Reverse((at, key)));
    }

    /// When the first deadline is.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes one deadline that has come.
    pub(crate) fn due(&mut self, now: Instant) -> Option<ProcessKey> {
        let Reverse((at, key)) = *self.heap.peek()?;
        if at > now {
            return None;
        }
        self.heap.pop();
        Some(key)
    }

    /// Leaves out what was superseded, once there are twice as many as there were the last time: what will not come for
    /// days is armed anew with each restart.
    pub(crate) fn tidy(&mut self, holds: impl Fn(Instant, ProcessKey) -> bool) {
        if self.heap.len() < 2 * self.least.max(Self::FEW) {
            return;
        }
        self.heap.retain(|Reverse((at, key))| holds(*at, *key));
        self.least = self.heap.len();
        self.heap.shrink_to(2 * self.least.max(Self::FEW));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use std::time::Duration;

    #[test]
    fn deadlines_that_were_superseded_do_not_pile_up_and_none_that_holds_is_lost() {
        let (start, day) = (Instant::now(), Duration::from_secs(24 * 3600));
        let (mut timers, mut armed, mut most) = (Timers::default(), HashMap::new(), 0);
        // This one never starts again.
        timers.arm(start + day, 100);
        armed.insert(100, start + day);
        for restart in 1..=100_000 {
            let (key, at) = (restart % 100, start + day + Duration::from_millis(restart));
            timers.arm(at, key);
            armed.insert(key, at);
            timers.tidy(|at, key| armed.get(&key) == Some(&at));
            most = most.max(timers.heap.len());
        }
        assert!(most <= 202, "{most}");
        assert!(timers.heap.capacity() <= 404, "{}", timers.heap.capacity());
        let (first, last) = (armed.values().min().copied(), start + 2 * day);
        assert_eq!(timers.due(start), None);
        assert_eq!(timers.next(), first);
        let mut due: Vec<ProcessKey> = std::iter::from_fn(|| timers.due(last)).collect();
        due.sort_unstable();
        due.dedup();
        assert_eq!(due, (0..=100).collect::<Vec<_>>());
    }
}
