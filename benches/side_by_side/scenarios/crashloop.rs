// SPDX-License-Identifier: MPL-2.0
//! One process ends whenever it is started: what that costs the supervisor, and the others. With the backoff that holds
//! by default, and without any, which should not be declared.

use std::thread;
use std::time::Instant;

use crate::Result;
use crate::agent::Agent;
use crate::figures::{milliseconds, percentile};
use crate::measure::SETTLE;
use crate::options::Options;
use crate::procfs;
use crate::targets::Target;
use crate::tools::Tools;

/// How much longer the restart of another one may take meanwhile: what one measurement differs from the next.
const NOISE: f64 = 1.2;
/// CPU of a second that a loop with backoff may cost.
const LITTLE_MS: f64 = 1.0;

/// What a supervisor does in a second with or without the loop, and how fast it restarts others.
struct Load {
    crashes_per_s: f64,
    cpu_ms_per_s: f64,
    switches_per_s: f64,
    restart_p50_ms: f64,
    restart_p99_ms: f64,
    begun: u64,
}

pub(super) fn run(options: &Options, tools: &Tools) -> Result<Vec<Target>> {
    let quiet = load(options, tools, &[])?;
    let backoff = load(options, tools, &["crash=backoff"])?;
    let at_once = load(options, tools, &["crash=at-once"])?;
    let others = options.many;
    let mut targets = vec![
        Target::told(format!("restart of another of {others} without a crash loop, p50"), quiet.restart_p50_ms, "ms"),
        Target::told("the same, p99", quiet.restart_p99_ms, "ms"),
    ];
    for (how, load) in [("backoff", &backoff), ("no wait at all", &at_once)] {
        targets.push(Target::told(format!("crash loop with {how}"), load.crashes_per_s, "crashes a second"));
        let cpu = format!("with {how}, CPU");
        targets.push(if std::ptr::eq(load, &backoff) {
            Target::at_most(cpu, load.cpu_ms_per_s, LITTLE_MS, "ms a second")
        } else {
            Target::told(cpu, load.cpu_ms_per_s, "ms a second")
        });
        targets.push(Target::told(format!("with {how}, switches"), load.switches_per_s, "a second"));
        targets.push(Target::exactly(format!("with {how}, others that restarted"), load.begun as f64, 0.0, ""));
        targets.push(Target::told(format!("with {how}, restart of another, p50"), load.restart_p50_ms, "ms"));
        targets.push(Target::told(format!("with {how}, restart of another, p99"), load.restart_p99_ms, "ms"));
    }
    let times = backoff.restart_p50_ms / quiet.restart_p50_ms;
    targets.push(Target::at_most("with backoff, p50 in terms of none", times, NOISE, "times"));
    Ok(targets)
}

fn load(options: &Options, tools: &Tools, settings: &[&str]) -> Result<Load> {
    let n = options.many;
    let mut agent = Agent::start(tools, n, settings)?;
    thread::sleep(SETTLE);
    let crashes_before = crashes(&mut agent)?;
    let processes = agent.scene.tree();
    let (before, since) = (procfs::usage(&processes), Instant::now());
    thread::sleep(options.idle);
    let (after, seconds) = (procfs::usage(&processes), since.elapsed().as_secs_f64());
    let crashes = crashes(&mut agent)? - crashes_before;
    let begun = agent.scene.beacons.heard() - u64::from(n);
    let restarts_ms = agent.scene.restarts(n, options.kills)?;
    agent.kill()?;
    Ok(Load {
        crashes_per_s: crashes as f64 / seconds,
        cpu_ms_per_s: milliseconds(after.cpu_ns - before.cpu_ns) / seconds,
        switches_per_s: (after.switches - before.switches) as f64 / seconds,
        restart_p50_ms: percentile(&restarts_ms, 0.5),
        restart_p99_ms: percentile(&restarts_ms, 0.99),
        begun,
    })
}

fn crashes(agent: &mut Agent) -> Result<u64> {
    let answer = agent.ask("status 1")?;
    Ok(*answer.get(3).ok_or("status: expected four numbers")?)
}
