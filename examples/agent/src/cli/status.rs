// SPDX-License-Identifier: MPL-2.0
//! `agent status`: what the proxies are doing, and why one does not run.

use super::proxy_status::{self, ProxyStatus};
use crate::control::client::Connection;
use crate::output::{Colour, Style, Table, plain};
use crate::{Result, say};

/// Prints the status of all proxies, or of one.
///
/// # Errors
/// When the agent cannot be asked, or has no such proxy.
pub(super) fn status(mut agent: Connection, id: Option<String>, json: bool) -> Result<()> {
    if json {
        return proxy_status::each(&mut agent, id, |status| {
            say(status);
            Ok(())
        });
    }
    let is_one = id.is_some();
    let proxies = proxy_status::of(&mut agent, id)?;
    let head = ["PROXY", "STATE", "FOR", "READY", "PID", "GENERATION", "RESTARTS", "LAST EXIT"];
    let mut table = Table::new(Style::of_stdout(), head);
    for proxy in &proxies {
        let colour = colour_of(&proxy.state, proxy.ready).map(|colour| (1, colour));
        table.row(cells(proxy), colour, proxy.notes(is_one));
    }
    table.lines().iter().for_each(say);
    Ok(())
}

fn cells(proxy: &ProxyStatus) -> [String; 8] {
    let or_dash = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    [
        plain(&proxy.id).to_string(),
        proxy.state.clone(),
        proxy.lasting_ms().map_or_else(|| "-".to_owned(), short),
        if proxy.ready { "yes" } else { "no" }.to_owned(),
        or_dash(proxy.pid.map(u64::from)),
        or_dash(proxy.generation),
        proxy.restarts.to_string(),
        last_exit(proxy),
    ]
}

fn last_exit(proxy: &ProxyStatus) -> String {
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
