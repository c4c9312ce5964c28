// SPDX-License-Identifier: MPL-2.0
//! The status of all proxies: how long it takes, and that no process is disturbed by it.

use crate::Result;
use crate::agent::Agent;
use crate::options::Options;
use crate::targets::Target;
use crate::tools::Tools;

/// How often it is asked for.
const TIMES: u32 = 21;
/// How much more than its share of the time the status of many may take.
const LINEAR: f64 = 1.1;

pub(super) fn run(options: &Options, tools: &Tools) -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    let mut times_ms = Vec::new();
    for n in [options.n, options.many] {
        let mut agent = Agent::start(tools, n, &[])?;
        let answer = agent.ask(&format!("status {TIMES}"))?;
        let [ns, count, running, _] = answer[..] else { return Err(format!("status: got {answer:?}").into()) };
        if (count, running) != (n.into(), n.into()) {
            return Err(format!("status: {count} proxies, {running} of them run, expected {n}").into());
        }
        targets.push(Target::told(format!("status of {n}, p50 of {TIMES}"), ns as f64 / 1e6, "ms"));
        let begun = agent.scene.beacons.heard() - u64::from(n);
        targets.push(Target::exactly(format!("restarts meanwhile among {n}"), begun as f64, 0.0, ""));
        times_ms.push(ns as f64 / 1e6);
        agent.kill()?;
    }
    let times = f64::from(options.many) / f64::from(options.n);
    let what = format!("status of {} in terms of {}", options.many, options.n);
    targets.push(Target::at_most(what, times_ms[1] / times_ms[0], LINEAR * times, "times"));
    Ok(targets)
}
