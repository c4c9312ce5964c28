// SPDX-License-Identifier: MPL-2.0
//! Figures beside what they should be.

use serde::Serialize;

use crate::figures::{Figure, Spread, short};
use crate::measure::Row;
use crate::peers::Peer;

/// By how much one measurement differs from the next on a machine that does nothing else: a target is missed for certain by
/// more.
const NOISE: f64 = 0.2;

/// What came of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// There is no target, or no figure.
    None,
    Met,
    /// The figure is above it, and may be below it the next time.
    WithinNoise,
    Missed,
}

impl Verdict {
    fn at_most(value: f64, limit: f64, noise: f64) -> Verdict {
        match value {
            _ if value <= limit => Verdict::Met,
            _ if value <= limit * (1.0 + noise) => Verdict::WithinNoise,
            _ => Verdict::Missed,
        }
    }
}

/// One figure and its target.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Target {
    pub(crate) what: String,
    pub(crate) figure: String,
    pub(crate) target: String,
    pub(crate) verdict: Verdict,
}

impl Target {
    /// A figure that should not be above `limit`; `unit` follows both.
    pub(crate) fn at_most(what: impl Into<String>, value: f64, limit: f64, unit: &str) -> Target {
        Target {
            what: what.into(),
            figure: with_unit(value, unit),
            target: format!("at most {}", with_unit(limit, unit)),
            verdict: Verdict::at_most(value, limit, NOISE),
        }
    }

    /// The same of a figure that is counted, and has no noise.
    pub(crate) fn count_at_most(what: impl Into<String>, value: f64, limit: f64, unit: &str) -> Target {
        Target { verdict: Verdict::at_most(value, limit, 0.0), ..Target::at_most(what, value, limit, unit) }
    }

    /// The same of several rounds, which say themselves how much noise there is: not even the least is below the limit then.
    pub(crate) fn median_at_most(what: impl Into<String>, spread: Spread, limit: f64, unit: &str) -> Target {
        let target = Target::at_most(what, spread.median, limit, unit);
        let is_noise = spread.least <= limit && target.verdict == Verdict::Missed;
        let verdict = if is_noise { Verdict::WithinNoise } else { target.verdict };
        Target { figure: with_unit_of(spread, unit), verdict, ..target }
    }

    /// A figure that should be exactly so: it is counted, and has no noise.
    pub(crate) fn exactly(what: impl Into<String>, value: f64, wanted: f64, unit: &str) -> Target {
        Target {
            what: what.into(),
            figure: with_unit(value, unit),
            target: with_unit(wanted, unit),
            verdict: if value == wanted { Verdict::Met } else { Verdict::Missed },
        }
    }

    /// A figure that says what others mean.
    pub(crate) fn told(what: impl Into<String>, value: f64, unit: &str) -> Target {
        Target { what: what.into(), figure: with_unit(value, unit), target: String::new(), verdict: Verdict::None }
    }

    /// The same of several rounds.
    pub(crate) fn median_told(what: impl Into<String>, spread: Spread, unit: &str) -> Target {
        Target { figure: with_unit_of(spread, unit), ..Target::told(what, spread.median, unit) }
    }

    /// What is not known, and why.
    pub(crate) fn unknown(what: impl Into<String>, reason: impl Into<String>) -> Target {
        Target { what: what.into(), figure: reason.into(), target: String::new(), verdict: Verdict::None }
    }

    /// The same of what should be known.
    pub(crate) fn failed(reason: impl Into<String>) -> Target {
        Target { verdict: Verdict::Missed, ..Target::unknown("not measured", reason) }
    }
}

fn with_unit(value: f64, unit: &str) -> String {
    format!("{} {unit}", short(value)).trim().to_owned()
}

fn with_unit_of(spread: Spread, unit: &str) -> String {
    format!("{spread} {unit}").trim().to_owned()
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
        let mut ratio = |figure: &str, value: fn(&Row) -> &Figure, limit: Option<f64>| {
            let ratio = |(own, below): (&&Row, &&Row)| Some(value(own).known()? / value(below).known()?);
            let ratios: Option<Vec<f64>> = measured.iter().zip(below).map(ratio).collect();
            let what = format!("{figure}{what}");
            targets.push(match (ratios, limit) {
                (Some(ratios), Some(limit)) => Target::median_at_most(what, Spread::of(&ratios), limit, of_what),
                (Some(ratios), None) => Target::median_told(what, Spread::of(&ratios), of_what),
                (None, _) => Target::failed(format!("{what}: a figure is missing")),
            });
        };
        ratio(&start, |row| &row.started_s, start_limit);
        ratio(&p50, |row| &row.restart_p50_ms, p50_limit);
        ratio(&p99, |row| &row.restart_p99_ms, p99_limit);
        ratio(&stop, |row| &row.stopped_s, stop_limit);
    }
    let most = |value: fn(&Row) -> &Figure| own.iter().filter_map(|row| value(row).known()).fold(0.0, f64::max);
    targets.push(Target::exactly("idle, CPU", most(|row| &row.idle_cpu_ms_per_s), 0.0, "ms a second"));
    targets.push(Target::exactly("idle, context switches", most(|row| &row.idle_switches_per_s), 0.0, "a second"));
    targets.push(Target::count_at_most("threads", most(|row| &row.threads), 6.0, ""));
    targets
}
