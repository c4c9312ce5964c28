// SPDX-License-Identifier: MPL-2.0
//! Processes that ignore the signal: all of them have their grace period at the same time.

use crate::Result;
use crate::agent::Agent;
use crate::options::Options;
use crate::targets::Target;
use crate::tools::Tools;

const GRACE_MS: u32 = 5000;
/// How much later than the grace period it may be over.
const LATER_MS: u32 = 500;

pub(super) fn run(options: &Options, tools: &Tools) -> Result<Vec<Target>> {
    let mut agent = Agent::start(tools, options.n, &["role=stubborn", &format!("grace_ms={GRACE_MS}")])?;
    let stopped_s = agent.kill()? / 1e3;
    let what = format!("stop {} stubborn ones with a grace period of {} s", options.n, GRACE_MS / 1000);
    Ok(vec![Target::at_most(what, stopped_s, f64::from(GRACE_MS + LATER_MS) / 1e3, "s")])
}
