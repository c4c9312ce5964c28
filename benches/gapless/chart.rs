// SPDX-License-Identifier: MPL-2.0
//! A picture of what a restart and a crash cost the clients of one program: a panel for each figure, a bar for each way.

use plotters::style::RGBColor;

use crate::Result;
use crate::bars::{self, Bar, Drawn, MARGIN, OTHERS, OWN, PITCH, Page, TEXT, TITLE_HEIGHT};
use crate::peers::PROGRAM;
use crate::report::under;
use crate::scenarios::{CRASH, Event, RESTART, Row};

const PANEL_WIDTH: i32 = 330;
const NAMES_WIDTH: i32 = 290;
/// How long the longest bar is: its figure stands beside it.
const BARS_LENGTH: i32 = 200;
/// The shortest bar that is something.
const LEAST_LENGTH: i32 = 3;

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
    let height = TITLE_HEIGHT + PITCH * i32::try_from(ways.len())? + MARGIN;
    let width = NAMES_WIDTH + PANEL_WIDTH * PANELS.len() as i32;
    Ok(bars::svg((width, height), |page| draw_page(page, &rows, &ways))?)
}

fn draw_page(page: &Page<'_>, rows: &[&Row], ways: &[&Row]) -> Drawn {
    bars::title(page, MARGIN, &format!("{PROGRAM} under load"), "")?;
    for (way, line) in ways.iter().zip(0..) {
        bars::name(page, NAMES_WIDTH - 10, line, &under(way).replace('`', ""), color_of(way, TEXT))?;
    }
    for (panel, column) in PANELS.iter().zip(0..) {
        let is_of =
            |row: &Row, way: &Row| row.event == panel.event && (row.peer, row.sockets) == (way.peer, way.sockets);
        let of_way = |way: &&Row| rows.iter().copied().find(|row| is_of(row, way));
        let shown: Vec<Option<&Row>> = ways.iter().map(of_way).collect();
        draw_panel(page, panel, &shown, NAMES_WIDTH + PANEL_WIDTH * column)?;
    }
    Ok(())
}

fn draw_panel(page: &Page<'_>, panel: &Panel, rows: &[Option<&Row>], left: i32) -> Drawn {
    let times = rows.iter().flatten().map(|row| row.times).next().unwrap_or(0);
    bars::title(page, left, &format!("{} ({times} times)", panel.title), panel.subtitle)?;
    let most = rows.iter().flatten().map(|row| (panel.figure)(row)).max().unwrap_or(0);
    for (row, line) in rows.iter().zip(0..) {
        let Some(row) = row else { continue };
        let figure = (panel.figure)(row);
        let (length, color, ink) = (length(figure, most), color_of(row, OTHERS), color_of(row, TEXT));
        Bar { left, line, length, color, figure: &figure.to_string(), ink }.draw(page)?;
    }
    Ok(())
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
