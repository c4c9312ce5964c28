// SPDX-License-Identifier: MPL-2.0
//! What each guarantee costs: all of them, all but one, and none. In turns, and compared within the same round.

use crate::Result;
use crate::agent::Agent;
use crate::figures::{Spread, milliseconds, percentile};
use crate::machine;
use crate::measure::{SETTLE, restarts};
use crate::options::Options;
use crate::procfs;
use crate::targets::Target;
use crate::tools::{SPARE_DESCRIPTORS, Tools};

/// What is switched off, and by which settings of the host. Records, pid files, the snapshot and the lock are one option.
const OFF: [(&str, &[&str]); 7] = [
    ("all guarantees", &[]),
    ("without records, pid files, snapshot and lock", &["data=off"]),
    ("without logs", &["output=null"]),
    ("without cgroups", &["cgroup=off"]),
    ("without readiness", &["ready=started", "role="]),
    ("without a socket each", &["listen=off"]),
    ("none of these", &["data=off", "output=null", "cgroup=off", "ready=started", "role=", "listen=off"]),
];
/// What is switched on where it is not off: later settings of a name go before earlier ones.
const ON: [&str; 4] = ["cgroup=required", "ready=notify", "role=notify", "listen=unix"];
/// A pidfd, the socket for notifications, that of `listen` and one to spare.
const DESCRIPTORS_EACH: u32 = 4;

#[derive(Debug, Clone, Copy)]
struct Figures {
    started_s: f64,
    restart_ms: f64,
    stopped_s: f64,
    pss_kib_each: f64,
    descriptors_each: f64,
    written_each: f64,
}

pub(super) fn run(options: &Options, tools: &Tools) -> Result<Vec<Target>> {
    if let Some(reason) = tools.lacks_descriptors(u64::from(options.n * DESCRIPTORS_EACH) + SPARE_DESCRIPTORS) {
        return Ok(vec![Target::unknown("what each costs", reason)]);
    }
    let mut targets = Vec::new();
    let has_cgroups = machine::lacks_cgroups().map(|reason| targets.push(Target::unknown("cgroups", reason))).is_none();
    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        let of = |(_, off): &(&str, &[&str])| measure(off, has_cgroups, options, tools);
        rounds.push(OFF.iter().map(of).collect::<Result<Vec<Figures>>>()?);
    }
    for (number, (what, _)) in OFF.iter().enumerate() {
        let spread = |value: &dyn Fn(&Figures) -> f64| {
            Spread::of(&rounds.iter().map(|round| value(&round[number])).collect::<Vec<_>>())
        };
        let times = |value: fn(&Figures) -> f64| {
            Spread::of(&rounds.iter().map(|round| value(&round[number]) / value(&round[0])).collect::<Vec<_>>())
        };
        let n = options.n;
        targets.push(Target::median_told(format!("{what}: start {n}"), spread(&|of| of.started_s), "s"));
        targets.push(Target::median_told(format!("{what}: restart, p50"), spread(&|of| of.restart_ms), "ms"));
        targets.push(Target::median_told(format!("{what}: stop {n}"), spread(&|of| of.stopped_s), "s"));
        targets.push(Target::median_told(format!("{what}: memory a process"), spread(&|of| of.pss_kib_each), "KiB"));
        targets.push(Target::median_told(format!("{what}: descriptors"), spread(&|of| of.descriptors_each), "each"));
        let written = spread(&|of| of.written_each);
        targets.push(Target::median_told(format!("{what}: written a restart"), written, "bytes"));
        if number > 0 {
            for (figure, value) in [
                ("start", (|of| of.started_s) as fn(&Figures) -> f64),
                ("restart, p50", |of| of.restart_ms),
                ("stop", |of| of.stopped_s),
            ] {
                targets.push(Target::median_told(format!("{what}: {figure}"), times(value), "times that of all"));
            }
        }
    }
    Ok(targets)
}

fn measure(off: &[&str], has_cgroups: bool, options: &Options, tools: &Tools) -> Result<Figures> {
    let n = options.n;
    let cgroups = |setting: &&&str| has_cgroups || !setting.starts_with("cgroup");
    let settings: Vec<&str> = ON.iter().filter(cgroups).chain(off).copied().collect();
    let mut agent = Agent::start(tools, n, &settings)?;
    let started_s = milliseconds(agent.scene.beacons.last_ns().saturating_sub(agent.scene.began_ns)) / 1e3;
    std::thread::sleep(SETTLE);
    let held = procfs::holding(&agent.scene.tree());
    let restarted = restarts(&mut agent.scene, n, options.kills)?;
    let stopped_s = agent.kill()? / 1e3;
    Ok(Figures {
        started_s,
        restart_ms: percentile(&restarted.latencies_ms, 0.5),
        stopped_s,
        pss_kib_each: held.pss_kib as f64 / f64::from(n),
        descriptors_each: held.descriptors as f64 / f64::from(n),
        written_each: restarted.written_each,
    })
}
