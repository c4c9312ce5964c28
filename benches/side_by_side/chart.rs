// SPDX-License-Identifier: MPL-2.0
//! The comparison as a picture: a panel for each figure, a bar for each supervisor.

use plotters::style::RGBColor;

use crate::Result;
use crate::bars::{self, Bar, Drawn, MARGIN, OTHERS, OWN, PITCH, Page, TEXT, TITLE_HEIGHT};
use crate::figures::short;
use crate::measure::Row;
use crate::peers::Peer;
use crate::report::{METRICS, Metric, peers, spread};

const COLUMNS: usize = 3;
const PANEL_WIDTH: i32 = 370;
/// Where the bars begin, right of the names, and how long the longest is.
const BARS_AT: i32 = 136;
const BARS_LENGTH: i32 = 160;
/// The shortest bar that is something.
const LEAST_LENGTH: f64 = 3.0;

/// Of the bars of what does the least that any supervisor has to do.
const FLOOR: RGBColor = RGBColor(140, 149, 159);

/// The text of an SVG file.
///
/// # Errors
/// What could not be drawn.
pub(crate) fn draw(rows: &[Row]) -> Result<String> {
    let peers = peers(rows);
    let lines = METRICS.len().div_ceil(COLUMNS);
    let panel_height = TITLE_HEIGHT + PITCH * i32::try_from(peers.len())? + MARGIN;
    let size = (PANEL_WIDTH * COLUMNS as i32, panel_height * i32::try_from(lines)?);
    let text = bars::svg(size, |page| {
        let panels = page.split_evenly((lines, COLUMNS));
        panels.iter().zip(&METRICS).try_for_each(|(panel, metric)| draw_panel(panel, metric, rows, &peers))
    });
    Ok(text?)
}

fn draw_panel(panel: &Page<'_>, metric: &Metric, rows: &[Row], peers: &[Peer]) -> Drawn {
    let spread = |peer: &Peer| spread(rows, *peer, metric).map(|spread| spread.median);
    let medians: Vec<_> = peers.iter().map(spread).collect();
    let scale = Scale::of(&medians.iter().filter_map(|median| median.as_ref().ok().copied()).collect::<Vec<_>>());
    bars::title(panel, MARGIN, metric.title, scale.name())?;
    for ((peer, median), line) in peers.iter().zip(&medians).zip(0..) {
        let (color, ink) = match peer {
            Peer::Proxyprocess | Peer::Cgroups => (OWN, OWN),
            Peer::Floor | Peer::FloorWithFiles => (FLOOR, TEXT),
            _ => (OTHERS, TEXT),
        };
        bars::name(panel, BARS_AT - 8, line, peer.title(), ink)?;
        let (length, figure) = match median {
            Ok(median) => (scale.length(*median), short(*median)),
            Err(reason) => (0, reason.clone()),
        };
        Bar { left: BARS_AT, line, length, color, figure: &figure, ink }.draw(panel)?;
    }
    Ok(())
}

/// How long bars are: logarithmic where the figures are orders of magnitude apart.
#[derive(Debug, Clone, Copy)]
enum Scale {
    Linear { most: f64 },
    Logarithmic { least: f64, most: f64 },
}

impl Scale {
    fn of(values: &[f64]) -> Scale {
        let positive = || values.iter().copied().filter(|value| *value > 0.0);
        let (least, most) = (positive().fold(f64::INFINITY, f64::min), positive().fold(0.0, f64::max));
        if most > 8.0 * least { Scale::Logarithmic { least: least / 2.0, most } } else { Scale::Linear { most } }
    }

    fn name(self) -> &'static str {
        match self {
            Scale::Linear { .. } => "linear, less is better",
            Scale::Logarithmic { .. } => "logarithmic, less is better",
        }
    }

    fn length(self, value: f64) -> i32 {
        if value <= 0.0 {
            return 0;
        }
        let share = match self {
            Scale::Linear { most } => value / most,
            Scale::Logarithmic { least, most } => (value / least).ln() / (most / least).ln(),
        };
        (share * f64::from(BARS_LENGTH)).max(LEAST_LENGTH) as i32
    }
}
