//! One heap of deadlines for all processes. Nothing ticks: the supervisor thread sleeps until the first one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use super::mailbox::ProcessKey;

/// Deadlines by time. One that was superseded stays in the heap and is ignored when it comes.
#[derive(Debug, Default)]
pub(super) struct Timers(BinaryHeap<Reverse<(Instant, ProcessKey)>>);

impl Timers {
    pub(super) fn arm(&mut self, at: Instant, key: ProcessKey) {
        self.0.push(Reverse((at, key)));
    }

    /// When the first deadline is.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes one deadline that has come.
    pub(super) fn due(&mut self, now: Instant) -> Option<ProcessKey> {
        let Reverse((at, key)) = *self.0.peek()?;
        if at > now {
            return None;
        }
        self.0.pop();
        Some(key)
    }
}
