// SPDX-License-Identifier: MPL-2.0
//! `agent status`: what the proxies are doing, and why one does not run.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::control::client::Connection;
use crate::control::protocol::{Answer, Request};
use crate::output::log_file::LogFile;
use crate::output::{Colour, Style, Table, plain};
use crate::{Result, say};

/// How many lines of the output of a process are shown that has ended.
const LINES: usize = 3;

/// What is shown of the status of a proxy; it has more in JSON.
#[derive(Debug, Deserialize)]
struct Proxy {
    id: String,
    state: String,
    ready: bool,
    pid: Option<u32>,
    generation: Option<u64>,
    adopted: bool,
    restarts: u64,
    last_exit: Option<String>,
    next_start_ms: Option<u64>,
    last_error: Option<String>,
    hint: Option<String>,
    status_text: Option<String>,
    unproven: Vec<Process>,
    other: Option<Other>,
    state_ms: Option<u64>,
    last_exit_by: Option<String>,
    last_stderr: Vec<String>,
    stdout_log: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Process {
    pid: u32,
    program: String,
    why: String,
}

#[derive(Debug, Deserialize)]
struct Other {
    generation: Option<u64>,
    state: String,
    pid: Option<u32>,
    last_error: Option<String>,
}

/// Prints the status of all proxies, or of one.
///
/// # Errors
/// When the agent cannot be asked, or has no such proxy.
pub(super) fn status(mut agent: Connection, id: Option<String>, json: bool) -> Result<()> {
    let mut proxies: Vec<Proxy> = Vec::new();
    let mut take = |status: Value| -> Result<()> {
        if json {
            say(status);
        } else {
            proxies.push(serde_json::from_value(status)?);
        }
        Ok(())
    };
    agent.ask(&Request::Status { id }, Duration::ZERO, |answer| match answer {
        Answer::Proxy(status) => take(status),
        _ => Ok(()),
    })?;
    if json {
        return Ok(());
    }
    let head = ["PROXY", "STATE", "FOR", "READY", "PID", "GENERATION", "RESTARTS", "LAST EXIT"];
    let mut table = Table::new(Style::of_stdout(), head);
    for proxy in &proxies {
        let colour = colour_of(&proxy.state, proxy.ready).map(|colour| (1, colour));
        table.row(cells(proxy), colour, notes(proxy));
    }
    table.lines().iter().for_each(say);
    Ok(())
}

fn cells(proxy: &Proxy) -> [String; 8] {
    let or_dash = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    [
        plain(&proxy.id).to_string(),
        proxy.state.clone(),
        proxy.state_ms.map_or_else(|| "-".to_owned(), short),
        if proxy.ready { "yes" } else { "no" }.to_owned(),
        or_dash(proxy.pid.map(u64::from)),
        or_dash(proxy.generation),
        proxy.restarts.to_string(),
        last_exit(proxy),
    ]
}

fn last_exit(proxy: &Proxy) -> String {
    match (proxy.last_exit.as_deref(), proxy.last_exit_by.as_deref()) {
        (None, _) => "-".to_owned(),
        (Some(exit), None | Some("itself")) => exit.to_owned(),
        (Some(exit), Some(by)) => format!("{exit} ({by})"),
    }
}

fn colour_of(state: &str, ready: bool) -> Option<Colour> {
    match state {
        "running" if ready => Some(Colour::Green),
        "failed" | "waiting" => Some(Colour::Red),
        "stopped" | "paused" | "closed" => None,
        _ => Some(Colour::Yellow),
    }
}

/// What there is to say about a proxy beside its row.
fn notes(proxy: &Proxy) -> Vec<String> {
    let mut notes = Vec::new();
    if proxy.adopted {
        notes.push("started by an earlier agent".to_owned());
    }
    notes.extend(
        proxy.next_start_ms.map(|ms| format!("next start in {:.1} s", Duration::from_millis(ms).as_secs_f64())),
    );
    notes.extend(proxy.last_error.iter().map(|error| format!("error: {}", plain(error))));
    notes.extend(proxy.hint.iter().map(|hint| format!("hint: {}", plain(hint))));
    notes.extend(proxy.status_text.iter().map(|text| format!("says: {}", plain(text))));
    notes.extend(proxy.other.iter().map(other));
    let unproven = |process: &Process| {
        format!("may be its own: process {} ({}: {})", process.pid, plain(&process.program), plain(&process.why))
    };
    notes.extend(proxy.unproven.iter().map(unproven));
    let ended_by_a_stop = matches!(proxy.last_exit_by.as_deref(), None | Some("stop"));
    if proxy.ready || ended_by_a_stop {
        return notes;
    }
    let from = proxy.last_stderr.len().saturating_sub(LINES);
    notes.extend(proxy.last_stderr[from..].iter().map(|line| format!("stderr: {}", plain(line))));
    if proxy.last_stderr.is_empty() {
        notes.extend(last_stdout(proxy).iter().map(|line| format!("stdout: {}", plain(line))));
    }
    notes
}

fn other(other: &Other) -> String {
    let generation = other.generation.map_or_else(String::new, |generation| format!(" {generation}"));
    let pid = other.pid.map_or_else(String::new, |pid| format!(", process {pid}"));
    let error = other.last_error.iter().map(|error| format!(", error: {}", plain(error))).collect::<String>();
    format!("other generation{generation}: {}{pid}{error}", other.state)
}

/// The last lines of what a process wrote to its standard output; none where it has no log.
fn last_stdout(proxy: &Proxy) -> Vec<String> {
    let Some(path) = &proxy.stdout_log else { return Vec::new() };
    // One that cannot be read says nothing, and the rest of the status does.
    let read = || {
        let mut log = LogFile::new(path);
        log.skip_to_last(LINES)?;
        log.next_part()
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).lines().map(str::to_owned).collect()
}

/// A time with its two largest units: `3d 4h`, `5m 12s`.
fn short(ms: u64) -> String {
    let seconds = ms / 1000;
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds}s"),
        (0, 0, minutes, seconds) => format!("{minutes}m {seconds}s"),
        (0, hours, minutes, _) => format!("{hours}h {minutes}m"),
        (days, hours, ..) => format!("{days}d {hours}h"),
    }
}
