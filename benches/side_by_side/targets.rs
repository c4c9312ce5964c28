// SPDX-License-Identifier: MPL-2.0
//! Figures beside what they should be.

use serde::Serialize;

use crate::figures::{Spread, short};
use crate::measure::Row;
use crate::peers::Peer;

/// One figure and its target.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Target {
    pub(crate) what: String,
    pub(crate) figure: String,
    pub(crate) target: String,
    /// Nothing where there is no target, or no figure.
    pub(crate) met: Option<bool>,
}

impl Target {
    /// A figure that should not be above `limit`; `unit` follows both.
    pub(crate) fn at_most(what: impl Into<String>, value: f64, limit: f64, unit: &str) -> Target {
        Target {
            what: what.into(),
            figure: with_unit(value, unit),
            target: format!("at most {}", with_unit(limit, unit)),
            met: Some(value <= limit),
        }
    }

    /// A figure that should be exactly so.
    pub(crate) fn exactly(what: impl Into<String>, value: f64, wanted: f64, unit: &str) -> Target {
        Target {
            what: what.into(),
            figure: with_unit(value, unit),
            target: with_unit(wanted, unit),
            met: Some(value == wanted),
        }
    }

    /// A figure that says what others mean.
    pub(crate) fn told(what: impl Into<String>, value: f64, unit: &str) -> Target {
        Target { what: what.into(), figure: with_unit(value, unit), target: String::new(), met: None }
    }

    /// What is not known, and why.
    pub(crate) fn unknown(what: impl Into<String>, reason: impl Into<String>) -> Target {
        Target { what: what.into(), figure: reason.into(), target: String::new(), met: None }
    }
}

fn with_unit(value: f64, unit: &str) -> String {
    format!("{} {unit}", short(value)).trim().to_owned()
}

/// The targets of the comparison. Ratios are of the same round each.
pub(crate) fn of_comparison(rows: &[Row]) -> Vec<Target> {
    let of_peer = |peer: Peer| rows.iter().filter(|row| row.peer == peer).collect::<Vec<_>>();
    let own = of_peer(Peer::Proxyprocess);
    if own.is_empty() {
        return Vec::new();
    }
    let n = own[0].n;
    let (start, stop) = (format!("start {n}"), format!("stop {n}"));
    let (p50, p99) = ("restart, p50".to_owned(), "restart, p99".to_owned());
    let mut targets = Vec::new();
    let (files, floor, cgroups) = (of_peer(Peer::FloorWithFiles), of_peer(Peer::Floor), of_peer(Peer::Cgroups));
    for (measured, what, below, of_what, [start_limit, p50_limit, p99_limit, stop_limit]) in [
        (&own, "", &files, "times the floor with files", [Some(1.5), Some(1.4), Some(3.0), Some(2.0)]),
        (&own, "", &floor, "times the floor", [None; 4]),
        (&cgroups, ", cgroups", &own, "times the same without cgroups", [Some(1.5), Some(1.15), None, None]),
    ] {
        if measured.is_empty() || below.is_empty() {
            continue;
        }
        let mut ratio = |figure: &str, value: fn(&Row) -> f64, limit: Option<f64>| {
            let ratios: Vec<f64> = measured.iter().zip(below).map(|(own, below)| value(own) / value(below)).collect();
            let (spread, what) = (Spread::of(&ratios), format!("{figure}{what}"));
            let target = match limit {
                Some(limit) => Target::at_most(what, spread.median, limit, of_what),
                None => Target::told(what, spread.median, of_what),
            };
            targets.push(Target { figure: format!("{spread} {of_what}"), ..target });
        };
        ratio(&start, |row| row.started_s, start_limit);
        ratio(&p50, Row::restart_p50_ms, p50_limit);
        ratio(&p99, Row::restart_p99_ms, p99_limit);
        ratio(&stop, |row| row.stopped_s, stop_limit);
    }
    let most = |value: fn(&Row) -> f64| own.iter().map(|row| value(row)).fold(0.0, f64::max);
    targets.push(Target::exactly("idle, CPU", most(|row| row.idle_cpu_ms_per_s), 0.0, "ms a second"));
    targets.push(Target::exactly("idle, context switches", most(|row| row.idle_switches_per_s), 0.0, "a second"));
    targets.push(Target::at_most("threads", most(|row| row.threads as f64), 6.0, ""));
    targets
}
