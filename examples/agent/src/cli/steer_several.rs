// SPDX-License-Identifier: MPL-2.0
//! `agent restart`, `stop` and `start`: what is begun for several proxies at once, and what comes of it.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::declarations;
use super::progress::{self, StopProgress};
use super::proxy_status::{self, ProxyStatus};
use super::steer::{self, has_timed_out};
use crate::control::client::Connection;
use crate::control::protocol::{Awaited, Request};
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
    Ok(meant(agent, steering)?.into_iter().map(|proxy| proxy.id).collect())
}

/// How those are.
fn meant(agent: &mut Connection, steering: Steering) -> Result<Vec<ProxyStatus>> {
    let declared = declarations::of_all(agent)?;
    let is_disabled = |id: &str| declared.get(id).is_some_and(|declared| declared["enabled"] == false);
    let is_meant = |proxy: &ProxyStatus| {
        let is_left = proxy.state == "completed" || (steering == Steering::Restart && proxy.state == "paused");
        proxy.is_daemon() && !is_disabled(&proxy.id) && !is_left
    };
    let proxies = proxy_status::of(agent, None)?;
    Ok(proxies.into_iter().filter(is_meant).collect())
}

/// Waits until all that [`all`] means of a restart are ready, and says of each that is not in time what the agent knows. What has
/// completed meanwhile, or is paused or removed, is not waited for any more; nor are those that have failed, once no other is late.
///
/// # Errors
/// The last that is late or has failed; those before it are printed. When the agent ends.
pub(super) fn wait_for_all(agent: &mut Connection, timeout: Duration) -> Result<()> {
    let limit = Limit { timeout, by: Instant::now().checked_add(timeout) };
    loop {
        let limit_is_over = limit.is_over();
        let meant = meant(agent, Steering::Restart)?;
        let late: Vec<&ProxyStatus> = meant.iter().filter(|now| !now.ready).collect();
        let awaited = late.iter().find(|now| now.state != "failed").or(late.first());
        let Some(awaited) = awaited else { return Ok(()) };
        if let (true, [others @ .., last]) = (limit_is_over, &late[..]) {
            others.iter().for_each(|now| complain(steer::late(now, Awaited::Ready, timeout)));
            return Err(steer::late(last, Awaited::Ready, timeout).into());
        }
        if let ("failed", [others @ .., last]) = (awaited.state.as_str(), &late[..]) {
            for failed in others {
                if let Err(error) = steer::wait(agent, failed.id.clone(), Awaited::Ready, SLICE) {
                    complain(error);
                }
            }
            return steer::wait(agent, last.id.clone(), Awaited::Ready, SLICE);
        }
        // The status of all is asked for when one of them is ready, and not over and over.
        let is_ready = steer::wait(agent, awaited.id.clone(), Awaited::Ready, limit.left());
        if is_ready.is_err_and(|error| !has_timed_out(&*error)) {
            thread::sleep(SLICE);
        }
    }
}

/// Does this to each of the proxies, and waits so long, from when it has begun with all, for what it comes to. One that fails
/// does not keep the others from it.
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
    let before = statuses(agent, ids)?;
    let mut begun: Vec<&String> = Vec::new();
    for id in ids {
        let now = before.get(id).ok_or_else(|| proxy_status::no_such_proxy(id).into());
        if note(now.and_then(|now| begin(agent, steering, now))) {
            begun.push(id);
        }
    }
    let Some(timeout) = wait else { return result };
    let limit = Limit { timeout, by: Instant::now().checked_add(timeout) };
    match steering {
        Steering::Stop => {
            begun.retain(|id| note(await_stop(agent, id, &limit)));
            begun.retain(|id| before.get(*id).is_some_and(|before| before.pid.is_some()));
            note(say_who_was_killed(agent, &begun));
        }
        Steering::Restart | Steering::Start => {
            begun.retain(|id| before.get(*id).is_some_and(|before| note(await_start(agent, before, &limit))));
            let failed = await_settled(agent, begun, &before, &limit, |failed| {
                note(failed);
            });
            note(failed);
        }
    }
    result
}

/// How long is waited for proxies that began at the same time.
struct Limit {
    timeout: Duration,
    /// None where the time is too far away.
    by: Option<Instant>,
}

impl Limit {
    /// What is left of it; nothing less than what an agent needs to answer.
    fn left(&self) -> Duration {
        self.by.map_or(self.timeout, |by| by.saturating_duration_since(Instant::now())).max(SLICE)
    }

    fn is_over(&self) -> bool {
        self.by.is_some_and(|by| by <= Instant::now())
    }

    fn timed_out(&self, id: &str, what: &str) -> Failure {
        Failure::new(Exit::TimedOut, format!("proxy {}: not {what} after {:?}", plain(id), self.timeout))
    }
}

/// How these proxies are, by id, with one request: the agent makes the status of all for each.
fn statuses<I: AsRef<str>>(agent: &mut Connection, ids: &[I]) -> Result<BTreeMap<String, ProxyStatus>> {
    let one = match ids {
        [id] => Some(id.as_ref().to_owned()),
        _ => None,
    };
    Ok(proxy_status::of(agent, one)?.into_iter().map(|status| (status.id.clone(), status)).collect())
}

/// Begins with one proxy that was like this before.
fn begin(agent: &mut Connection, steering: Steering, before: &ProxyStatus) -> Result<()> {
    let id = &before.id;
    let has_completed = steering == Steering::Start && before.state == "completed";
    agent.command(&if has_completed { Steering::Restart } else { steering }.request(id), Duration::ZERO)?;
    if has_completed {
        say(format_args!("{}: had completed, and is started again", plain(id)));
    }
    Ok(())
}

/// Waits until a proxy is paused: its process has ended.
fn await_stop(agent: &mut Connection, id: &str, limit: &Limit) -> Result<()> {
    if let Some(progress) = StopProgress::of_terminal() {
        return await_visibly(agent, id, limit, progress);
    }
    match steer::wait(agent, id.to_owned(), Awaited::Paused, limit.left()) {
        Err(error) if has_timed_out(&*error) => Err(limit.timed_out(id, "paused").into()),
        waited => waited,
    }
}

/// Says which of these proxies, which were stopped, took SIGKILL, unless that is the signal that they declare.
fn say_who_was_killed(agent: &mut Connection, ids: &[&String]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let now = statuses(agent, ids)?;
    let mut killed: Vec<&String> =
        ids.iter().copied().filter(|id| now.get(*id).is_some_and(ProxyStatus::was_killed)).collect();
    if killed.is_empty() {
        return Ok(());
    }
    let declared = declarations::of_all(agent)?;
    killed.retain(|id| !declared.get(*id).is_some_and(stops_by_sigkill));
    for id in killed {
        complain(format_args!("proxy {}: did not end in its time, and was killed (SIGKILL)", plain(id)));
    }
    Ok(())
}

fn stops_by_sigkill(declared: &Value) -> bool {
    declared["stop_signal"] == "SIGKILL"
        || declared["stop"].as_array().is_some_and(|steps| steps.iter().any(|step| step["signal"] == "SIGKILL"))
}

/// The same, with a line that says what is waited for.
fn await_visibly(agent: &mut Connection, id: &str, limit: &Limit, mut progress: StopProgress) -> Result<()> {
    loop {
        let left = limit.left();
        match steer::wait(agent, id.to_owned(), Awaited::Paused, left.min(progress::PERIOD)) {
            Err(error) if has_timed_out(&*error) && left > progress::PERIOD => progress.show(agent)?,
            Err(error) if has_timed_out(&*error) => return Err(limit.timed_out(id, "paused").into()),
            waited => return waited,
        }
    }
}

/// Waits until a proxy is ready or has completed, or its start has failed.
fn await_start(agent: &mut Connection, before: &ProxyStatus, limit: &Limit) -> Result<()> {
    let id = &before.id;
    loop {
        let left = limit.left().min(SLICE);
        let Err(error) = steer::wait(agent, id.to_owned(), Awaited::Ready, left) else { return Ok(()) };
        let now = proxy_status::of_one(agent, id)?;
        if now.state == "completed" {
            return Ok(());
        }
        if now.failed_start(before).is_some() {
            return Err(not_started(agent, before)?.into());
        }
        if !has_timed_out(&*error) {
            return Err(error);
        }
        if limit.is_over() {
            return Err(limit.timed_out(id, "ready").into());
        }
    }
}

/// Waits until the processes of proxies have run for a while, also when their time is over before. Those that have completed
/// meanwhile, or are paused, are well too.
fn await_settled(
    agent: &mut Connection,
    mut ids: Vec<&String>,
    before: &BTreeMap<String, ProxyStatus>,
    limit: &Limit,
    mut note: impl FnMut(Result<()>),
) -> Result<()> {
    let by = limit.by.map(|by| by.max(Instant::now() + 2 * SETTLED));
    let mut first = BTreeMap::new();
    while !ids.is_empty() {
        let all = statuses(agent, &ids)?;
        let is_late = by.is_some_and(|by| by <= Instant::now());
        let mut waiting = Vec::new();
        for id in ids {
            let (Some(now), Some(before)) = (all.get(id), before.get(id)) else {
                note(Err(proxy_status::no_such_proxy(id).into()));
                continue;
            };
            let is_next = *first.entry(id).or_insert(now.generation) != now.generation;
            if now.failed_start(before).is_some() || (is_next && now.last_exit_by.as_deref() != Some("stop")) {
                note(not_started(agent, before).and_then(|failure| Err(failure.into())));
            } else if has_settled(now) {
                continue;
            } else if is_late {
                note(Err(limit.timed_out(id, "ready").into()));
            } else {
                waiting.push(id);
            }
        }
        ids = waiting;
        if !ids.is_empty() {
            thread::sleep(SLICE);
        }
    }
    Ok(())
}

fn has_settled(now: &ProxyStatus) -> bool {
    match now.state.as_str() {
        // Of proxies of another kind it is not known how long they have run.
        "running" => now.uptime_ms.is_none_or(|ms| Duration::from_millis(ms) >= SETTLED),
        state => matches!(state, "completed" | "paused" | "stopped" | "closed"),
    }
}

/// The failure of a start, with all that the agent knows about it.
fn not_started(agent: &mut Connection, before: &ProxyStatus) -> Result<Failure> {
    let id = &before.id;
    let (begun, mut ended) = (Instant::now(), None);
    let now = loop {
        let now = proxy_status::of_one(agent, id)?;
        // After a first failure the next process is started at once. If that ends as well, there are a hint and the next start.
        let runs_again = now.other.is_none()
            && now.why_not_replaced().is_none()
            && matches!(now.state.as_str(), "idle" | "adopting" | "starting" | "running" | "clearing" | "stopping");
        let is_known = if runs_again {
            begun.elapsed() >= 2 * SETTLED
        } else {
            !now.may_say_more() || ended.get_or_insert_with(Instant::now).elapsed() >= LAST_LINES
        };
        if is_known {
            break now;
        }
        thread::sleep(SLICE / 5);
    };
    let exit = || now.last_exit.as_ref().map(|exit| format!("ended soon after its start: {exit}"));
    let why = now.failed_start(before).or_else(exit).unwrap_or_else(|| "could not be started".to_owned());
    let notes = now.notes(true).into_iter().filter(|note| *note != format!("error: {}", plain(&why)));
    Ok(Failure::with_notes(Exit::Failure, format!("proxy {}: {}", plain(id), plain(&why)), notes))
}
