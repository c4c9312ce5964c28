// SPDX-License-Identifier: MPL-2.0
//! One supervisor, measured once from its start to its end.

use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::Result;
use crate::figures::{milliseconds, percentile};
use crate::options::Options;
use crate::peers::Peer;
use crate::procfs::{self, Usage};
use crate::scene::Scene;
use crate::tools::Tools;

/// How long a supervisor is left alone after something was done to it, so that what it puts off is over.
pub(crate) const SETTLE: Duration = Duration::from_secs(3);

/// How many restarts are measured of a supervisor that waits before each.
pub(crate) const SLOW_KILLS: u32 = 20;

/// What was measured of a supervisor in one round.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    #[serde(serialize_with = "as_option")]
    pub(crate) peer: Peer,
    pub(crate) n: u32,
    pub(crate) started_s: f64,
    pub(crate) restarts_ms: Vec<f64>,
    pub(crate) idle_cpu_ms_per_s: f64,
    pub(crate) idle_switches_per_s: f64,
    pub(crate) threads: u64,
    pub(crate) pss_kib: u64,
    pub(crate) stopped_s: f64,
    /// Bytes written a restart, and those of the pages that this dirtied.
    pub(crate) written_each: f64,
    pub(crate) dirtied_each: f64,
}

impl Row {
    pub(crate) fn restart_p50_ms(&self) -> f64 {
        percentile(&self.restarts_ms, 0.5)
    }

    pub(crate) fn restart_p99_ms(&self) -> f64 {
        percentile(&self.restarts_ms, 0.99)
    }

    pub(crate) fn pss_kib_each(&self) -> f64 {
        self.pss_kib as f64 / f64::from(self.n)
    }
}

fn as_option<S: serde::Serializer>(peer: &Peer, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(peer.option())
}

/// Measures `peer` with `options.n` processes.
pub(crate) fn measure(peer: Peer, options: &Options, tools: &Tools) -> Result<Row> {
    let n = options.n;
    let mut scene = Scene::start(tools, |directory| peer.set_up(tools, directory, n))?;
    let row = measure_scene(&mut scene, peer, options);
    row.map_err(|error| format!("{}: {error}; it said: {}", peer.title(), scene.last_words()).into())
}

fn measure_scene(scene: &mut Scene, peer: Peer, options: &Options) -> Result<Row> {
    let n = options.n;
    scene.beacons.wait_for_count(n.into())?;
    let started_s = milliseconds(scene.beacons.last_ns().saturating_sub(scene.began_ns)) / 1e3;
    let idle = idle(scene, options.idle);
    let holding = procfs::holding(&scene.tree());
    let kills = if peer.waits_to_restart() { options.kills.min(SLOW_KILLS) } else { options.kills };
    let Restarts { latencies_ms, written_each, dirtied_each } = restarts(scene, n, kills)?;
    let stopped_s = scene.stop(peer.stop_signal())? / 1e3;
    Ok(Row {
        peer,
        n,
        started_s,
        restarts_ms: latencies_ms,
        idle_cpu_ms_per_s: idle.cpu_ms_per_s,
        idle_switches_per_s: idle.switches_per_s,
        threads: holding.threads,
        pss_kib: holding.pss_kib,
        stopped_s,
        written_each,
        dirtied_each,
    })
}

/// What a supervisor uses in a second in which nothing happens.
pub(crate) struct Idle {
    pub(crate) cpu_ms_per_s: f64,
    pub(crate) switches_per_s: f64,
}

/// Leaves the supervisor alone, and then looks what it does meanwhile.
pub(crate) fn idle(scene: &Scene, period: Duration) -> Idle {
    thread::sleep(SETTLE);
    let processes = scene.tree();
    let (before, since) = (procfs::usage(&processes), Instant::now());
    thread::sleep(period);
    let (after, seconds) = (procfs::usage(&processes), since.elapsed().as_secs_f64());
    Idle {
        cpu_ms_per_s: milliseconds(after.cpu_ns - before.cpu_ns) / seconds,
        switches_per_s: (after.switches - before.switches) as f64 / seconds,
    }
}

/// What restarts took, and what they wrote.
pub(crate) struct Restarts {
    pub(crate) latencies_ms: Vec<f64>,
    pub(crate) written_each: f64,
    pub(crate) dirtied_each: f64,
}

/// Kills processes one after the other; what is written for that is counted until the supervisor has settled.
pub(crate) fn restarts(scene: &mut Scene, n: u32, kills: u32) -> Result<Restarts> {
    let processes = scene.tree();
    // What one wrote before it executed its program is the supervisor's as soon as that has reaped it.
    let old: Vec<_> = scene.beacons.all().map(|(id, birth)| (id, birth, procfs::written_by(birth.pid))).collect();
    let before = procfs::usage(&processes);
    let latencies_ms = scene.restarts(n, kills)?;
    thread::sleep(SETTLE);
    let after = procfs::usage(&processes);
    let mut total = Usage { written: after.written - before.written, dirtied: after.dirtied - before.dirtied, ..after };
    for (id, old, (written_by_old, dirtied_by_old)) in old {
        let new = scene.beacons.of(id)?;
        if new != old {
            let (written, dirtied) = procfs::written_by(new.pid);
            total.written = (total.written + written).saturating_sub(written_by_old);
            total.dirtied = (total.dirtied + dirtied).saturating_sub(dirtied_by_old);
        }
    }
    let count = latencies_ms.len() as f64;
    Ok(Restarts {
        latencies_ms,
        written_each: total.written as f64 / count,
        dirtied_each: total.dirtied as f64 / count,
    })
}
