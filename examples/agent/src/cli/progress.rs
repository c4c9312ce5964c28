// SPDX-License-Identifier: MPL-2.0
//! A line that says what a stop still waits for, on a terminal alone.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use proxyprocess::defaults::DAEMON_GRACE_PERIOD;
use serde_json::Value;

use super::declarations;
use super::proxy_status::{self, ProxyStatus};
use crate::Result;
use crate::control::client::Connection;
use crate::output::plain;

/// How often the line is written anew.
pub(super) const PERIOD: Duration = Duration::from_secs(1);

/// The line, until it is dropped.
#[derive(Default)]
pub(super) struct StopProgress {
    /// How long the stop of each proxy takes at most; asked for when it is first needed.
    times: Option<BTreeMap<String, u64>>,
    is_shown: bool,
}

impl StopProgress {
    /// A line, if anything can be seen of it.
    pub(super) fn of_terminal() -> Option<StopProgress> {
        io::stderr().is_terminal().then(StopProgress::default)
    }

    /// Says which of all proxies are still being stopped.
    ///
    /// # Errors
    /// When the agent cannot be asked.
    pub(super) fn show(&mut self, agent: &mut Connection) -> Result<()> {
        if self.times.is_none() {
            self.times = Some(times(agent)?);
        }
        let times = self.times.iter().flatten().map(|(id, ms)| (id.as_str(), *ms)).collect();
        match line(&proxy_status::of(agent, None)?, &times) {
            Some(line) => {
                self.is_shown = true;
                // Written over the last one.
                write(&format!("\r\x1b[K{line}"));
            }
            None => self.clear(),
        }
        Ok(())
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.is_shown) {
            write("\r\x1b[K");
        }
    }
}

impl Drop for StopProgress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn write(text: &str) {
    let mut stderr = io::stderr();
    // The terminal may be gone.
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

fn times(agent: &mut Connection) -> Result<BTreeMap<String, u64>> {
    let declared = declarations::of_all(agent)?;
    Ok(declared.into_iter().map(|(id, declared)| (id, time_of_stop(&declared))).collect())
}

fn time_of_stop(declared: &Value) -> u64 {
    match declared["stop"].as_array() {
        Some(steps) => steps.iter().filter_map(|step| step["for_ms"].as_u64()).sum(),
        None => declared["grace_period_ms"].as_u64().unwrap_or_else(default_time),
    }
}

/// The time between the stop signal and SIGKILL where nothing is declared.
fn default_time() -> u64 {
    u64::try_from(DAEMON_GRACE_PERIOD.as_millis()).unwrap_or(u64::MAX)
}

/// The proxy whose stop may take longest, and how many there are; a step may have had more time, and then nothing is said of it.
fn line(proxies: &[ProxyStatus], times: &BTreeMap<&str, u64>) -> Option<String> {
    let stopping: Vec<&ProxyStatus> = proxies.iter().filter(|proxy| proxy.state == "stopping").collect();
    let left = |proxy: &ProxyStatus| {
        let time = times.get(proxy.id.as_str()).copied().unwrap_or_else(default_time);
        time.saturating_sub(proxy.lasting_ms().unwrap_or(0))
    };
    let last = stopping.iter().max_by_key(|proxy| left(proxy))?;
    let when = match left(last).div_ceil(1000) {
        0 => "still stopping".to_owned(),
        seconds => format!("SIGKILL in {seconds} s"),
    };
    let others = match stopping.len() - 1 {
        0 => String::new(),
        others => format!(" ({others} more)"),
    };
    Some(format!("{}: {when}{others}", plain(&last.id)))
}
