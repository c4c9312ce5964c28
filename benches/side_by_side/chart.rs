// SPDX-License-Identifier: MPL-2.0
//! The comparison as a picture: a panel for each figure, a bar for each supervisor.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::Result;
use crate::figures::short;
use crate::measure::Row;
use crate::peers::Peer;
use crate::report::{METRICS, Metric, peers, spread};

const COLUMNS: usize = 3;
const PANEL_WIDTH: i32 = 370;
const BAR_HEIGHT: i32 = 15;
const BAR_PITCH: i32 = 21;
const TITLE_HEIGHT: i32 = 52;
const MARGIN: i32 = 16;
/// Where the bars begin, right of the names, and how long the longest is.
const BARS_AT: i32 = 136;
const BARS_LENGTH: i32 = 160;
/// Sizes of text in pixels.
const LARGE: f64 = 14.0;
const SMALL: f64 = 12.0;
/// What plotters divides the size of a font by when it writes it down.
const FONT_UNITS: f64 = 1.24;
/// The shortest bar that is something.
const LEAST_LENGTH: f64 = 3.0;

/// A light page of its own, so that it can be read on any other.
const PAGE: RGBColor = RGBColor(255, 255, 255);
const TEXT: RGBColor = RGBColor(36, 41, 47);
const FAINT: RGBColor = RGBColor(87, 96, 106);
const OWN: RGBColor = RGBColor(9, 105, 218);
const FLOOR: RGBColor = RGBColor(140, 149, 159);
const OTHERS: RGBColor = RGBColor(212, 125, 33);

type Panel<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// The text of an SVG file.
pub(crate) fn draw(rows: &[Row]) -> Result<String> {
    let peers = peers(rows);
    let lines = METRICS.len().div_ceil(COLUMNS);
    let panel_height = TITLE_HEIGHT + BAR_PITCH * i32::try_from(peers.len())? + MARGIN;
    let size = (PANEL_WIDTH.unsigned_abs() * COLUMNS as u32, panel_height.unsigned_abs() * lines as u32);
    let mut text = String::new();
    {
        let page = SVGBackend::with_string(&mut text, size).into_drawing_area();
        page.fill(&PAGE).map_err(stringly)?;
        for (panel, metric) in page.split_evenly((lines, COLUMNS)).iter().zip(&METRICS) {
            draw_panel(panel, metric, rows, &peers).map_err(stringly)?;
        }
        page.present().map_err(stringly)?;
    }
    Ok(text)
}

fn stringly(error: impl std::fmt::Display) -> String {
    format!("draw the chart: {error}")
}

fn draw_panel(
    panel: &Panel<'_>,
    metric: &Metric,
    rows: &[Row],
    peers: &[Peer],
) -> std::result::Result<(), DrawingAreaErrorKind<<SVGBackend<'static> as DrawingBackend>::ErrorType>> {
    let medians: Vec<f64> = peers.iter().map(|peer| spread(rows, *peer, metric).median).collect();
    let scale = Scale::of(&medians);
    let style = |size: f64, color: RGBColor, anchor: HPos| {
        ("sans-serif", size * FONT_UNITS).into_font().color(&color).pos(Pos::new(anchor, VPos::Center))
    };
    panel.draw(&Text::new(metric.title, (MARGIN, 20), style(LARGE, TEXT, HPos::Left)))?;
    panel.draw(&Text::new(scale.name(), (MARGIN, 38), style(SMALL, FAINT, HPos::Left)))?;
    for ((peer, median), line) in peers.iter().zip(&medians).zip(0..) {
        let (top, middle) = (TITLE_HEIGHT + BAR_PITCH * line, TITLE_HEIGHT + BAR_PITCH * line + BAR_HEIGHT / 2);
        let end = BARS_AT + scale.length(*median);
        let (color, ink) = match peer {
            Peer::Proxyprocess => (OWN, OWN),
            Peer::Floor | Peer::FloorWithFiles => (FLOOR, TEXT),
            _ => (OTHERS, TEXT),
        };
        panel.draw(&Text::new(peer.title(), (BARS_AT - 8, middle), style(SMALL, ink, HPos::Right)))?;
        panel.draw(&Rectangle::new([(BARS_AT, top), (end, top + BAR_HEIGHT)], color.filled()))?;
        panel.draw(&Text::new(short(*median), (end + 6, middle), style(SMALL, ink, HPos::Left)))?;
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
