// SPDX-License-Identifier: MPL-2.0
//! Lines over a socket, bounded in length and time: the other side may send or read as slowly as it likes.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// The longest line that is read. Ids have 1024 bytes at most, in JSON six times that.
const LONGEST: usize = 16 << 10;

/// Reads lines from a socket.
pub(super) struct Lines<'a> {
    stream: &'a UnixStream,
    /// What was read beyond the last line.
    unread: Vec<u8>,
}

impl<'a> Lines<'a> {
    pub(super) fn of(stream: &'a UnixStream) -> Lines<'a> {
        Lines { stream, unread: Vec::new() }
    }

    /// The next line, without its end; `None` when there is none any more.
    ///
    /// # Errors
    /// `InvalidData`: it is longer than [`LONGEST`]. `TimedOut`: it has not come as a whole by then.
    pub(super) fn next(&mut self, by: Instant) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.unread.drain(..=end).collect();
                line.pop();
                return Ok(Some(line));
            }
            if self.unread.len() > LONGEST {
                return Err(io::Error::new(ErrorKind::InvalidData, format!("a line longer than {LONGEST} bytes")));
            }
            let mut part = [0; 4096];
            self.stream.set_read_timeout(Some(left(by)?))?;
            match self.stream.read(&mut part) {
                Ok(0) => return Ok(None),
                Ok(length) => self.unread.extend_from_slice(&part[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(timed_out(error)),
            }
        }
    }
}

/// Writes a line that ends with a newline.
///
/// # Errors
/// `TimedOut`: the other side has not read it as a whole by then.
pub(super) fn write(mut stream: &UnixStream, line: &[u8], by: Instant) -> io::Result<()> {
    let mut rest = line;
    while !rest.is_empty() {
        stream.set_write_timeout(Some(left(by)?))?;
        match stream.write(rest) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(length) => rest = &rest[length..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(timed_out(error)),
        }
    }
    Ok(())
}

/// What is left until then. A timeout of zero would mean none.
fn left(by: Instant) -> io::Result<Duration> {
    let left = by.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// SO_RCVTIMEO and SO_SNDTIMEO end a call with EAGAIN (socket(7)).
fn timed_out(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::WouldBlock { ErrorKind::TimedOut.into() } else { error }
}
