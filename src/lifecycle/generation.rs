// SPDX-License-Identifier: MPL-2.0
//! The generation of a process: which start of its proxy it comes from.

use std::fmt;

/// The number of a start: 1 for the first one, one more for each later one. A failed start uses no number.
///
/// It is stored in the record of the process, so the next agent continues the count; without a record it starts again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Generation(u64);

impl Generation {
    /// Of a proxy that was never started, or a process that an earlier version started.
    pub(crate) const UNKNOWN: Generation = Generation(0);

    /// Greater than or equal to every generation.
    pub(crate) const LAST: Generation = Generation(u64::MAX);

    /// From a record or an environment; 0 means unknown.
    pub(crate) fn of(number: u64) -> Generation {
        Generation(number)
    }

    /// The generation of the next process.
    #[must_use]
    pub(crate) fn next(self) -> Generation {
        Generation(self.0.saturating_add(1))
    }

    /// The number, if it is known.
    pub(crate) fn known(self) -> Option<u64> {
        Some(self.0).filter(|number| *number != 0)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
