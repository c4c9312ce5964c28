// SPDX-License-Identifier: MPL-2.0
//! What is sent to a client, in bounded time.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::protocol::{Answer, Refusal, RefusalCode};
use crate::clients;

/// How long a client may take to read an answer as a whole.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// A client that has asked for something.
pub(super) struct Client<'a> {
    stream: &'a UnixStream,
    /// By when it must have read its answer.
    by: Instant,
}

/// Why no more is answered.
pub(super) enum Ended {
    /// The request cannot be granted; the client is told.
    Refused(Refusal),
    /// The client is gone or reads too slowly.
    Gone,
}

impl From<Refusal> for Ended {
    fn from(refusal: Refusal) -> Ended {
        Ended::Refused(refusal)
    }
}

impl From<proxyprocess::Error> for Ended {
    fn from(error: proxyprocess::Error) -> Ended {
        Ended::Refused(error.into())
    }
}

impl<'a> Client<'a> {
    pub(super) fn of(stream: &'a UnixStream) -> Client<'a> {
        Client { stream, by: Instant::now() + ANSWER_TIME }
    }

    /// The same client, who has all the time of an answer from now on.
    pub(super) fn with_all_its_time(&self) -> Client<'a> {
        Client::of(self.stream)
    }

    /// Sends one line.
    pub(super) fn tell(&self, answer: &Answer) -> Result<(), Ended> {
        send(self.stream, answer, self.by).map_err(|_| Ended::Gone)
    }

    /// Whether the client has closed its end. One that only sends no more requests is not gone.
    pub(super) fn is_gone(&self) -> bool {
        let mut ends = [PollFd::new(self.stream.as_fd(), PollFlags::empty())];
        poll(&mut ends, PollTimeout::ZERO).is_ok_and(|ended| ended > 0)
    }
}

/// Says why a client is not answered, if that can be said at once.
pub(super) fn refuse(stream: &UnixStream, code: RefusalCode, message: &str) {
    // It may not read at all, or be gone.
    let _ = stream.set_nonblocking(true);
    let _ = send(stream, &Answer::Error(Refusal::new(code, message)), Instant::now() + ANSWER_TIME);
}

fn send(stream: &UnixStream, answer: &Answer, by: Instant) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    clients::write(stream, &line, by)
}
