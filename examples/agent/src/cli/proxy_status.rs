// SPDX-License-Identifier: MPL-2.0
//! The status of a proxy as its agent tells it, as far as commands show or use it, and what there is to say about it.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::cause;
use crate::Result;
use crate::control::client::Connection;
use crate::control::protocol::{Answer, Request};
use crate::failure::{Exit, Failure};
use crate::output::log_file::LogFile;
use crate::output::plain;

/// How many of the last lines of standard output are looked at: as many as the library keeps of standard error.
const LINES: usize = 10;

/// How many of a log are looked at for why a process has ended, where these do not say it.
const BEFORE: usize = 100;

/// How long a process must have run until nothing is said of the one before it: one that crashes again and again runs for an
/// instant each time.
const WELL: Duration = Duration::from_secs(10);

/// How the error begins of a process that serves on because the next one cannot be started.
const NOT_REPLACED: &str = "not replaced: ";

/// What a proxy is doing; it has more in JSON.
#[derive(Debug, Deserialize)]
pub(super) struct ProxyStatus {
    pub(super) id: String,
    mode: String,
    pub(super) state: String,
    pub(super) ready: bool,
    pub(super) pid: Option<u32>,
    pub(super) generation: Option<u64>,
    adopted: bool,
    pub(super) restarts: u64,
    pub(super) last_exit: Option<String>,
    next_start_ms: Option<u64>,
    pub(super) last_error: Option<String>,
    hint: Option<String>,
    status_text: Option<String>,
    unproven: Vec<Process>,
    pub(super) other: Option<Other>,
    state_ms: Option<u64>,
    pub(super) uptime_ms: Option<u64>,
    pub(super) last_exit_by: Option<String>,
    last_stderr: Vec<String>,
    stdout_log: Option<String>,
    stderr_log: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Process {
    pid: u32,
    program: String,
    why: String,
}

/// The other generation of a handover.
#[derive(Debug, Deserialize)]
pub(super) struct Other {
    generation: Option<u64>,
    state: String,
    pid: Option<u32>,
    last_error: Option<String>,
    next_start_ms: Option<u64>,
    last_exit: Option<String>,
    #[serde(default)]
    last_stderr: Vec<String>,
}

/// Hands the status of all proxies to `take`, or that of one.
///
/// # Errors
/// When the agent cannot be asked, or has no such proxy; what `take` fails with.
pub(super) fn each(
    agent: &mut Connection,
    id: Option<String>,
    mut take: impl FnMut(Value) -> Result<()>,
) -> Result<()> {
    agent.ask(&Request::Status { id }, Duration::ZERO, |answer| match answer {
        Answer::Proxy(status) => take(status),
        _ => Ok(()),
    })
}

/// The status of all proxies, or of one.
///
/// # Errors
/// When the agent cannot be asked, or has no such proxy.
pub(super) fn of(agent: &mut Connection, id: Option<String>) -> Result<Vec<ProxyStatus>> {
    let mut proxies = Vec::new();
    each(agent, id, |status| {
        proxies.push(serde_json::from_value(status)?);
        Ok(())
    })?;
    Ok(proxies)
}

/// The status of one proxy.
///
/// # Errors
/// When the agent cannot be asked, or has no such proxy.
pub(super) fn of_one(agent: &mut Connection, id: &str) -> Result<ProxyStatus> {
    let found = of(agent, Some(id.to_owned()))?.pop();
    found.ok_or_else(|| no_such_proxy(id).into())
}

pub(super) fn no_such_proxy(id: &str) -> Failure {
    Failure::new(Exit::NoSuchProxy, format!("proxy {}: not managed", plain(id)))
}

impl ProxyStatus {
    /// Whether it is one that is run, paused and restarted by the agent.
    pub(super) fn is_daemon(&self) -> bool {
        self.mode == "daemon"
    }

    /// How long it has been in its state; of a process that runs, also before this agent has adopted it.
    pub(super) fn lasting_ms(&self) -> Option<u64> {
        match self.state.as_str() {
            "running" if self.adopted => self.uptime_ms.or(self.state_ms),
            _ => self.state_ms,
        }
    }

    /// What there is to say about it beside its row: of what its process wrote the lines that are kept, or only the one that
    /// says most about its end.
    pub(super) fn notes(&self, with_all_lines: bool) -> Vec<String> {
        let mut notes = Vec::new();
        if self.adopted && self.pid.is_some() {
            notes.push("started by an earlier agent".to_owned());
        }
        notes.extend(self.next_start_ms.map(next_start));
        notes.extend(self.last_error.iter().map(|error| format!("error: {}", plain(error))));
        notes.extend(self.hint.iter().map(|hint| format!("hint: {}", plain(hint))));
        notes.extend(self.status_text.iter().map(|text| format!("says: {}", plain(text))));
        notes.extend(self.other.iter().map(other));
        let unproven = |process: &Process| {
            format!("may be its own: process {} ({}: {})", process.pid, plain(&process.program), plain(&process.why))
        };
        notes.extend(self.unproven.iter().map(unproven));
        notes.extend(self.last_lines(with_all_lines));
        notes
    }

    /// What it is doing now, for one that waits for something else.
    pub(super) fn progress(&self) -> String {
        if self.ready && self.other.is_some() {
            return "its process is ready, and the next one of a handover is awaited".to_owned();
        }
        let exit = self.last_exit.as_ref().map_or_else(String::new, |exit| format!(", last exit: {exit}"));
        format!("state: {}{exit}", self.state)
    }

    /// What a process wrote that has ended by itself, until the one after it has run for a while, or while the next process of a
    /// handover has not come.
    fn last_lines(&self, all: bool) -> Vec<String> {
        let has_lasted = self.uptime_ms.is_none_or(|ms| Duration::from_millis(ms) >= WELL);
        let is_well = self.ready && has_lasted && self.other.is_none();
        if is_well || matches!(self.last_exit_by.as_deref(), None | Some("stop")) {
            return Vec::new();
        }
        let of_next = self.other.as_ref().map_or(&[][..], |next| &next.last_stderr);
        let (name, lines, log) = match (of_next, &self.last_stderr[..]) {
            ([], []) => ("stdout", last_of(self.stdout_log.as_deref(), LINES), &self.stdout_log),
            ([], lines) | (lines, _) => ("stderr", lines.to_vec(), &self.stderr_log),
        };
        let cause = cause::cause(&lines).map(|at| lines[at].clone()).or_else(|| cause_before(&lines, log.as_deref()));
        let shown = |line: &String| format!("{name}: {}", plain(line));
        if !all {
            return cause.or_else(|| lines.last().cloned()).iter().map(shown).collect();
        }
        // Where there is one line alone, nothing is to be found.
        let probably = cause.iter().filter(|_| lines.len() > 1).map(|line| format!("probably why: {}", plain(line)));
        probably.chain(lines.iter().map(shown)).collect()
    }

    /// Why its process runs on that was to be replaced by another one, if it does so because that cannot be started.
    pub(super) fn why_not_replaced(&self) -> Option<&String> {
        self.last_error.as_ref().filter(|error| self.pid.is_some() && error.starts_with(NOT_REPLACED))
    }

    /// Why the start that was asked for when the proxy was like `before` has failed, if it has.
    pub(super) fn failed_start(&self, before: &ProxyStatus) -> Option<String> {
        if let Some(why) = self.why_not_replaced() {
            return Some(why.clone());
        }
        let ended = || self.last_exit.as_ref().map(|exit| format!("ended soon after its start: {exit}"));
        match self.state.as_str() {
            "waiting" | "failed" => {
                // The error of an earlier start stays until a process is ready.
                let is_of_earlier = self.state == "waiting"
                    && self.generation != before.generation
                    && self.last_error == before.last_error
                    && self.last_exit_by.as_deref() == Some("itself");
                let error = self.last_error.clone().filter(|_| !is_of_earlier);
                error.or_else(ended).or_else(|| Some("could not be started".to_owned()))
            }
            _ => {
                // One that waits for its turn, and not for its next start, has not failed.
                let has_failed = |next: &&Other| next.state == "waiting" && next.next_start_ms.is_some();
                let next = self.other.as_ref().filter(has_failed)?;
                let exit = || next.last_exit.as_ref().map(|exit| format!("its next process ended soon: {exit}"));
                let error = |error: &String| format!("its next process could not be started: {error}");
                next.last_error.as_ref().map(error).or_else(exit)
            }
        }
    }

    /// Whether what its last process wrote may still be about to be read.
    pub(super) fn may_say_more(&self) -> bool {
        let lines = self.other.as_ref().map_or(&self.last_stderr, |next| &next.last_stderr);
        lines.is_empty() && self.last_exit_by.as_deref().is_some_and(|by| by != "stop")
    }

    /// Whether the stop of its last process had to end with SIGKILL.
    pub(super) fn was_killed(&self) -> bool {
        self.last_exit_by.as_deref() == Some("stop") && self.last_exit.as_deref() == Some("signal SIGKILL")
    }
}

fn next_start(ms: u64) -> String {
    format!("next start in {:.1} s", Duration::from_millis(ms).as_secs_f64())
}

fn other(other: &Other) -> String {
    let generation = other.generation.map_or_else(String::new, |generation| format!(" {generation}"));
    let mut parts = vec![format!("other generation{generation}: {}", other.state)];
    parts.extend(other.pid.map(|pid| format!("process {pid}")));
    parts.extend(other.next_start_ms.map(next_start));
    parts.extend(other.last_exit.iter().map(|exit| format!("last exit: {exit}")));
    parts.extend(other.last_error.iter().map(|error| format!("error: {}", plain(error))));
    parts.join(", ")
}

/// The last lines of a log; none where there is none. One that cannot be read says nothing, and the rest of the status does.
fn last_of(log: Option<&str>, count: usize) -> Vec<String> {
    let read = |path: &str| {
        let mut log = LogFile::new(path);
        log.skip_to_last(count)?;
        log.next_part()
    };
    let text = log.and_then(|path| read(path).ok()).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
}

/// The line before these that says why, if they are the last ones of the log: of the same process, or of one that ended like it.
fn cause_before(lines: &[String], log: Option<&str>) -> Option<String> {
    let last = lines.last()?;
    let written = last_of(log, BEFORE);
    let is_it = written.iter().rfind(|line| !line.trim().is_empty()).is_some_and(|line| line.trim_end() == last);
    is_it.then(|| cause::last_cause(&written).map(|at| written[at].clone())).flatten()
}
