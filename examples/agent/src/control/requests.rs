// SPDX-License-Identifier: MPL-2.0
//! What an agent does for each request.

use std::time::{Duration, Instant};

use proxyprocess::{ErrorCode, Signal, WaitFor};

use super::answering::{Client, Ended};
use super::protocol::{Answer, Refusal, RefusalCode, Request};
use crate::agent::Agent;

/// How long to wait for a proxy before looking whether the client is still there.
const WAIT_SLICE: Duration = Duration::from_secs(1);

/// Answers a request, all but the last line.
pub(super) fn perform(agent: &Agent, request: Request, client: &Client<'_>) -> Result<(), Ended> {
    match request {
        Request::Status { id } => status(agent, id.as_deref(), client),
        Request::Declarations {} => declarations(agent, client),
        Request::Restart { id } => Ok(agent.manager.restart(&id)?),
        Request::Reload { id: Some(id) } => Ok(agent.manager.reload(&id)?),
        Request::Reload { id: None } => {
            agent.reload().map_err(|error| Refusal::new(RefusalCode::Failed, error.to_string()).into())
        }
        Request::Signal { id, signal } => {
            let signal: Signal = signal.parse().map_err(|error| bad_request(&error))?;
            Ok(agent.manager.signal(&id, signal)?)
        }
        Request::Wait { id, timeout_ms } => wait(agent, &id, Duration::from_millis(timeout_ms), client),
        Request::Version {} => client.tell(&Answer::Agent {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            program: agent.program().to_string_lossy().into_owned(),
        }),
    }
}

fn status(agent: &Agent, id: Option<&str>, client: &Client<'_>) -> Result<(), Ended> {
    let mut all = agent.manager.status();
    if let Some(id) = id {
        all.retain(|status| status.id == id);
        if all.is_empty() {
            return Err(Refusal::new(RefusalCode::NoSuchProxy, format!("proxy {id}: not managed")).into());
        }
    }
    for status in all {
        client.tell(&Answer::Proxy(serde_json::to_value(&status).map_err(|error| failed(&error))?))?;
    }
    Ok(())
}

fn declarations(agent: &Agent, client: &Client<'_>) -> Result<(), Ended> {
    let followed = agent.followed();
    client.tell(&Answer::Manager { proxy_env: followed.proxy_env })?;
    for (id, proxy) in followed.proxies {
        let declared = serde_json::to_value(proxy.to_json()).map_err(|error| failed(&error))?;
        client.tell(&Answer::Declaration { id, declared })?;
    }
    Ok(())
}

/// Waits in slices: a client that goes away must not keep its thread.
fn wait(agent: &Agent, id: &str, timeout: Duration, client: &Client<'_>) -> Result<(), Ended> {
    let begun = Instant::now();
    loop {
        let left = timeout.saturating_sub(begun.elapsed());
        match agent.manager.wait_until(id, WaitFor::Running, left.min(WAIT_SLICE)) {
            Err(error) if error.code() == ErrorCode::Timeout && left > WAIT_SLICE => {}
            Err(error) if error.code() == ErrorCode::Timeout => {
                let message = format!("proxy {id}: not ready after {timeout:?}");
                return Err(Refusal::new(RefusalCode::TimedOut, message).into());
            }
            waited => return Ok(waited?),
        }
        if client.is_gone() {
            return Err(Ended::Gone);
        }
    }
}

fn bad_request(error: &dyn std::error::Error) -> Refusal {
    Refusal::new(RefusalCode::BadRequest, error.to_string())
}

fn failed(error: &dyn std::error::Error) -> Refusal {
    Refusal::new(RefusalCode::Failed, error.to_string())
}
