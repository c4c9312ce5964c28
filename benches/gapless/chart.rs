// SPDX-License-Identifier: MPL-2.0
//! A picture of what a restart and a crash cost the clients of one program: a panel for each figure, a bar for each way.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::Result;
use crate::peers::PROGRAM;
use crate::report::under;
use crate::scenarios::{CRASH, Event, RESTART, Row};

const PANEL_WIDTH: i32 = 330;
const NAMES_WIDTH: i32 = 290;
const BAR_HEIGHT: i32 = 15;
const BAR_PITCH: i32 = 23;
const TITLE_HEIGHT: i32 = 52;
const MARGIN: i32 = 16;
/// How long the longest bar is: its figure stands beside it.
const BARS_LENGTH: i32 = 200;
/// Sizes of text in pixels.
const LARGE: f64 = 14.0;
const SMALL: f64 = 12.0;
/// What plotters divides the size of a font by when it writes it down.
const FONT_UNITS: f64 = 1.24;
/// The shortest bar that is something.
const LEAST_LENGTH: i32 = 3;

/// A light page of its own, so that it can be read on any other.
const TEXT: RGBColor = RGBColor(36, 41, 47);
const FAINT: RGBColor = RGBColor(87, 96, 106);
const OWN: RGBColor = RGBColor(9, 105, 218);
const OTHERS: RGBColor = RGBColor(212, 125, 33);

type Page<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn = std::result::Result<(), DrawingAreaErrorKind<<SVGBackend<'static> as DrawingBackend>::ErrorType>>;

struct Panel {
    title: &'static str,
    subtitle: &'static str,
    event: Event,
    figure: fn(&Row) -> u64,
}

static PANELS: [Panel; 3] = [
    Panel {
        title: "restart: refused or reset",
        subtitle: "new connections; logarithmic, less is better",
        event: RESTART,
        figure: |row| row.counts.refused + row.counts.reset,
    },
    Panel {
        title: "restart: slowest, ms",
        subtitle: "new connection that got an answer; logarithmic",
        event: RESTART,
        figure: |row| row.counts.slowest.as_millis() as u64,
    },
    Panel {
        title: "SIGKILL: refused",
        subtitle: "new connections; logarithmic, less is better",
        event: CRASH,
        figure: |row| row.counts.refused,
    },
];

/// The text of an SVG file.
///
/// # Errors
/// When there is no restart to draw.
pub(crate) fn draw(rows: &[Row]) -> Result<String> {
    let rows: Vec<&Row> = rows.iter().filter(|row| row.program == PROGRAM).collect();
    let ways: Vec<&Row> = rows.iter().copied().filter(|row| row.event == RESTART).collect();
    if ways.is_empty() {
        return Err(format!("--svg: no restart of {PROGRAM} was measured").into());
    }
    let height = TITLE_HEIGHT + BAR_PITCH * i32::try_from(ways.len())? + MARGIN;
    let size = (NAMES_WIDTH + PANEL_WIDTH * PANELS.len() as i32, height);
    let mut text = String::new();
    {
        let page = SVGBackend::with_string(&mut text, (size.0.unsigned_abs(), size.1.unsigned_abs()));
        let page = page.into_drawing_area();
        draw_page(&page, &rows, &ways).map_err(|error| format!("draw the chart: {error}"))?;
    }
    Ok(text)
}

fn style(size: f64, color: RGBColor, anchor: HPos) -> TextStyle<'static> {
    ("sans-serif", size * FONT_UNITS).into_font().color(&color).pos(Pos::new(anchor, VPos::Center))
}

fn draw_page(page: &Page<'_>, rows: &[&Row], ways: &[&Row]) -> Drawn {
    page.fill(&WHITE)?;
    page.draw(&Text::new(format!("{PROGRAM} under load"), (MARGIN, 20), style(LARGE, TEXT, HPos::Left)))?;
    for (way, line) in ways.iter().zip(0..) {
        let (name, at) = (under(way).replace('`', ""), (NAMES_WIDTH - 10, middle(line)));
        page.draw(&Text::new(name, at, style(SMALL, color_of(way, TEXT), HPos::Right)))?;
    }
    for (panel, column) in PANELS.iter().zip(0..) {
        let is_of =
            |row: &Row, way: &Row| row.event == panel.event && (row.peer, row.sockets) == (way.peer, way.sockets);
        let of_way = |way: &&Row| rows.iter().copied().find(|row| is_of(row, way));
        let shown: Vec<Option<&Row>> = ways.iter().map(of_way).collect();
        draw_panel(page, panel, &shown, NAMES_WIDTH + PANEL_WIDTH * column)?;
    }
    page.present()
}

fn draw_panel(page: &Page<'_>, panel: &Panel, rows: &[Option<&Row>], left: i32) -> Drawn {
    let times = rows.iter().flatten().map(|row| row.times).next().unwrap_or(0);
    let title = format!("{} ({times} times)", panel.title);
    page.draw(&Text::new(title, (left, 20), style(LARGE, TEXT, HPos::Left)))?;
    page.draw(&Text::new(panel.subtitle, (left, 38), style(SMALL, FAINT, HPos::Left)))?;
    let most = rows.iter().flatten().map(|row| (panel.figure)(row)).max().unwrap_or(0);
    for (row, line) in rows.iter().zip(0..) {
        let Some(row) = row else { continue };
        let (figure, top) = ((panel.figure)(row), TITLE_HEIGHT + BAR_PITCH * line);
        let end = left + length(figure, most);
        page.draw(&Rectangle::new([(left, top), (end, top + BAR_HEIGHT)], color_of(row, OTHERS).filled()))?;
        let at = (end + 6, middle(line));
        page.draw(&Text::new(figure.to_string(), at, style(SMALL, color_of(row, TEXT), HPos::Left)))?;
    }
    Ok(())
}

fn middle(line: i32) -> i32 {
    TITLE_HEIGHT + BAR_PITCH * line + BAR_HEIGHT / 2
}

fn color_of(row: &Row, of_others: RGBColor) -> RGBColor {
    if row.peer.is_none() { OWN } else { of_others }
}

/// Nothing for 0; the figures are orders of magnitude apart.
fn length(figure: u64, most: u64) -> i32 {
    if figure == 0 {
        return 0;
    }
    let share = (figure as f64 + 1.0).ln() / (most as f64 + 1.0).ln();
    LEAST_LENGTH.max((share * f64::from(BARS_LENGTH)) as i32)
}
