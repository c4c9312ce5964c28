// SPDX-License-Identifier: MPL-2.0
//! Processes each of which has ten children in sessions of their own: found by a scan, or in their cgroup.

use crate::Result;
use crate::agent::Agent;
use crate::machine;
use crate::options::Options;
use crate::targets::Target;
use crate::tools::Tools;

/// How many times sooner a stop is to be over with cgroups.
const SOONER: f64 = 5.0;

pub(super) fn run(options: &Options, tools: &Tools) -> Result<Vec<Target>> {
    let what = format!("stop {} with ten children each in sessions of their own", options.n);
    if let Some(reason) = machine::lacks_cgroups() {
        return Ok(vec![Target::unknown(what, reason)]);
    }
    let stop = |settings: &[&str]| Agent::start(tools, options.n, settings)?.kill();
    let by_scan_s = stop(&["role=escapes"])? / 1e3;
    let by_cgroup_s = stop(&["role=escapes", "cgroup=required"])? / 1e3;
    Ok(vec![
        Target::told(format!("{what}, by scans"), by_scan_s, "s"),
        Target::at_most(format!("{what}, by cgroups"), by_cgroup_s, by_scan_s / SOONER, "s"),
    ])
}
