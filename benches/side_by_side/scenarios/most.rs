// SPDX-License-Identifier: MPL-2.0
//! As many processes as are asked for, or as the machine can have: the same figures a process as of fewer, and what bounds
//! their number.

use crate::Result;
use crate::agent::Agent;
use crate::figures::{milliseconds, percentile};
use crate::machine;
use crate::measure::idle;
use crate::options::Options;
use crate::procfs::{self, Holding};
use crate::targets::Target;
use crate::tools::Tools;

/// How much longer a process may take to start, or to stop, among the most than among many.
const LINEAR: f64 = 1.1;
/// The same of a restart, where the caches of the machine count.
const CONSTANT: f64 = 1.5;
/// What has to be left for all else on the machine: process numbers, and memory.
const SPARE_NUMBERS: u64 = 4000;
const SPARE_KIB: u64 = 4 << 20;
/// What the smallest process takes of the machine's memory, most of it the kernel's.
const KIB_EACH: u64 = 320;

pub(super) fn run(options: &Options, tools: &Tools) -> Result<Vec<Target>> {
    let (n, bound) = number(options.most, tools)?;
    let mut targets = vec![Target::told(format!("processes: {bound}"), f64::from(n), "")];
    if n <= options.many {
        targets.push(Target::unknown("figures", format!("expected more than {} (--many)", options.many)));
        return Ok(targets);
    }
    let many = Figures::measure(options.many, options, tools)?;
    let most = Figures::measure(n, options, tools)?;
    for figures in [&many, &most] {
        targets.extend(figures.told());
    }
    let what = |figure: &str| format!("{figure}, {n} in terms of {}", options.many);
    let times = |value: fn(&Figures) -> f64| value(&most) / value(&many);
    targets.push(Target::at_most(what("start a process"), times(Figures::started_ms_each), LINEAR, "times"));
    targets.push(Target::at_most(what("restart, p50"), times(|figures| figures.restart_ms), CONSTANT, "times"));
    targets.push(Target::at_most(what("stop a process"), times(Figures::stopped_ms_each), LINEAR, "times"));
    let further = f64::from(n - options.many);
    let slope = |value: fn(&Holding) -> u64| (value(&most.held) as f64 - value(&many.held) as f64) / further;
    targets.push(Target::at_most("memory a further process (PSS)", slope(|held| held.pss_kib), 1.5, "KiB"));
    targets.push(Target::exactly("descriptors a further process", slope(|held| held.descriptors), 1.0, ""));
    targets.push(Target::count_at_most("threads", most.held.threads as f64, 6.0, ""));
    Ok(targets)
}

/// How many processes there can be, and what bounds that.
fn number(asked: u32, tools: &Tools) -> Result<(u32, String)> {
    let (left, limit) = machine::processes_left().ok_or("read /proc/loadavg")?;
    let available_kib = machine::memory_kib("MemAvailable").ok_or("read /proc/meminfo")?;
    let bounds = [
        (u64::from(asked), "as asked for".to_owned()),
        (left.saturating_sub(SPARE_NUMBERS), limit),
        (
            available_kib.saturating_sub(SPARE_KIB) / KIB_EACH,
            format!("{} MiB of memory can be had, and a process takes {KIB_EACH} KiB", available_kib >> 10),
        ),
        (tools.most_processes(), "RLIMIT_NOFILE".to_owned()),
    ];
    let (n, bound) = bounds.into_iter().min_by_key(|(n, _)| *n).ok_or("no bound")?;
    Ok((u32::try_from(n)?, bound))
}

struct Figures {
    n: u32,
    started_s: f64,
    restart_ms: f64,
    stopped_s: f64,
    idle_cpu_ms: f64,
    held: Holding,
    /// What the machine's available memory went down by.
    machine_kib: f64,
}

impl Figures {
    fn measure(n: u32, options: &Options, tools: &Tools) -> Result<Figures> {
        let available = || machine::memory_kib("MemAvailable").unwrap_or(0) as f64;
        let before_kib = available();
        let mut agent = Agent::start(tools, n, &[])?;
        let started_s = milliseconds(agent.scene.beacons.last_ns().saturating_sub(agent.scene.began_ns)) / 1e3;
        let idle = idle(&agent.scene, options.idle);
        let held = procfs::holding(&agent.scene.tree());
        let machine_kib = before_kib - available();
        let restart_ms = percentile(&agent.scene.restarts(n, options.kills)?, 0.5);
        let stopped_s = agent.kill()? / 1e3;
        Ok(Figures { n, started_s, restart_ms, stopped_s, idle_cpu_ms: idle.cpu_ms_per_s, held, machine_kib })
    }

    fn started_ms_each(&self) -> f64 {
        self.started_s * 1e3 / f64::from(self.n)
    }

    fn stopped_ms_each(&self) -> f64 {
        self.stopped_s * 1e3 / f64::from(self.n)
    }

    fn told(&self) -> Vec<Target> {
        let n = self.n;
        vec![
            Target::told(format!("start {n}"), self.started_s, "s"),
            Target::told(format!("the same a process of {n}"), self.started_ms_each(), "ms"),
            Target::told(format!("restart of one among {n}, p50"), self.restart_ms, "ms"),
            Target::told(format!("stop {n}"), self.stopped_s, "s"),
            Target::told(format!("the same a process of {n}"), self.stopped_ms_each(), "ms"),
            Target::exactly(format!("idle with {n}, CPU"), self.idle_cpu_ms, 0.0, "ms a second"),
            Target::told(format!("memory a process of {n} (PSS)"), self.held.pss_kib as f64 / f64::from(n), "KiB"),
            Target::told(format!("memory of the machine a process of {n}"), self.machine_kib / f64::from(n), "KiB"),
        ]
    }
}
