// SPDX-License-Identifier: MPL-2.0
//! What many measurements come to, and how it is written.

use std::fmt;

use serde::Serialize;

/// The value below which `share` of all values are; 0 when there are none.
pub(crate) fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted.get(rank - 1).copied().unwrap_or(0.0)
}

/// The value in the middle, or between the two that are.
pub(crate) fn median(values: &[f64]) -> f64 {
    let upper = values.iter().map(|value| -value).collect::<Vec<f64>>();
    (percentile(values, 0.5) - percentile(&upper, 0.5)) / 2.0
}

/// Nanoseconds as milliseconds.
pub(crate) fn milliseconds(ns: u64) -> f64 {
    ns as f64 / 1e6
}

/// A figure, or why there is none.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(crate) enum Figure {
    Known(f64),
    Unknown(String),
}

impl Figure {
    pub(crate) fn known(&self) -> Option<f64> {
        match self {
            Figure::Known(value) => Some(*value),
            Figure::Unknown(_) => None,
        }
    }
}

/// The same figure of several rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    pub(crate) fn of(values: &[f64]) -> Spread {
        Spread { median: median(values), least: percentile(values, 0.0), most: percentile(values, 1.0) }
    }

    /// Of figures that are all known; else why the first one that is not known is not. Some rounds cannot be compared with all
    /// of another one.
    pub(crate) fn of_figures(figures: &[Figure]) -> Result<Spread, String> {
        let value = |figure: &Figure| match figure {
            Figure::Known(value) => Ok(*value),
            Figure::Unknown(reason) => Err(reason.clone()),
        };
        Ok(Spread::of(&figures.iter().map(value).collect::<Result<Vec<_>, _>>()?))
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, least, most] = [self.median, self.least, self.most].map(short);
        if least == most { f.write_str(&median) } else { write!(f, "{median} ({least}..{most})") }
    }
}

/// A number with as many digits as tell something.
pub(crate) fn short(value: f64) -> String {
    let decimals = match value.abs() {
        size if size.fract() == 0.0 => 0,
        size if size < 0.095 => 3,
        size if size < 9.95 => 2,
        size if size < 99.5 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}
