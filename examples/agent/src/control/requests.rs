// SPDX-License-Identifier: MPL-2.0
//! What an agent does for each request.

use std::time::{Duration, Instant};

use proxyprocess::{Error, ErrorCode, Event, Signal, WaitFor};

use super::answering::{Client, Ended};
use super::protocol::{Answer, Awaited, Refusal, RefusalCode, Request};
use crate::agent::Agent;

/// How long to wait for a proxy before looking whether the client is still there.
const WAIT_SLICE: Duration = Duration::from_secs(1);

/// Answers a request, all but the last line.
pub(super) fn perform(agent: &Agent, request: Request, client: &Client<'_>) -> Result<(), Ended> {
    match request {
        Request::Status { id } => status(agent, id.as_deref(), client),
        Request::Declarations {} => declarations(agent, client),
        Request::Restart { id } => Ok(agent.manager.restart(&id).map_err(|error| refusal(agent, &id, error))?),
        Request::Reload { id: Some(id) } => {
            Ok(agent.manager.reload(&id).map_err(|error| refusal(agent, &id, error))?)
        }
        Request::Reload { id: None } => {
            agent.reload().map_err(|error| Refusal::new(RefusalCode::Failed, error.to_string()).into())
        }
        Request::Signal { id, signal } => {
            let signal: Signal = signal.parse().map_err(|error| bad_request(&error))?;
            Ok(agent.manager.signal(&id, signal)?)
        }
        Request::Stop { id } => Ok(agent.manager.pause(&id)?),
        Request::Start { id } => {
            agent.manager.resume(&id).map_err(|error| refusal(agent, &id, error))?;
            Ok(agent.manager.retry(&id)?)
        }
        Request::Quit { stop } => agent.quit(stop).map_err(|error| failed(&*error).into()),
        Request::Wait { id, timeout_ms, until } => wait(agent, &id, until, Duration::from_millis(timeout_ms), client),
        Request::Events { last, follow } => events(agent, last, follow, client),
        Request::Metrics {} => client.tell(&Answer::Metrics { text: agent.manager.metrics() }),
        Request::Version {} => client.tell(&Answer::Agent {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            program: agent.program().to_string_lossy().into_owned(),
            data_dir: agent.data_dir().to_string_lossy().into_owned(),
        }),
    }
}

fn status(agent: &Agent, id: Option<&str>, client: &Client<'_>) -> Result<(), Ended> {
    let told = match id {
        Some(id) => vec![agent.manager.status_of(id)?],
        None => agent.manager.status(),
    };
    for status in told {
        client.tell(&Answer::Proxy(serde_json::to_value(&status).map_err(|error| failed(&error))?))?;
    }
    Ok(())
}

fn declarations(agent: &Agent, client: &Client<'_>) -> Result<(), Ended> {
    let followed = agent.followed();
    client.tell(&Answer::Manager { proxy_env: followed.proxy_env, fixed: Some(followed.fixed) })?;
    for (id, proxy) in followed.proxies {
        let declared = serde_json::to_value(proxy.to_json()).map_err(|error| failed(&error))?;
        client.tell(&Answer::Declaration { id, declared })?;
    }
    Ok(())
}

/// Waits in slices: a client that goes away must not keep its thread.
fn wait(agent: &Agent, id: &str, until: Awaited, timeout: Duration, client: &Client<'_>) -> Result<(), Ended> {
    let wanted = match until {
        Awaited::Ready => WaitFor::Running,
        Awaited::Completed => WaitFor::Completed,
        Awaited::Paused => WaitFor::Paused,
    };
    let begun = Instant::now();
    loop {
        let left = timeout.saturating_sub(begun.elapsed());
        match agent.manager.wait_until(id, wanted, left.min(WAIT_SLICE)) {
            Err(error) if error.code() == ErrorCode::Timeout && left > WAIT_SLICE => {}
            Err(error) if error.code() == ErrorCode::Timeout => {
                let message = format!("proxy {id}: not {} after {timeout:?}", until.as_str());
                return Err(Refusal::new(RefusalCode::TimedOut, message).into());
            }
            waited => return Ok(waited.map_err(|error| refusal(agent, id, error))?),
        }
        if client.is_gone() {
            return Err(Ended::Gone);
        }
    }
}

/// So many of those that were kept, and then those that come.
fn events(agent: &Agent, last: Option<usize>, follow: bool, client: &Client<'_>) -> Result<(), Ended> {
    // ORDER: the reader is there before the kept ones are taken, and skips those that are among them.
    let mut coming = agent.manager.events();
    let kept = agent.recent_events();
    let newest = kept.last().map_or(0, |event| event.number);
    let skipped = last.map_or(0, |last| kept.len().saturating_sub(last));
    for event in &kept[skipped..] {
        tell_event(event, client)?;
    }
    if !follow {
        return Ok(());
    }
    loop {
        match coming.next_timeout(WAIT_SLICE) {
            Some(event) if event.number <= newest => {}
            Some(event) => tell_event(&event, &client.with_all_its_time())?,
            // The process of an agent that has ended may end before it could say so: then the connection is its last word.
            None if client.is_gone() || coming.is_ended() => return Err(Ended::Gone),
            None => {}
        }
    }
}

fn tell_event(event: &Event, client: &Client<'_>) -> Result<(), Ended> {
    let told = serde_json::to_value(event).map_err(|error| failed(&error))?;
    client.tell(&Answer::Event { event: told, text: event.to_string() })
}

/// A refusal that names the proxy, and says of a paused one what has it run again.
fn refusal(agent: &Agent, id: &str, error: Error) -> Refusal {
    let is_paused = error.code() == ErrorCode::Paused;
    let mut refusal = Refusal::from(error);
    // The error with which a proxy has failed is only its own.
    if !refusal.message.starts_with("proxy ") {
        refusal.message = format!("proxy {id}: {}", refusal.message);
    }
    if is_paused {
        let is_disabled = agent.followed().proxies.get(id).is_some_and(|declared| !declared.enabled);
        let remedy =
            if is_disabled { "it is declared with \"enabled\": false" } else { "agent start ID runs it again" };
        refusal.message = format!("{}: {remedy}", refusal.message);
    }
    refusal
}

fn bad_request(error: &dyn std::error::Error) -> Refusal {
    Refusal::new(RefusalCode::BadRequest, error.to_string())
}

fn failed(error: &dyn std::error::Error) -> Refusal {
    Refusal::new(RefusalCode::Failed, error.to_string())
}
