// SPDX-License-Identifier: MPL-2.0
//! `agent restart`, `stop` and `start`: what is begun for several proxies at once, and what comes of it.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use super::progress::{self, StopProgress};
use super::proxy_status::{self, ProxyStatus};
use super::steer;
use crate::control::client::Connection;
use crate::control::protocol::{Answer, Awaited, Request};
use crate::failure::{Exit, Failure};
use crate::output::plain;
use crate::{Result, complain, say};

/// How long a process must have run before it is said to be started: many end at once.
const SETTLED: Duration = Duration::from_secs(1);

/// Between two looks at a proxy that is being started.
const SLICE: Duration = Duration::from_millis(100);

/// How long to wait for what a process wrote that has ended, which the agent reads then.
const LAST_LINES: Duration = Duration::from_millis(500);

/// What is done to each of several proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Steering {
    Restart,
    Stop,
    Start,
}

impl Steering {
    fn request(self, id: &str) -> Request {
        let id = id.to_owned();
        match self {
            Steering::Restart => Request::Restart { id },
            Steering::Stop => Request::Stop { id },
            Steering::Start => Request::Start { id },
        }
    }
}

/// The proxies that `--all` means.
pub(super) fn all(agent: &mut Connection, steering: Steering) -> Result<Vec<String>> {
    let mut disabled = BTreeSet::new();
    agent.ask(&Request::Declarations {}, Duration::ZERO, |answer| {
        match answer {
            Answer::Declaration { id, declared } if declared["enabled"] == false => drop(disabled.insert(id)),
            _ => {}
        }
        Ok(())
    })?;
    let is_meant = |proxy: &ProxyStatus| {
        let is_left = proxy.state == "completed" || (steering == Steering::Restart && proxy.state == "paused");
        proxy.is_daemon() && !disabled.contains(&proxy.id) && !is_left
    };
    let proxies = proxy_status::of(agent, None)?;
    Ok(proxies.into_iter().filter(is_meant).map(|proxy| proxy.id).collect())
}

/// Does this to each of the proxies, and waits so long for what it comes to. One that fails does not keep the others from it.
///
/// # Errors
/// The first failure; all others are printed.
pub(super) fn each(agent: &mut Connection, steering: Steering, ids: &[String], wait: Option<Duration>) -> Result<()> {
    let mut result = Ok(());
    let mut note = |failed: Result<()>| {
        if let Err(error) = failed {
            match &result {
                Ok(()) => result = Err(error),
                Err(_) => complain(error),
            }
            return false;
        }
        true
    };
    let mut begun: Vec<(&String, ProxyStatus)> = Vec::new();
    for id in ids {
        let begin = begin(agent, steering, id).map(|before| begun.push((id, before)));
        note(begin);
    }
    let Some(timeout) = wait else { return result };
    let mut started = Vec::new();
    for (id, before) in begun {
        match steering {
            Steering::Stop => drop(note(await_stop(agent, id, &before, timeout))),
            Steering::Restart | Steering::Start => {
                if note(await_start(agent, id, timeout)) {
                    started.push(id);
                }
            }
        }
    }
    for id in started {
        note(await_settled(agent, id, timeout));
    }
    result
}

/// Begins with one proxy, and returns how it was before.
fn begin(agent: &mut Connection, steering: Steering, id: &str) -> Result<ProxyStatus> {
    let before = proxy_status::of_one(agent, id)?;
    let has_completed = steering == Steering::Start && before.state == "completed";
    agent.command(&if has_completed { Steering::Restart } else { steering }.request(id), Duration::ZERO)?;
    if has_completed {
        say(format_args!("{}: had completed, and is started again", plain(id)));
    }
    Ok(before)
}

/// Waits until a proxy is stopped, and says if that took SIGKILL.
fn await_stop(agent: &mut Connection, id: &str, before: &ProxyStatus, timeout: Duration) -> Result<()> {
    match StopProgress::of_terminal() {
        None => steer::wait(agent, id.to_owned(), Awaited::Stopped, timeout)?,
        Some(progress) => await_visibly(agent, id, timeout, progress)?,
    }
    if before.pid.is_some() && proxy_status::of_one(agent, id)?.was_killed() {
        complain(format_args!("proxy {}: did not end in its time, and was killed (SIGKILL)", plain(id)));
    }
    Ok(())
}

/// Waits until a proxy is stopped, with a line that says so.
fn await_visibly(agent: &mut Connection, id: &str, timeout: Duration, mut progress: StopProgress) -> Result<()> {
    let begun = Instant::now();
    loop {
        let left = timeout.saturating_sub(begun.elapsed());
        match steer::wait(agent, id.to_owned(), Awaited::Stopped, left.min(progress::PERIOD)) {
            Err(error) if has_timed_out(&*error) && left > progress::PERIOD => progress.show(agent)?,
            Err(error) if has_timed_out(&*error) => {
                let message = format!("proxy {id}: not stopped after {timeout:?}");
                return Err(Failure::new(Exit::TimedOut, message).into());
            }
            waited => return waited,
        }
    }
}

fn has_timed_out(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<Failure>().is_some_and(|failure| failure.exit == Exit::TimedOut)
}

/// Waits until a proxy is ready or has completed, or its start has failed.
fn await_start(agent: &mut Connection, id: &str, timeout: Duration) -> Result<()> {
    let by = Instant::now().checked_add(timeout);
    loop {
        let left = by.map_or(SLICE, |by| by.saturating_duration_since(Instant::now()).min(SLICE));
        let Err(error) = steer::wait(agent, id.to_owned(), Awaited::Ready, left) else { return Ok(()) };
        let now = proxy_status::of_one(agent, id)?;
        if now.state == "completed" {
            return Ok(());
        }
        if now.failed_start().is_some() {
            return Err(not_started(agent, id)?.into());
        }
        if !has_timed_out(&*error) {
            return Err(error);
        }
        if by.is_some_and(|by| by <= Instant::now()) {
            let message = format!("proxy {id}: not ready after {timeout:?}");
            return Err(Failure::new(Exit::TimedOut, message).into());
        }
    }
}

/// Waits until the process of a proxy has run for a while. One that has completed meanwhile, or is stopped, is well too.
fn await_settled(agent: &mut Connection, id: &str, timeout: Duration) -> Result<()> {
    let by = Instant::now().checked_add(timeout);
    let mut first = None;
    while by.is_none_or(|by| Instant::now() < by) {
        let now = proxy_status::of_one(agent, id)?;
        let is_next = *first.get_or_insert(now.generation) != now.generation;
        if now.failed_start().is_some() || (is_next && now.last_exit_by.as_deref() != Some("stop")) {
            return Err(not_started(agent, id)?.into());
        }
        let has_settled = match now.state.as_str() {
            // Of proxies of another kind it is not known how long they have run.
            "running" => now.uptime_ms.is_none_or(|ms| Duration::from_millis(ms) >= SETTLED),
            state => matches!(state, "completed" | "paused" | "stopped" | "closed"),
        };
        if has_settled {
            break;
        }
        thread::sleep(SLICE);
    }
    Ok(())
}

/// The failure of a start, with all that the agent knows about it.
fn not_started(agent: &mut Connection, id: &str) -> Result<Failure> {
    let begun = Instant::now();
    let now = loop {
        let now = proxy_status::of_one(agent, id)?;
        if !now.may_say_more() || begun.elapsed() >= LAST_LINES {
            break now;
        }
        thread::sleep(SLICE / 5);
    };
    let exit = || now.last_exit.as_ref().map(|exit| format!("ended soon after its start: {exit}"));
    let why = now.failed_start().or_else(exit).unwrap_or_else(|| "could not be started".to_owned());
    let mut message = format!("proxy {}: {}", plain(id), plain(&why));
    for note in now.notes(true).into_iter().filter(|note| *note != format!("error: {}", plain(&why))) {
        message.push_str("\n    ");
        message.push_str(&note);
    }
    Ok(Failure::new(Exit::Failure, message))
}
