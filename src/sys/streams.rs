//! Where the descriptors wait that become a child's standard streams: under numbers that were taken when few were open.
//!
//! What a child needs decides how much of the agent's table it copies (see [`descriptor_table`](super::descriptor_table)),
//! and what is opened last gets the highest number.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::{check, file};

/// Kept by a spawner thread. Between two starts all of them are `/dev/null`.
#[derive(Debug)]
pub(crate) struct StandardStreams {
    input: OwnedFd,
    outputs: [OwnedFd; 2],
}

impl StandardStreams {
    pub(crate) fn new() -> io::Result<StandardStreams> {
        let input = file::open_null()?;
        let outputs = [input.try_clone()?, input.try_clone()?];
        Ok(StandardStreams { input, outputs })
    }

    /// Puts the outputs of the next child in their places; they are taken out again when the guard is dropped, for a log
    /// that nobody writes to is not to be held open.
    pub(crate) fn with(&mut self, outputs: [OwnedFd; 2]) -> io::Result<Filled<'_>> {
        for (output, place) in outputs.iter().zip(&self.outputs) {
            put(output.as_fd(), place.as_fd())?;
        }
        Ok(Filled { places: self, _outputs: outputs })
    }
}

/// The standard streams of one child.
#[derive(Debug)]
pub(crate) struct Filled<'a> {
    places: &'a StandardStreams,
    /// Kept until the child runs: a start that takes more descriptors than it keeps leaves some to what has to go on when
    /// nothing can be started any more, a stop or an adoption.
    _outputs: [OwnedFd; 2],
}

impl Filled<'_> {
    pub(crate) fn as_fds(&self) -> [BorrowedFd<'_>; 3] {
        let [stdout, stderr] = &self.places.outputs;
        [self.places.input.as_fd(), stdout.as_fd(), stderr.as_fd()]
    }
}

impl Drop for Filled<'_> {
    fn drop(&mut self) {
        for place in &self.places.outputs {
            // Both are open, so it cannot fail; and if it did, the next child's would take the place.
            let _ = put(self.places.input.as_fd(), place.as_fd());
        }
    }
}

fn put(from: BorrowedFd<'_>, place: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: both are open, and `place` goes on being so; only what is behind it changes.
    let put = unsafe { libc::dup3(from.as_raw_fd(), place.as_raw_fd(), libc::O_CLOEXEC) };
    check(i64::from(put)).map(drop)
}
