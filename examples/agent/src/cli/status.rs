// SPDX-License-Identifier: MPL-2.0
//! `agent status`: what the proxies are doing, and why one does not run.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::control::client::Connection;
use crate::control::protocol::{Answer, Request};
use crate::output::log_file::{self, Stream};
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
    let head = ["PROXY", "STATE", "READY", "PID", "GENERATION", "RESTARTS", "LAST EXIT"];
    let mut table = Table::new(Style::of_stdout(), head);
    for proxy in &proxies {
        let colour = colour_of(&proxy.state, proxy.ready).map(|colour| (1, colour));
        table.row(cells(proxy), colour, notes(proxy, agent.data_dir()));
    }
    table.lines().iter().for_each(say);
    Ok(())
}

fn cells(proxy: &Proxy) -> [String; 7] {
    let or_dash = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    [
        plain(&proxy.id).to_string(),
        proxy.state.clone(),
        if proxy.ready { "yes" } else { "no" }.to_owned(),
        or_dash(proxy.pid.map(u64::from)),
        or_dash(proxy.generation),
        proxy.restarts.to_string(),
        proxy.last_exit.clone().unwrap_or_else(|| "-".to_owned()),
    ]
}

fn colour_of(state: &str, ready: bool) -> Option<Colour> {
    match state {
        "running" if ready => Some(Colour::Green),
        "failed" | "waiting" => Some(Colour::Red),
        "stopped" | "closed" => None,
        _ => Some(Colour::Yellow),
    }
}

/// What there is to say about a proxy beside its row.
fn notes(proxy: &Proxy, data_dir: &Path) -> Vec<String> {
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
    if proxy.pid.is_none() && proxy.last_exit.is_some() {
        notes.extend(last_output(data_dir, &proxy.id));
    }
    notes
}

fn other(other: &Other) -> String {
    let generation = other.generation.map_or_else(String::new, |generation| format!(" {generation}"));
    let pid = other.pid.map_or_else(String::new, |pid| format!(", process {pid}"));
    let error = other.last_error.iter().map(|error| format!(", error: {}", plain(error))).collect::<String>();
    format!("other generation{generation}: {}{pid}{error}", other.state)
}

/// The last lines of what a process wrote that has ended: on stderr, or else on stdout.
fn last_output(data_dir: &Path, id: &str) -> Vec<String> {
    for stream in [Stream::Stderr, Stream::Stdout] {
        // A log that cannot be read says nothing, and the rest of the status does.
        let lines = log_file::last_lines(&log_file::path(data_dir, id, stream), LINES).unwrap_or_default();
        if !lines.is_empty() {
            return lines.iter().map(|line| format!("{}: {}", stream.as_str(), plain(line))).collect();
        }
    }
    Vec::new()
}
