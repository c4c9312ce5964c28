// SPDX-License-Identifier: MPL-2.0
//! Many more declarations than processes: all but a hundred are not enabled.

use std::thread;
use std::time::{Duration, Instant};

use proxyprocess::defaults::MANAGER_QUIESCENT_PERIOD;

use crate::Result;
use crate::agent::Agent;
use crate::beacons::now_ns;
use crate::figures::{milliseconds, percentile};
use crate::measure::idle;
use crate::options::Options;
use crate::procfs;
use crate::scene::Scene;
use crate::targets::Target;
use crate::tools::Tools;

const ENABLED: u32 = 100;
/// How many changes are made, each after the one before was followed.
const CHANGES: u32 = 5;
/// An agent is quiet that has used no processor time for so long, as it has after some time.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(120);
/// How often the status is asked for.
const QUESTIONS: u32 = 3;

pub(super) fn run(options: &Options, tools: &Tools) -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    // With a data directory all of them are in the snapshot, which may not be of any size.
    for (files, settings) in [("", &[][..]), (", without a data directory", &["data=off"])] {
        for declared in [ENABLED, options.declared] {
            match measure(declared, settings, options, tools) {
                Ok(figures) => targets.extend(figures.told(&format!("{declared} declared{files}"))),
                Err(error) => targets.push(Target::unknown(format!("{declared} declared{files}"), error.to_string())),
            }
        }
    }
    Ok(targets)
}

struct Figures {
    declared: u32,
    started_s: f64,
    taken_in_s: f64,
    enabled_ms: f64,
    restart_ms: f64,
    status_ms: f64,
    idle_cpu_ms: f64,
    pss_kib: u64,
    stopped_s: f64,
}

fn measure(declared: u32, settings: &[&str], options: &Options, tools: &Tools) -> Result<Figures> {
    let more = format!("declared={declared}");
    let settings: Vec<&str> = settings.iter().copied().chain([more.as_str()]).collect();
    let mut agent = Agent::start(tools, ENABLED, &settings)?;
    let started_s = milliseconds(agent.scene.beacons.last_ns().saturating_sub(agent.scene.began_ns)) / 1e3;
    let taken_in_s = until_quiet(&agent.scene)?;
    let idle = idle(&agent.scene, options.idle);
    let pss_kib = procfs::holding(&agent.scene.tree()).pss_kib;
    let status_ms = agent.ask(&format!("status {QUESTIONS}"))?[0] as f64 / 1e6;
    let mut latencies_ms = Vec::new();
    for change in 0..CHANGES {
        let declared_ns = agent.ask(&format!("set {change} {change}"))?[0];
        let old = agent.scene.beacons.of(change)?.pid;
        let birth = agent.scene.beacons.wait_for_successor(change, old)?;
        let quiescent_ms = MANAGER_QUIESCENT_PERIOD.as_secs_f64() * 1e3;
        latencies_ms.push(milliseconds(birth.at_ns.saturating_sub(declared_ns)) - quiescent_ms);
    }
    let restart_ms = percentile(&agent.scene.restarts(ENABLED, options.kills)?, 0.5);
    let stopped_s = agent.kill()? / 1e3;
    let enabled_ms = percentile(&latencies_ms, 0.5);
    Ok(Figures {
        declared,
        started_s,
        taken_in_s,
        enabled_ms,
        restart_ms,
        status_ms,
        idle_cpu_ms: idle.cpu_ms_per_s,
        pss_kib,
        stopped_s,
    })
}

/// What is to run comes first: waits until the agent does nothing more, and says how many seconds after its start that was.
fn until_quiet(scene: &Scene) -> Result<f64> {
    let deadline = Instant::now() + PATIENCE;
    let used = || procfs::usage(&scene.tree()).cpu_ns;
    while Instant::now() < deadline {
        let (before, since_ns) = (used(), now_ns());
        thread::sleep(LOOK_AGAIN);
        if used() == before {
            return Ok(milliseconds(since_ns.saturating_sub(scene.began_ns)) / 1e3);
        }
    }
    Err(format!("the agent is busy after {PATIENCE:?}").into())
}

impl Figures {
    fn told(&self, of: &str) -> Vec<Target> {
        let each = self.pss_kib as f64 / f64::from(self.declared);
        vec![
            Target::told(format!("{of}: start of the {ENABLED} that are enabled"), self.started_s, "s"),
            Target::told(
                format!("{of}: from the start until nothing more is done for the others"),
                self.taken_in_s,
                "s",
            ),
            Target::told(
                format!("{of}: one changed, from the end of the quiescent period, p50 of {CHANGES}"),
                self.enabled_ms,
                "ms",
            ),
            Target::told(format!("{of}: restart, p50"), self.restart_ms, "ms"),
            Target::told(format!("{of}: status"), self.status_ms, "ms"),
            Target::exactly(format!("{of}: idle, CPU"), self.idle_cpu_ms, 0.0, "ms a second"),
            Target::told(format!("{of}: memory (PSS)"), self.pss_kib as f64 / 1024.0, "MiB"),
            Target::told(format!("{of}: the same a declaration"), each, "KiB"),
            Target::told(format!("{of}: stop"), self.stopped_s, "s"),
        ]
    }
}
