// SPDX-License-Identifier: MPL-2.0
//! This library against its targets, one after the other.

mod adopted;
mod change;
mod changes;
mod crashloop;
mod disk;
mod resident;
mod scale;
mod status;
mod stubborn;

use crate::Result;
use crate::figures::{milliseconds, percentile};
use crate::options::Options;
use crate::peers::Peer;
use crate::scene::Scene;
use crate::targets::Target;
use crate::tools::Tools;

/// Something to measure that has targets.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    run: fn(&Options, &Tools) -> Result<Vec<Target>>,
}

/// All there are.
pub(crate) const ALL: [Scenario; 9] = [
    Scenario { name: "scale", about: "ten times as many processes", run: scale::run },
    Scenario { name: "adopted", about: "the processes of an agent that was killed", run: adopted::run },
    Scenario { name: "stubborn", about: "processes that do not stop when they are told to", run: stubborn::run },
    Scenario { name: "change", about: "a change of one proxy among few and among many", run: change::run },
    Scenario { name: "status", about: "the status of all", run: status::run },
    Scenario { name: "disk", about: "what one restart among many writes", run: disk::run },
    Scenario { name: "crashloop", about: "one process that always ends", run: crashloop::run },
    Scenario { name: "resident", about: "a host with much memory", run: resident::run },
    Scenario { name: "changes", about: "a hundred thousand changes in a second", run: changes::run },
];

impl Scenario {
    /// Measures it. What fails is a target that is not met.
    pub(crate) fn measure(&self, options: &Options, tools: &Tools) -> Vec<Target> {
        (self.run)(options, tools).unwrap_or_else(|error| {
            vec![Target { met: Some(false), ..Target::unknown("not measured", error.to_string()) }]
        })
    }
}

/// What a floor needs on this machine at this moment.
struct Floor {
    started_s: f64,
    restarts_ms: Vec<f64>,
}

impl Floor {
    fn measure(peer: Peer, options: &Options, tools: &Tools) -> Result<Floor> {
        let (mut scene, started_s) = Floor::start(peer, options.n, tools)?;
        Ok(Floor { started_s, restarts_ms: scene.restarts(options.n, options.kills)? })
    }

    /// Starts it, and says how many seconds that took.
    fn start(peer: Peer, n: u32, tools: &Tools) -> Result<(Scene, f64)> {
        let mut scene = Scene::start(tools, |directory| peer.set_up(tools, directory, n))?;
        scene.beacons.wait_for_count(n.into())?;
        let started_s = milliseconds(scene.beacons.last_ns() - scene.began_ns) / 1e3;
        Ok((scene, started_s))
    }
}

/// The targets of restarts, whosever: compared with the floors' at the same time.
fn restart_targets(whose: &str, restarts_ms: &[f64], floor: &Floor, with_files: &Floor) -> Vec<Target> {
    let mut targets = Vec::new();
    for (name, share, limit) in [("p50", 0.5, 1.4), ("p99", 0.99, 3.0)] {
        let own = percentile(restarts_ms, share);
        let times = |floor: &Floor| own / percentile(&floor.restarts_ms, share);
        let what = format!("restart, {whose}, {name}");
        targets.push(Target::told(&what, own, "ms"));
        let in_terms = format!("{what}, in terms of the floor");
        targets.push(Target::at_most(format!("{in_terms} with files"), times(with_files), limit, "times"));
        targets.push(Target::told(in_terms, times(floor), "times"));
    }
    targets
}
