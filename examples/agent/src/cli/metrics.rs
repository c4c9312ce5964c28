// SPDX-License-Identifier: MPL-2.0
//! `agent metrics`: the metrics of an agent, as a collector reads them.

use std::io::{self, ErrorKind, Write};
use std::time::Duration;

use crate::Result;
use crate::control::client::Connection;
use crate::control::protocol::{Answer, Request};

/// Prints the metrics in the text format of Prometheus, as they are.
///
/// # Errors
/// When the agent cannot be asked, or the output cannot be written: a collector must not take half of it for all.
pub(super) fn metrics(agent: &mut Connection) -> Result<()> {
    let mut metrics = String::new();
    agent.ask(&Request::Metrics {}, Duration::ZERO, |answer| {
        if let Answer::Metrics { text } = answer {
            metrics = text;
        }
        Ok(())
    })?;
    let mut stdout = io::stdout().lock();
    match stdout.write_all(metrics.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(format!("print metrics: {error}").into()),
        _ => Ok(()),
    }
}
