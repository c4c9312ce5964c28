// SPDX-License-Identifier: MPL-2.0
//! What a command ends with: an exit code for scripts, and a message for people.

use std::fmt;

/// Why a command has failed; the number is its exit code. Wrong arguments are 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Something else.
    Failure = 1,
    /// No agent has the data directory.
    NoAgent = 3,
    /// The agent has no proxy of this id.
    NoSuchProxy = 4,
    /// What was waited for has not come in time.
    TimedOut = 5,
    /// The proxy has no process now.
    NotRunning = 6,
}

/// A failure with an exit code of its own. All other errors are [`Exit::Failure`].
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    message: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Failure {
        Failure { exit, message: message.into() }
    }

    /// With a line below it for each note.
    pub(crate) fn with_notes(exit: Exit, mut message: String, notes: impl IntoIterator<Item = String>) -> Failure {
        for note in notes {
            message.push_str("\n    ");
            message.push_str(&note);
        }
        Failure::new(exit, message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
