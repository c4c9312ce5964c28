// SPDX-License-Identifier: MPL-2.0
//! The metrics of all proxies, which all run and sleep: what a scrape costs, and what the reads cost of which the first is made.

use crate::Result;
use crate::agent::Agent;
use crate::options::Options;
use crate::targets::Target;
use crate::tools::Tools;

/// How often they are asked for.
const TIMES: u32 = 21;
/// How much processor time a scrape of ten thousand may take.
const OF_TEN_THOUSAND_MS: f64 = 100.0;

pub(super) fn run(options: &Options, tools: &Tools) -> Result<Vec<Target>> {
    let n = options.many;
    let mut agent = Agent::start(tools, n, &[])?;
    let answer = agent.ask(&format!("metrics {TIMES}"))?;
    let [ns, first_ns, reads_ns, bytes] = answer[..] else { return Err(format!("metrics: got {answer:?}").into()) };
    agent.kill()?;
    let limit = OF_TEN_THOUSAND_MS * f64::from(n) / 10_000.0;
    let what = format!("metrics of {n}, processor time, p50 of {TIMES}");
    Ok(vec![
        Target::at_most(what, ns as f64 / 1e6, limit, "ms"),
        Target::told("the first of them, which reads the memory of all", first_ns as f64 / 1e6, "ms"),
        Target::told("statm of all and sizes of logs alone, p50", reads_ns as f64 / 1e6, "ms"),
        Target::told("length of the text", bytes as f64 / 1e6, "MB"),
    ])
}
