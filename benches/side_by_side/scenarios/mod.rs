// SPDX-License-Identifier: MPL-2.0
//! This library against its targets, one after the other.

mod adopted;
mod change;
mod changes;
mod crashloop;
mod disk;
mod escaped;
mod floor;
mod metrics;
mod resident;
mod scale;
mod status;
mod stubborn;

use crate::Result;
use crate::options::Options;
use crate::targets::Target;
use crate::tools::Tools;

/// Something to measure that has targets.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    run: fn(&Options, &Tools) -> Result<Vec<Target>>,
}

/// All there are.
const ALL: [Scenario; 11] = [
    Scenario { name: "scale", about: "ten times as many processes", run: scale::run },
    Scenario { name: "adopted", about: "the processes of an agent that was killed", run: adopted::run },
    Scenario { name: "stubborn", about: "processes that do not stop when they are told to", run: stubborn::run },
    Scenario { name: "escaped", about: "processes that left the group, with and without cgroups", run: escaped::run },
    Scenario { name: "change", about: "a change of one proxy among few and among many", run: change::run },
    Scenario { name: "status", about: "the status of all", run: status::run },
    Scenario { name: "metrics", about: "the metrics of all", run: metrics::run },
    Scenario { name: "disk", about: "what one restart among many writes", run: disk::run },
    Scenario { name: "crashloop", about: "one process that always ends", run: crashloop::run },
    Scenario { name: "resident", about: "a host with much memory", run: resident::run },
    Scenario { name: "changes", about: "a hundred thousand changes in a second", run: changes::run },
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

impl Scenario {
    /// Measures it. What fails is a target that is not met.
    pub(crate) fn measure(&self, options: &Options, tools: &Tools) -> Vec<Target> {
        (self.run)(options, tools).unwrap_or_else(|error| {
            vec![Target { met: Some(false), ..Target::unknown("not measured", error.to_string()) }]
        })
    }
}
