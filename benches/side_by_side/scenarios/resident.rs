// SPDX-License-Identifier: MPL-2.0
//! A host with much memory in use: starting a process must not copy its page tables.

use std::thread;

use crate::Result;
use crate::agent::Agent;
use crate::figures::{median, percentile};
use crate::machine;
use crate::measure::SETTLE;
use crate::options::Options;
use crate::targets::Target;
use crate::tools::Tools;

const LITTLE_MIB: u64 = 10;
const PROCESSES: u32 = 100;
/// What has to stay free beside the host.
const SPARE_MIB: u64 = 1024;

pub(super) fn run(options: &Options, tools: &Tools) -> Result<Vec<Target>> {
    let much_mib = options.resident_gib * 1024;
    let available_mib = machine::memory_kib("MemAvailable").unwrap_or(0) / 1024;
    if available_mib < much_mib + SPARE_MIB {
        let reason = format!("{available_mib} MiB of memory can be had here");
        return Ok(vec![Target::unknown(format!("a host with {much_mib} MiB"), reason)]);
    }
    // In turns, for the machine changes from one minute to the next.
    let (mut littles, mut muches, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let [little, much] = [restart_p50_ms(LITTLE_MIB, options, tools)?, restart_p50_ms(much_mib, options, tools)?];
        littles.push(little);
        muches.push(much);
        ratios.push(much / little);
    }
    let rounds = options.rounds;
    Ok(vec![
        Target::told(
            format!("restart by a host with {LITTLE_MIB} MiB, p50, of {rounds} rounds"),
            median(&littles),
            "ms",
        ),
        Target::told(format!("restart by a host with {much_mib} MiB, p50, of {rounds} rounds"), median(&muches), "ms"),
        Target::at_most("the second in terms of the first", median(&ratios), 1.2, "times"),
    ])
}

fn restart_p50_ms(resident_mib: u64, options: &Options, tools: &Tools) -> Result<f64> {
    let mut agent = Agent::start(tools, PROCESSES, &[&format!("resident_mib={resident_mib}")])?;
    thread::sleep(SETTLE);
    let restarts_ms = agent.scene.restarts(PROCESSES, options.kills)?;
    agent.kill()?;
    Ok(percentile(&restarts_ms, 0.5))
}
