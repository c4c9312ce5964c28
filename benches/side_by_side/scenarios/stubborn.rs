// SPDX-License-Identifier: MPL-2.0
//! Processes that ignore the signal: all of them have their grace period at the same time, and the status is answered meanwhile.

use crate::Result;
use crate::agent::Agent;
use crate::options::Options;
use crate::targets::Target;
use crate::tools::Tools;

const GRACE_MS: u32 = 5000;
/// How much later than the grace period it may be over.
const LATER_MS: u32 = 500;
/// Within which the status is answered, of all hundred but one.
const STATUS_MS: f64 = 10.0;

pub(super) fn run(options: &Options, tools: &Tools) -> Result<Vec<Target>> {
    let mut agent = Agent::start(tools, options.n, &["role=stubborn", &format!("grace_ms={GRACE_MS}")])?;
    let (stopped_ms, asked) = agent.kill_asked()?;
    let [p50, p99, longest] = asked[..] else { return Err(format!("kill-asked: got {asked:?}").into()) };
    let stopped_s = stopped_ms / 1e3;
    let what = format!("stop {} stubborn ones with a grace period of {} s", options.n, GRACE_MS / 1000);
    Ok(vec![
        Target::at_most(what, stopped_s, f64::from(GRACE_MS + LATER_MS) / 1e3, "s"),
        Target::told("status meanwhile, p50", p50 as f64 / 1e6, "ms"),
        Target::at_most("status meanwhile, p99", p99 as f64 / 1e6, STATUS_MS, "ms"),
        Target::told("status meanwhile, longest", longest as f64 / 1e6, "ms"),
    ])
}
