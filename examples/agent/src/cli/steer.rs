// SPDX-License-Identifier: MPL-2.0
//! Commands that have a running agent do one thing, and print nothing but what went wrong.

use std::time::Duration;

use proxyprocess::Signal;

use super::proxy_status::{self, ProxyStatus};
use crate::control::client::Connection;
use crate::control::protocol::{Answer, Awaited, Request};
use crate::failure::{Exit, Failure};
use crate::output::plain;
use crate::{Result, say};

/// How long a reload may take: as long as is declared, at most a year.
const RELOAD: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// How long the status may take that is asked for after a wait in vain.
const STATUS: Duration = Duration::from_secs(5);

/// Has a proxy reload its configuration, or the agent its own.
pub(super) fn reload(agent: &mut Connection, id: Option<String>) -> Result<()> {
    agent.command(&Request::Reload { id }, RELOAD)
}

/// Sends a signal to the process of a proxy.
pub(super) fn signal(agent: &mut Connection, id: String, signal: Signal) -> Result<()> {
    let signal = signal.to_string();
    agent.command(&Request::Signal { id, signal }, Duration::ZERO)
}

/// Waits until a proxy is as wanted.
pub(super) fn wait(agent: &mut Connection, id: String, until: Awaited, timeout: Duration) -> Result<()> {
    let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
    agent.command(&Request::Wait { id, timeout_ms, until }, timeout)
}

/// Waits until a proxy is as wanted, and says of one that is not in time what the agent knows.
pub(super) fn wait_or_say_why(agent: &mut Connection, id: String, until: Awaited, timeout: Duration) -> Result<()> {
    let Err(error) = wait(agent, id.clone(), until, timeout) else { return Ok(()) };
    if !has_timed_out(&*error) {
        return Err(error);
    }
    // An agent that has not answered is not waited for once more.
    agent.limit_patience(STATUS);
    let Ok(now) = proxy_status::of_one(agent, &id) else { return Err(error) };
    Err(late(&now, until, timeout).into())
}

/// That a proxy is not as wanted in time, with what the agent knows of it.
pub(super) fn late(now: &ProxyStatus, until: Awaited, timeout: Duration) -> Failure {
    let message = format!("proxy {}: not {} after {timeout:?}", plain(&now.id), until.as_str());
    Failure::with_notes(Exit::TimedOut, message, [vec![now.progress()], now.notes(true)].concat())
}

/// Whether a request has failed because a proxy was not as wanted in time, or because the agent did not answer.
pub(super) fn has_timed_out(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<Failure>().is_some_and(|failure| failure.exit == Exit::TimedOut)
}

/// Prints the version of this program, and that of an agent.
pub(super) fn version(agent: Option<Connection>) -> Result<()> {
    say(format_args!("agent {}", env!("CARGO_PKG_VERSION")));
    let Some(mut agent) = agent else { return Ok(()) };
    agent.ask(&Request::Version {}, Duration::ZERO, |answer| {
        if let Answer::Agent { version, pid, .. } = answer {
            say(format_args!("running: agent {version}, process {pid}"));
        }
        Ok(())
    })
}
