// SPDX-License-Identifier: MPL-2.0
//! Which of the starts of a proxy a process comes from.

use std::fmt;

/// The number of a start: 1 for the first, one more for each that follows. A start that failed has used none.
///
/// It is kept in the record of the process, and so goes on with the next agent; where no record is left it begins anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Generation(u64);

impl Generation {
    /// Of a proxy that was never started, or a process that an earlier version has started.
    pub(crate) const UNKNOWN: Generation = Generation(0);

    /// None has a greater one.
    pub(crate) const LAST: Generation = Generation(u64::MAX);

    /// As a record or an environment has it; 0 is unknown.
    pub(crate) fn of(number: u64) -> Generation {
        Generation(number)
    }

    /// That of the next process.
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
