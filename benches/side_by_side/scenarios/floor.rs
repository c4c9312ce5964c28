// SPDX-License-Identifier: MPL-2.0
//! What the least that any supervisor has to do needs at this moment, which the targets of restarts are compared with.

use crate::Result;
use crate::figures::{milliseconds, percentile};
use crate::options::Options;
use crate::peers::Peer;
use crate::scene::Scene;
use crate::targets::Target;
use crate::tools::Tools;

/// What a floor needs on this machine at this moment.
pub(super) struct Floor {
    pub(super) started_s: f64,
    restarts_ms: Vec<f64>,
}

impl Floor {
    pub(super) fn measure(peer: Peer, options: &Options, tools: &Tools) -> Result<Floor> {
        let (mut scene, started_s) = Floor::start(peer, options.n, tools)?;
        Ok(Floor { started_s, restarts_ms: scene.restarts(options.n, options.kills)? })
    }

    /// Starts it, and says how many seconds that took.
    pub(super) fn start(peer: Peer, n: u32, tools: &Tools) -> Result<(Scene, f64)> {
        let mut scene = Scene::start(tools, |directory| peer.set_up(tools, directory, n))?;
        scene.beacons.wait_for_count(n.into())?;
        let started_s = milliseconds(scene.beacons.last_ns() - scene.began_ns) / 1e3;
        Ok((scene, started_s))
    }
}

/// The targets of restarts: compared with the floors' at the same time.
pub(super) fn restart_targets(whose: &str, restarts_ms: &[f64], floor: &Floor, with_files: &Floor) -> Vec<Target> {
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
