// SPDX-License-Identifier: MPL-2.0
//! One proxy is declared anew: from the end of the quiescent period to the first instruction of its new process.

use proxyprocess::defaults::MANAGER_QUIESCENT_PERIOD;

use crate::Result;
use crate::agent::Agent;
use crate::figures::{milliseconds, percentile};
use crate::options::Options;
use crate::targets::Target;
use crate::tools::Tools;

const FEW: u32 = 10;
/// How many changes are made, each after the one before was followed.
const CHANGES: u32 = 10;

pub(super) fn run(options: &Options, tools: &Tools) -> Result<Vec<Target>> {
    let [few, many] = [among(FEW, tools)?, among(options.many, tools)?];
    let what = |n: u32| format!("one of {n} changed, from the end of the quiescent period, p50 of {CHANGES}");
    Ok(vec![
        Target::told(what(FEW), few, "ms"),
        Target::told(what(options.many), many, "ms"),
        Target::at_most("the second in terms of the first", many / few, 2.0, "times"),
    ])
}

fn among(n: u32, tools: &Tools) -> Result<f64> {
    let mut agent = Agent::start(tools, n, &[])?;
    let quiescent_ms = MANAGER_QUIESCENT_PERIOD.as_secs_f64() * 1e3;
    let mut latencies_ms = Vec::new();
    for change in 0..CHANGES {
        let id = change * (n / CHANGES.min(n)) % n;
        let old = agent.scene.beacons.of(id)?.pid;
        let declared_ns = agent.ask(&format!("set {id} {change}"))?[0];
        let birth = agent.scene.beacons.wait_for_successor(id, old)?;
        latencies_ms.push(milliseconds(birth.at_ns.saturating_sub(declared_ns)) - quiescent_ms);
    }
    agent.kill()?;
    Ok(percentile(&latencies_ms, 0.5))
}
