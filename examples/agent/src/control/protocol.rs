// SPDX-License-Identifier: MPL-2.0
//! Requests and answers. A request is one line; its answers are lines too, of which the last is `done` or `error`.

use std::collections::BTreeMap;

use proxyprocess::{Error, ErrorCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What an agent is asked for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// What all proxies are doing, or one: `proxy` lines.
    Status {
        #[serde(default)]
        id: Option<String>,
    },
    /// The configuration that the agent follows: a `manager` line and `declaration` lines.
    Declarations {},
    /// Restart one proxy; answered when the restart has begun.
    Restart { id: String },
    /// Have one proxy reload its configuration; without an id the agent reads its own again.
    Reload {
        #[serde(default)]
        id: Option<String>,
    },
    /// Send a signal to the process of one proxy.
    Signal { id: String, signal: String },
    /// Stop one proxy until it is started; answered when the stop has begun.
    Stop { id: String },
    /// Start one proxy that is paused, has failed, or waits for its next start; answered when the start has begun.
    Start { id: String },
    /// End the agent as its configuration says, or after it has stopped all proxies; answered when that begins.
    Quit {
        #[serde(default)]
        stop: bool,
    },
    /// Answer when one proxy is as wanted.
    Wait {
        id: String,
        timeout_ms: u64,
        #[serde(default)]
        until: Awaited,
    },
    /// So many of the last events, or all that are kept, and with `follow` those that come: `event` lines.
    Events {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last: Option<usize>,
        #[serde(default)]
        follow: bool,
    },
    /// Figures for a collector: a `metrics` line.
    Metrics {},
    /// Which agent this is: an `agent` line.
    Version {},
}

/// What a proxy is waited for to be.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Awaited {
    #[default]
    Ready,
    Completed,
    /// As clients of earlier versions call it.
    #[serde(alias = "stopped")]
    Paused,
}

impl Awaited {
    pub(crate) const ALL: [Awaited; 3] = [Awaited::Ready, Awaited::Completed, Awaited::Paused];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Awaited::Ready => "ready",
            Awaited::Completed => "completed",
            Awaited::Paused => "paused",
        }
    }
}

/// One line of an answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// The status of a proxy.
    Proxy(Value),
    /// What a proxy is declared as.
    Declaration { id: String, declared: Value },
    /// The agent itself; `program` is what `{self}` stands for in its configuration.
    Agent { version: String, pid: u32, program: String, data_dir: String },
    /// Something that happened, with the same as text.
    Event { event: Value, text: String },
    /// The metrics of the manager and its proxies, in the text format of Prometheus.
    Metrics { text: String },
    /// What is declared for all proxies: variables as `NAME=value`, and what no reload changes, by its name.
    Manager {
        proxy_env: Vec<String>,
        #[serde(default)]
        fixed: Option<BTreeMap<String, String>>,
    },
    /// All went well. The last line.
    Done {},
    /// Why it did not. The last line.
    Error(Refusal),
}

/// One line of an answer, as it is read: that of a later version may have lines of other kinds.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Line {
    Known(Answer),
    Other {},
}

/// Why a request was not granted.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) code: RefusalCode,
    pub(crate) message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RefusalCode {
    /// The line is no request.
    BadRequest,
    /// The agent has no proxy of this id.
    NoSuchProxy,
    /// The proxy has no process now.
    NotRunning,
    /// What was waited for has not come in time.
    TimedOut,
    /// The agent has as many connections as it takes.
    Busy,
    /// Anything else, also what a later version may say; the message says what.
    #[serde(other)]
    Failed,
}

impl Refusal {
    pub(crate) fn new(code: RefusalCode, message: impl Into<String>) -> Refusal {
        Refusal { code, message: message.into() }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        let code = match error.code() {
            ErrorCode::NotFound => RefusalCode::NoSuchProxy,
            ErrorCode::NotRunning | ErrorCode::Paused => RefusalCode::NotRunning,
            ErrorCode::Timeout => RefusalCode::TimedOut,
            _ => RefusalCode::Failed,
        };
        Refusal::new(code, error.to_string())
    }
}
