// SPDX-License-Identifier: MPL-2.0
//! How soon the host has the event that a process is ready, after that has said so.

use crate::Result;
use crate::agent::Agent;
use crate::options::Options;
use crate::targets::Target;
use crate::tools::Tools;

/// How often a process says so.
const TIMES: u32 = 201;
/// How many context switches it may take: from the process to the supervisor, and from that to the host.
const SWITCHES: f64 = 2.0;

pub(super) fn run(_: &Options, tools: &Tools) -> Result<Vec<Target>> {
    let mut agent = Agent::start(tools, 1, &["ready=notify", "role=notify-later"])?;
    let answer = agent.ask(&format!("readiness {TIMES}"))?;
    let [p50_ns, p99_ns, least_ns, switch_ns] = answer[..] else {
        return Err(format!("readiness: got {answer:?}").into());
    };
    agent.kill()?;
    let us = |ns: u64| ns as f64 / 1e3;
    Ok(vec![
        Target::at_most(format!("READY=1 to the event, p50 of {TIMES}"), us(p50_ns), SWITCHES * us(switch_ns), "us"),
        Target::told("p99", us(p99_ns), "us"),
        Target::told("the same to a program that does nothing but hear it and wake a thread, p50", us(least_ns), "us"),
        Target::told("one context switch, from idle, by a pipe", us(switch_ns), "us"),
    ])
}
