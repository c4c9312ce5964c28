// SPDX-License-Identifier: MPL-2.0
//! Which of the two generations of a proxy, during a handover, a record or pid file belongs to.

/// Whose files they are. Earlier versions know those of the current generation alone, and skip the others by their suffix.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum FilePlace {
    /// The one that serves: the files that there are outside of a handover.
    #[default]
    Current,
    /// The one that is being started beside it.
    Next,
    /// The one that was succeeded, and is ending.
    Predecessor,
}

impl FilePlace {
    /// Those that there are during a handover alone.
    pub(super) const OTHERS: [FilePlace; 2] = [FilePlace::Next, FilePlace::Predecessor];

    /// How the name of its record ends.
    pub(super) fn record(self) -> &'static str {
        match self {
            FilePlace::Current => ".json",
            FilePlace::Next => ".json-next",
            FilePlace::Predecessor => ".json-predecessor",
        }
    }

    /// How the name of its pid file ends.
    pub(super) fn pid(self) -> &'static str {
        match self {
            FilePlace::Current => ".pid",
            FilePlace::Next => ".pid-next",
            FilePlace::Predecessor => ".pid-predecessor",
        }
    }

    /// How the names of temporary files begin: no id begins with a dot, and both generations may write at the same time.
    pub(super) fn temporary(self) -> &'static str {
        match self {
            FilePlace::Current => ".",
            FilePlace::Next => "..",
            FilePlace::Predecessor => "...",
        }
    }
}
