// SPDX-License-Identifier: MPL-2.0
//! The numbers of a start: its generation, and its epoch (one more than that of the living process beside which it is
//! made).

use std::fmt;

use super::generation::Generation;

/// What `{epoch}` stands for: one more than the epoch of the living process of the proxy that a start is made beside, and 0
/// when there is none.
///
/// So a program that takes over from its predecessor by itself, as Envoy does by `--restart-epoch`, finds the one that
/// lives. A start that is made again beside the same process has the same epoch again: with any other one it would look for a
/// predecessor that does not live, and wait for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Epoch(u64);

impl Epoch {
    /// Of a process that was started beside no other one, or by an earlier version.
    pub(crate) const FIRST: Epoch = Epoch(0);

    /// As a record or an environment has it.
    pub(crate) fn of(number: u64) -> Epoch {
        Epoch(number)
    }

    /// That of a start beside a living process of this epoch, or beside none.
    pub(crate) fn beside(living: Option<Epoch>) -> Epoch {
        living.map_or(Epoch::FIRST, |living| Epoch(living.0.saturating_add(1)))
    }

    /// The number, unless it is 0.
    pub(crate) fn above_first(self) -> Option<u64> {
        Some(self.0).filter(|number| *number != 0)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Both numbers of one start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct StartNumbers {
    pub(crate) generation: Generation,
    pub(crate) epoch: Epoch,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_beside_a_living_process_has_one_more_and_one_beside_none_the_first() {
        assert_eq!(Epoch::beside(None), Epoch::FIRST);
        assert_eq!(Epoch::beside(Some(Epoch::FIRST)), Epoch::of(1));
        assert_eq!(Epoch::beside(Some(Epoch::of(7))), Epoch::of(8));
        assert_eq!(Epoch::beside(Some(Epoch::of(u64::MAX))), Epoch::of(u64::MAX));
    }
}
