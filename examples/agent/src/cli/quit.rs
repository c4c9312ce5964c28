// SPDX-License-Identifier: MPL-2.0
//! `agent quit`: the end of an agent.

use std::thread;
use std::time::{Duration, Instant};

use super::progress::{self, StopProgress};
use crate::Result;
use crate::control::client::Connection;
use crate::control::protocol::Request;
use crate::failure::{Exit, Failure};

/// Between two looks whether the agent has ended.
const PAUSE: Duration = Duration::from_millis(20);

/// Ends an agent, and waits so long for that.
///
/// # Errors
/// When it cannot be asked, or with [`Exit::TimedOut`] has not ended by then.
pub(super) fn quit(agent: &mut Connection, stop: bool, wait: Option<Duration>) -> Result<()> {
    let process = agent.pid().and_then(|pid| Some((pid, start_time(pid)?)));
    if let Some(timeout) = wait {
        agent.limit_patience(timeout);
    }
    if let Err(error) = agent.command(&Request::Quit { stop }, Duration::ZERO) {
        // It may have ended before it could say that it will.
        if error.downcast_ref::<Failure>().is_none_or(|failure| failure.exit != Exit::NoAgent) {
            return Err(error);
        }
    }
    let Some(timeout) = wait else { return Ok(()) };
    let begun = Instant::now();
    let (mut progress, mut shown) = (StopProgress::of_terminal(), Instant::now());
    loop {
        let has_ended = match &process {
            Some((pid, start)) => start_time(*pid).as_ref() != Some(start),
            // It is in another pid namespace, or hidden (hidepid of proc(5)).
            None => agent.has_ended(),
        };
        if has_ended {
            return Ok(());
        }
        if begun.elapsed() >= timeout {
            let message = format!("the agent in {} has not ended after {timeout:?}", agent.data_dir().display());
            return Err(Failure::new(Exit::TimedOut, message).into());
        }
        thread::sleep(PAUSE);
        if shown.elapsed() >= progress::PERIOD {
            // An agent that does not answer any more has ended, which is seen above.
            progress = progress.and_then(|mut line| line.show(agent).is_ok().then_some(line));
            shown = Instant::now();
        }
    }
}

/// When a process was started that lives, as proc_pid_stat(5) has it: another one that gets its pid has another time. One whose
/// first thread has ended lives, with its descriptors, until its last thread has.
fn start_time(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may have any characters, and ends at the last parenthesis; the state comes next.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let has_ended = matches!(fields.next()?, "Z" | "X");
    let threads = fields.nth(16)?;
    let start = fields.nth(1)?;
    (!has_ended || threads != "1").then(|| start.to_owned())
}
