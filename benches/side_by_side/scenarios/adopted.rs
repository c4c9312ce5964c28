// SPDX-License-Identifier: MPL-2.0
//! An agent is killed, and the next one takes its processes over: how long that takes, and that afterwards they are
//! restarted as fast as its own.

use std::thread;

use rustix::process::{getpid, set_child_subreaper};

use super::floor::{Floor, restart_targets};
use crate::Result;
use crate::agent::Agent;
use crate::figures::milliseconds;
use crate::measure::SETTLE;
use crate::options::Options;
use crate::peers::Peer;
use crate::targets::Target;
use crate::tools::Tools;

pub(super) fn run(options: &Options, tools: &Tools) -> Result<Vec<Target>> {
    // The processes of the agent that is killed come to this one, which reaps them as soon as they have ended: as an
    // init does, and not all do.
    set_child_subreaper(Some(getpid()))?;
    let targets = measure(options, tools);
    set_child_subreaper(None)?;
    targets
}

fn measure(options: &Options, tools: &Tools) -> Result<Vec<Target>> {
    let floor = Floor::measure(Peer::Floor, options, tools)?;
    let with_files = Floor::measure(Peer::FloorWithFiles, options, tools)?;
    let mut targets = Vec::new();
    for n in [options.n, options.many] {
        let mut agent = Agent::start(tools, n, &[])?;
        thread::sleep(SETTLE);
        let adopted_s = milliseconds(agent.succeed(tools, n)?) / 1e3;
        targets.push(Target::told(format!("from the start of an agent to having adopted {n}"), adopted_s, "s"));
        if n == options.many {
            let what = format!("the same in terms of the time of the floor with files to start {}", options.n);
            targets.push(Target::at_most(what, adopted_s / with_files.started_s, 4.0, "times"));
            let what = format!("the same in terms of the floor's, which writes nothing, to start {}", options.n);
            targets.push(Target::told(what, adopted_s / floor.started_s, "times"));
        }
        let begun = agent.scene.beacons.heard() - u64::from(n);
        targets.push(Target::exactly(format!("processes started anew by adopting {n}"), begun as f64, 0.0, ""));
        if n == options.n {
            thread::sleep(SETTLE);
            let adopted_ms = agent.scene.restarts(n, options.kills)?;
            targets.extend(restart_targets("adopted", &adopted_ms, &floor, &with_files));
            // Each id has free attempts left: these are now the agent's own.
            let own_ms = agent.scene.restarts(n, options.kills)?;
            targets.extend(restart_targets("own", &own_ms, &floor, &with_files));
        }
        agent.kill()?;
    }
    Ok(targets)
}
