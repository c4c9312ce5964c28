// SPDX-License-Identifier: MPL-2.0
//! From some processes to many: time to start and to restart, memory, threads, descriptors, and no work at all when
//! nothing happens.

use rustix::process::Signal;

use super::floor::Floor;
use crate::Result;
use crate::agent::Agent;
use crate::figures::{milliseconds, percentile};
use crate::measure::idle;
use crate::options::Options;
use crate::peers::Peer;
use crate::procfs::{self, Holding};
use crate::targets::Target;
use crate::tools::Tools;

/// How much longer `many` may take to start than the same multiple of `n`: the target is 11 times for 10 times as many.
const LINEAR: f64 = 1.1;

/// A restart has nothing to do with how many others there are; the caches of the machine have.
const CONSTANT: f64 = 1.5;

pub(super) fn run(options: &Options, tools: &Tools) -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    let (mut started, mut restarted, mut held, mut floor) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for n in [0, options.n, options.many] {
        let mut agent = Agent::start(tools, n, &[])?;
        let started_s = milliseconds(agent.scene.beacons.last_ns().saturating_sub(agent.scene.began_ns)) / 1e3;
        let idle = idle(&agent.scene, options.idle);
        targets.push(Target::exactly(format!("idle with {n}, CPU"), idle.cpu_ms_per_s, 0.0, "ms a second"));
        targets.push(Target::exactly(format!("idle with {n}, switches"), idle.switches_per_s, 0.0, "a second"));
        let holding = procfs::holding(&agent.scene.tree());
        targets.push(Target::count_at_most(format!("threads with {n}"), holding.threads as f64, 6.0, ""));
        if n > 0 {
            targets.push(Target::told(format!("start {n}"), started_s, "s"));
            let restart_ms = percentile(&agent.scene.restarts(n, options.kills)?, 0.5);
            targets.push(Target::told(format!("restart of one among {n}, p50"), restart_ms, "ms"));
            restarted.push(restart_ms);
            let (mut scene, floor_s) = Floor::start(Peer::FloorWithFiles, n, tools)?;
            scene.stop(Signal::TERM)?;
            targets.push(Target::told(format!("start {n}, the floor with files"), floor_s, "s"));
            floor.push(floor_s);
        }
        targets.push(Target::told(format!("memory with {n} (PSS)"), holding.pss_kib as f64, "KiB"));
        started.push(started_s);
        held.push(holding);
        agent.kill()?;
    }
    let further = f64::from(options.many) - f64::from(options.n);
    let slope = |value: fn(&Holding) -> u64| (value(&held[2]) as f64 - value(&held[1]) as f64) / further;
    let times = f64::from(options.many) / f64::from(options.n);
    let what = format!("start {} in terms of {}", options.many, options.n);
    targets.push(Target::at_most(what, started[2] / started[1], LINEAR * times, "times"));
    // Above 11 times as well, it is the machine.
    targets.push(Target::told("the same of the floor with files", floor[1] / floor[0], "times"));
    let what = format!("start {} in terms of the floor with files", options.many);
    targets.push(Target::at_most(what, started[2] / floor[1], 1.5, "times"));
    let what = format!("restart of one among {} in terms of among {}", options.many, options.n);
    targets.push(Target::at_most(what, restarted[1] / restarted[0], CONSTANT, "times"));
    targets.push(Target::at_most("memory a further process (PSS)", slope(|held| held.pss_kib), 1.5, "KiB"));
    targets.push(Target::exactly("descriptors a further process", slope(|held| held.descriptors), 1.0, ""));
    Ok(targets)
}
