// SPDX-License-Identifier: MPL-2.0
//! Lines over a socket, bounded in length and time: the other side may send or read as slowly as it likes.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// The longest line that is read. Ids have 1024 bytes at most, in JSON six times that.
const LONGEST: usize = 16 << 10;

/// A socket whose calls can be bounded in time.
pub(crate) trait Stream {
    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()>;
    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()>;
}

impl Stream for UnixStream {
    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        UnixStream::set_read_timeout(self, Some(timeout))
    }

    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        UnixStream::set_write_timeout(self, Some(timeout))
    }
}

impl Stream for TcpStream {
    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        TcpStream::set_read_timeout(self, Some(timeout))
    }

    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        TcpStream::set_write_timeout(self, Some(timeout))
    }
}

/// Reads lines from a socket.
pub(crate) struct Lines<'a, S> {
    stream: &'a S,
    /// What was read beyond the last line.
    unread: Vec<u8>,
}

impl<'a, S: Stream> Lines<'a, S>
where
    &'a S: Read,
{
    pub(crate) fn of(stream: &'a S) -> Lines<'a, S> {
        Lines { stream, unread: Vec::new() }
    }

    /// The next line, without its end; `None` when there is none any more.
    ///
    /// # Errors
    /// `InvalidData`: it is longer than [`LONGEST`]. `TimedOut`: it has not come as a whole by then.
    pub(crate) fn next(&mut self, by: Instant) -> io::Result<Option<Vec<u8>>> {
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
            self.stream.set_read_timeout(left(by)?)?;
            let mut stream = self.stream;
            match stream.read(&mut part) {
                Ok(0) => return Ok(None),
                Ok(length) => self.unread.extend_from_slice(&part[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(timed_out(error)),
            }
        }
    }
}

/// Writes all of it.
///
/// # Errors
/// `TimedOut`: the other side has not read it as a whole by then.
pub(crate) fn write<'a, S: Stream>(stream: &'a S, text: &[u8], by: Instant) -> io::Result<()>
where
    &'a S: Write,
{
    let (mut to, mut rest) = (stream, text);
    while !rest.is_empty() {
        stream.set_write_timeout(left(by)?)?;
        match to.write(rest) {
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
