// SPDX-License-Identifier: MPL-2.0
//! Whether a process accepts connections: a non-blocking connect.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::answer::Answer;
use crate::declaration::Ready;
use crate::supervisor::process_key::{ProcessKey, readiness_of};
use crate::supervisor::reaper::Reaper;
use crate::supervisor::reaper::awaited_descriptor::AwaitedDescriptor;
use crate::sys::connect::Connecting;
use crate::sys::is_exhausted;

/// How long one attempt may take, before another one is made: the kernel repeats a SYN that was dropped (a full backlog)
/// after one second, then two, then four (tcp(7)), and a process that accepts meanwhile would be ready so much later.
const PATIENCE: Duration = Duration::from_secs(1);

/// The connects to one process, one at a time.
#[derive(Debug, Default)]
pub(crate) struct ConnectProbe {
    under_way: Option<Attempt>,
    failure: Option<io::Error>,
}

/// A connect that was not answered at once.
#[derive(Debug)]
struct Attempt {
    connecting: AwaitedDescriptor<Connecting>,
    to: Ready,
    since: Instant,
}

impl ConnectProbe {
    pub(super) fn ask(&mut self, to: &Ready, now: Instant, reaper: &Arc<Reaper>, key: ProcessKey) -> Answer {
        match self.connect(to, now, reaper, key) {
            Ok(true) => Answer::Ready,
            Ok(false) => Answer::NotReady,
            Err(error) => {
                let answer = if is_exhausted(&error) { Answer::Unknown } else { Answer::NotReady };
                (self.under_way, self.failure) = (None, Some(error));
                answer
            }
        }
    }

    fn connect(&mut self, to: &Ready, now: Instant, reaper: &Arc<Reaper>, key: ProcessKey) -> io::Result<bool> {
        self.under_way.take_if(|attempt| attempt.to != *to);
        if let Some(attempt) = &mut self.under_way {
            // ORDER: also when it took too long: one that is given up although it is connected fills the backlog.
            if attempt.connecting.get().is_connected()? {
                return Ok(true);
            }
            if now.saturating_duration_since(attempt.since) < PATIENCE {
                return Ok(false);
            }
            self.under_way = None;
            self.failure = Some(io::Error::from_raw_os_error(libc::ETIMEDOUT));
        }
        let connecting = match to {
            Ready::Tcp(address) => Connecting::to_tcp(*address)?,
            Ready::Unix(path) => Connecting::to_unix(path)?,
            // It is asked by a command from now on.
            Ready::Command { .. } => return Ok(false),
            // Nothing is probed.
            Ready::Started | Ready::Fd(_) | Ready::Notify => return Ok(true),
        };
        if connecting.is_connected()? {
            return Ok(true);
        }
        let connecting =
            AwaitedDescriptor::writable(connecting, reaper, readiness_of(key)).map_err(|(_, error)| error)?;
        self.under_way = Some(Attempt { connecting, to: to.clone(), since: now });
        Ok(false)
    }

    /// Why it was not ready the last time.
    pub(super) fn why_not(&self, to: &dyn fmt::Display) -> String {
        match &self.failure {
            Some(error) => format!("connect to {to}: {error}"),
            None => format!("connect to {to}: no answer"),
        }
    }
}
