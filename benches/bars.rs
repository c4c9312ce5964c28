// SPDX-License-Identifier: MPL-2.0
//! Bars on an SVG page, as the charts of both comparisons draw them.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// The height of what stands above the first bar, and of the space below the last one.
pub(crate) const TITLE_HEIGHT: i32 = 52;
pub(crate) const MARGIN: i32 = 16;
/// From one bar to the next.
pub(crate) const PITCH: i32 = 22;
const HEIGHT: i32 = 15;
/// Sizes of text in pixels.
const LARGE: f64 = 14.0;
const SMALL: f64 = 12.0;
/// What plotters divides the size of a font by when it writes it down.
const FONT_UNITS: f64 = 1.24;

/// A light page of its own, so that it can be read on any other.
pub(crate) const TEXT: RGBColor = RGBColor(36, 41, 47);
const FAINT: RGBColor = RGBColor(87, 96, 106);
/// Of the bars: this library's and those of other supervisors.
pub(crate) const OWN: RGBColor = RGBColor(9, 105, 218);
pub(crate) const OTHERS: RGBColor = RGBColor(212, 125, 33);

pub(crate) type Page<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
pub(crate) type Drawn = Result<(), DrawingAreaErrorKind<<SVGBackend<'static> as DrawingBackend>::ErrorType>>;

/// The text of an SVG file of this width and height in pixels.
///
/// # Errors
/// What plotters could not draw.
pub(crate) fn svg(size: (i32, i32), draw: impl FnOnce(&Page<'_>) -> Drawn) -> Result<String, String> {
    let mut text = String::new();
    {
        let page = SVGBackend::with_string(&mut text, (size.0.unsigned_abs(), size.1.unsigned_abs()));
        let page = page.into_drawing_area();
        let drawn = page.fill(&WHITE).and_then(|()| draw(&page)).and_then(|()| page.present());
        drawn.map_err(|error| format!("draw the chart: {error}"))?;
    }
    Ok(text)
}

/// What stands above the bars: a title, and a smaller line below it.
pub(crate) fn title(page: &Page<'_>, left: i32, title: &str, subtitle: &str) -> Drawn {
    page.draw(&Text::new(title, (left, 20), style(LARGE, TEXT, HPos::Left)))?;
    page.draw(&Text::new(subtitle, (left, 38), style(SMALL, FAINT, HPos::Left)))
}

/// The name of a line of bars, which ends here.
pub(crate) fn name(page: &Page<'_>, right: i32, line: i32, name: &str, ink: RGBColor) -> Drawn {
    page.draw(&Text::new(name, (right, middle(line)), style(SMALL, ink, HPos::Right)))
}

/// A bar with its figure beside it.
#[derive(Debug)]
pub(crate) struct Bar<'a> {
    pub(crate) left: i32,
    /// Counted from 0 at the top.
    pub(crate) line: i32,
    pub(crate) length: i32,
    pub(crate) color: RGBColor,
    pub(crate) figure: &'a str,
    pub(crate) ink: RGBColor,
}

impl Bar<'_> {
    pub(crate) fn draw(&self, page: &Page<'_>) -> Drawn {
        let (top, end) = (TITLE_HEIGHT + PITCH * self.line, self.left + self.length);
        page.draw(&Rectangle::new([(self.left, top), (end, top + HEIGHT)], self.color.filled()))?;
        let at = (end + 6, middle(self.line));
        page.draw(&Text::new(self.figure, at, style(SMALL, self.ink, HPos::Left)))
    }
}

fn middle(line: i32) -> i32 {
    TITLE_HEIGHT + PITCH * line + HEIGHT / 2
}

fn style(size: f64, color: RGBColor, anchor: HPos) -> TextStyle<'static> {
    ("sans-serif", size * FONT_UNITS).into_font().color(&color).pos(Pos::new(anchor, VPos::Center))
}
