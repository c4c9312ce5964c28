// SPDX-License-Identifier: MPL-2.0
//! `agent events`: what has happened, and happens.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use crate::Result;
use crate::control::client::Connection;
use crate::control::protocol::{Answer, Request};
use crate::output::plain;

/// Prints so many of the last events, or all that there are, and with `follow` those that come, until the agent ends or the
/// reader is gone.
///
/// # Errors
/// When the agent cannot be asked, or ends.
pub(super) fn events(mut agent: Connection, last: Option<usize>, follow: bool, json: bool) -> Result<()> {
    let mut is_read = true;
    let each = |answer| {
        let Answer::Event { event, text } = answer else { return Ok(()) };
        let line = if json { event.to_string() } else { format!("{} {}", time_of(&event), plain(&text)) };
        is_read = writeln!(io::stdout(), "{line}").and_then(|()| io::stdout().flush()).is_ok();
        if is_read { Ok(()) } else { Err("its reader is gone".into()) }
    };
    let request = Request::Events { last, follow };
    let asked =
        if follow { agent.follow(&request, Duration::MAX, each) } else { agent.ask(&request, Duration::ZERO, each) };
    if is_read { asked } else { Ok(()) }
}

fn time_of(event: &serde_json::Value) -> impl std::fmt::Display {
    let at = Duration::from_nanos(event["at_unix_ns"].as_u64().unwrap_or(0));
    humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + at)
}
