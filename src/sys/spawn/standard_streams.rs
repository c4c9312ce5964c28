// SPDX-License-Identifier: MPL-2.0
//! The descriptors that become a child's standard streams, under low numbers that were reserved when few were open.
//!
//! What a child needs decides how much of the agent's table it copies (see [`descriptor_table`](super::fd_table)),
//! and what is opened last gets the highest number.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use crate::sys::{check, null};

/// Kept by a spawner thread. Between two starts all of them are what serves as standard input.
#[derive(Debug)]
pub(crate) struct StandardStreams {
    input: OwnedFd,
    outputs: [OwnedFd; 2],
    no_null: Option<io::Error>,
}

impl StandardStreams {
    pub(crate) fn new() -> io::Result<StandardStreams> {
        let (input, no_null) = null::open_no_input()?;
        let outputs = [input.try_clone()?, input.try_clone()?];
        Ok(StandardStreams { input, outputs, no_null })
    }

    /// Why the standard input is an empty pipe, if it is, and not `/dev/null`.
    pub(crate) fn why_no_null(&self) -> Option<&io::Error> {
        self.no_null.as_ref()
    }

    /// Puts the outputs of the next child in their places; they are taken out again when the guard is dropped, for a log
    /// without a writer is not to be held open.
    pub(crate) fn with(&mut self, outputs: [OwnedFd; 2]) -> Filled<'_> {
        let [stdout, stderr] = &outputs;
        let filled = [put(stdout, &self.outputs[0]).is_ok(), put(stderr, &self.outputs[1]).is_ok()];
        Filled { places: self, outputs, filled }
    }
}

/// The standard streams of one child.
#[derive(Debug)]
pub(crate) struct Filled<'a> {
    places: &'a mut StandardStreams,
    /// Kept until the child runs: a start that takes more descriptors than it keeps leaves some to what has to go on when
    /// nothing can be started any more, a stop or an adoption.
    outputs: [OwnedFd; 2],
    filled: [bool; 2],
}

impl Filled<'_> {
    pub(crate) fn as_fds(&self) -> [BorrowedFd<'_>; 3] {
        // Where a place is beyond a limit that was lowered since, nothing can be put.
        let at = |n: usize| if self.filled[n] { self.places.outputs[n].as_fd() } else { self.outputs[n].as_fd() };
        [self.places.input.as_fd(), at(0), at(1)]
    }
}

impl Drop for Filled<'_> {
    fn drop(&mut self) {
        for (place, _) in self.places.outputs.iter_mut().zip(self.filled).filter(|(_, filled)| *filled) {
            if put(&self.places.input, place).is_err() {
                // The limit was lowered in this moment.
                if let Ok(another) = self.places.input.try_clone() {
                    *place = another;
                }
            }
        }
    }
}

fn put(from: &OwnedFd, place: &OwnedFd) -> io::Result<()> {
    // SAFETY: both are open, and `place` goes on being so; only what is behind it changes.
    let put = unsafe { libc::dup3(from.as_raw_fd(), place.as_raw_fd(), libc::O_CLOEXEC) };
    check(i64::from(put)).map(drop)
}
