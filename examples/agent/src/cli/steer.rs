// SPDX-License-Identifier: MPL-2.0
//! Commands that have a running agent do something, and print nothing but what went wrong.

use std::time::Duration;

use proxyprocess::Signal;

use crate::control::client::Connection;
use crate::control::protocol::{Answer, Awaited, Request};
use crate::{Result, complain, say};

/// How long a reload may take: as long as is declared, at most a year.
const RELOAD: Duration = Duration::from_secs(366 * 24 * 60 * 60);

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

    /// What it comes to.
    fn awaited(self) -> Awaited {
        match self {
            Steering::Restart | Steering::Start => Awaited::Ready,
            Steering::Stop => Awaited::Stopped,
        }
    }
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
    let begun: Vec<&String> =
        ids.iter().filter(|id| note(agent.command(&steering.request(id), Duration::ZERO))).collect();
    if let Some(timeout) = wait {
        for id in begun {
            note(self::wait(agent, id.clone(), steering.awaited(), timeout));
        }
    }
    result
}

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
