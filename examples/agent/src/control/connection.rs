// SPDX-License-Identifier: MPL-2.0
//! One connection: requests are read and answered in turn, until the client is done, too slow, or says what is no request.

use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::answering::{Client, Ended, refuse};
use super::protocol::{Answer, RefusalCode, Request};
use super::requests;
use crate::agent::Agent;
use crate::clients::Lines;

/// How long a client may take for its next request.
const REQUEST_TIME: Duration = Duration::from_secs(5);

/// Answers a client.
pub(super) fn serve(stream: &UnixStream, agent: &Agent) {
    let mut requests = Lines::of(stream);
    loop {
        let line = match requests.next(Instant::now() + REQUEST_TIME) {
            Ok(Some(line)) => line,
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                return refuse(stream, RefusalCode::BadRequest, &format!("expected a request, got {error}"));
            }
            // It is gone, or has nothing more to say.
            Ok(None) | Err(_) => return,
        };
        let request: Request = match serde_json::from_slice(&line) {
            Ok(request) => request,
            Err(error) => return refuse(stream, RefusalCode::BadRequest, &format!("expected a request: {error}")),
        };
        let last = match requests::perform(agent, request, &Client::of(stream)) {
            Ok(()) => Answer::Done {},
            Err(Ended::Refused(refusal)) => Answer::Error(refusal),
            Err(Ended::Gone) => return,
        };
        if Client::of(stream).tell(&last).is_err() {
            return;
        }
    }
}
