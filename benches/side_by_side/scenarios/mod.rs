// SPDX-License-Identifier: MPL-2.0
//! This library against its targets, one after the other.

mod adopted;
mod change;
mod changes;
mod crashloop;
mod declarations;
mod disk;
mod escaped;
mod floor;
mod guarantees;
mod metrics;
mod most;
mod readiness;
mod resident;
mod scale;
mod status;
mod stubborn;

use crate::Result;
use crate::options::Options;
use crate::targets::Target;
use crate::tools::{SPARE_DESCRIPTORS, Tools};

/// Something to measure that has targets.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    run: fn(&Options, &Tools) -> Result<Vec<Target>>,
}

/// All there are.
const ALL: [Scenario; 15] = [
    Scenario { name: "scale", about: "ten times as many processes", run: scale::run },
    Scenario { name: "most", about: "as many processes as the machine can have", run: most::run },
    Scenario { name: "adopted", about: "the processes of an agent that was killed", run: adopted::run },
    Scenario { name: "stubborn", about: "processes that do not stop when they are told to", run: stubborn::run },
    Scenario { name: "escaped", about: "processes that left the group, with and without cgroups", run: escaped::run },
    Scenario { name: "change", about: "a change of one proxy among few and among many", run: change::run },
    Scenario { name: "status", about: "the status of all", run: status::run },
    Scenario { name: "metrics", about: "the metrics of all", run: metrics::run },
    Scenario { name: "readiness", about: "the event that a process is ready", run: readiness::run },
    Scenario { name: "disk", about: "what one restart among many writes", run: disk::run },
    Scenario { name: "crashloop", about: "one process that always ends", run: crashloop::run },
    Scenario { name: "resident", about: "a host with much memory", run: resident::run },
    Scenario { name: "changes", about: "a hundred thousand changes in a second", run: changes::run },
    Scenario { name: "declarations", about: "many more declarations than processes", run: declarations::run },
    Scenario { name: "guarantees", about: "what each guarantee costs", run: guarantees::run },
];

/// Those that are called so; `all` is the name of all.
pub(crate) fn named(names: &[String]) -> Result<Vec<&'static Scenario>> {
    let mut found = Vec::new();
    for name in names {
        let before = found.len();
        found.extend(ALL.iter().filter(|scenario| name == "all" || scenario.name == name));
        if found.len() == before {
            return Err(format!("--scenario: unknown name {name:?}").into());
        }
    }
    Ok(found)
}

/// How many descriptors these take at the most, in one process, where that is more than the machine may allow by default.
pub(crate) fn descriptors_of(scenarios: &[&Scenario], options: &Options) -> u64 {
    let has_most = scenarios.iter().any(|scenario| scenario.name == "most");
    if has_most { u64::from(options.most) + SPARE_DESCRIPTORS } else { 0 }
}

impl Scenario {
    /// Measures it. What fails is a target that is not met.
    pub(crate) fn measure(&self, options: &Options, tools: &Tools) -> Vec<Target> {
        (self.run)(options, tools).unwrap_or_else(|error| vec![Target::failed(error.to_string())])
    }
}
