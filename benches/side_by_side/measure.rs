// SPDX-License-Identifier: MPL-2.0
//! One supervisor, measured once from its start to its end.

use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::Result;
use crate::figures::{Figure, milliseconds, percentile};
use crate::options::Options;
use crate::peers::Peer;
use crate::procfs::{self, Usage};
use crate::scene::Scene;
use crate::tools::Tools;

/// How long a supervisor is left alone after something was done to it, so that what it puts off is over.
pub(crate) const SETTLE: Duration = Duration::from_secs(3);

/// What was measured of a supervisor in one round.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    #[serde(serialize_with = "as_option")]
    pub(crate) peer: Peer,
    pub(crate) n: u32,
    pub(crate) started_s: Figure,
    /// Each of them, where all that were killed have come back.
    pub(crate) restarts_ms: Vec<f64>,
    pub(crate) restart_p50_ms: Figure,
    pub(crate) restart_p99_ms: Figure,
    pub(crate) idle_cpu_ms_per_s: Figure,
    pub(crate) idle_switches_per_s: Figure,
    pub(crate) threads: Figure,
    pub(crate) pss_kib_each: Figure,
    pub(crate) stopped_s: Figure,
    /// Bytes written a restart, and those of the pages that this dirtied.
    pub(crate) written_each: Figure,
    pub(crate) dirtied_each: Figure,
    /// What the supervisor said last, where a figure is missing.
    pub(crate) last_words: Option<String>,
}

impl Row {
    /// One of which nothing is known yet.
    fn unknown(peer: Peer, n: u32, reason: &str) -> Row {
        let unknown = || Figure::Unknown(reason.to_owned());
        Row {
            peer,
            n,
            started_s: unknown(),
            restarts_ms: Vec::new(),
            restart_p50_ms: unknown(),
            restart_p99_ms: unknown(),
            idle_cpu_ms_per_s: unknown(),
            idle_switches_per_s: unknown(),
            threads: unknown(),
            pss_kib_each: unknown(),
            stopped_s: unknown(),
            written_each: unknown(),
            dirtied_each: unknown(),
            last_words: None,
        }
    }

    /// Whether all processes were started, without which there is no figure at all.
    pub(crate) fn has_started(&self) -> bool {
        self.started_s.known().is_some()
    }
}

fn as_option<S: serde::Serializer>(peer: &Peer, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(peer.option())
}

/// Measures `peer` with `options.n` processes. What of it cannot be measured says why.
pub(crate) fn measure(peer: Peer, options: &Options, tools: &Tools) -> Row {
    let n = options.n;
    let mut scene = match Scene::start(tools, |directory| peer.set_up(tools, directory, n)) {
        Ok(scene) => scene,
        Err(error) => return Row::unknown(peer, n, &error.to_string()),
    };
    let mut row = Row::unknown(peer, n, "not all started");
    if let Err(error) = measure_scene(&mut row, &mut scene, options) {
        eprintln!("{}: {error}", peer.title());
        row.last_words = Some(format!("{error}; it said: {}", scene.last_words()));
    }
    row
}

/// Fills in what can be measured; the error says why that is not all.
fn measure_scene(row: &mut Row, scene: &mut Scene, options: &Options) -> Result<()> {
    let n = row.n;
    scene.beacons.wait_for_count(n.into())?;
    row.started_s = Figure::Known(milliseconds(scene.beacons.last_ns().saturating_sub(scene.began_ns)) / 1e3);
    let idle = idle(scene, options.idle);
    row.idle_cpu_ms_per_s = Figure::Known(idle.cpu_ms_per_s);
    row.idle_switches_per_s = Figure::Known(idle.switches_per_s);
    let holding = procfs::holding(&scene.tree());
    row.threads = Figure::Known(holding.threads as f64);
    row.pss_kib_each = Figure::Known(holding.pss_kib as f64 / f64::from(n));
    let restarted = restarts(scene, n, options.kills.min(row.peer.most_kills()));
    let failed = match restarted {
        Ok(restarts) => {
            row.restart_p50_ms = Figure::Known(percentile(&restarts.latencies_ms, 0.5));
            row.restart_p99_ms = Figure::Known(percentile(&restarts.latencies_ms, 0.99));
            row.written_each = Figure::Known(restarts.written_each);
            row.dirtied_each = Figure::Known(restarts.dirtied_each);
            row.restarts_ms = restarts.latencies_ms;
            None
        }
        Err(error) => {
            let no = || Figure::Unknown("no restart".to_owned());
            [row.restart_p50_ms, row.restart_p99_ms, row.written_each, row.dirtied_each] = [no(), no(), no(), no()];
            Some(error)
        }
    };
    match scene.stop(row.peer.stop_signal()) {
        Ok(stopped_ms) => row.stopped_s = Figure::Known(stopped_ms / 1e3),
        Err(error) => {
            row.stopped_s = Figure::Unknown("timed out".to_owned());
            return Err(error);
        }
    }
    failed.map_or(Ok(()), Err)
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
