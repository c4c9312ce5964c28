// SPDX-License-Identifier: MPL-2.0
//! Rows of cells, and notes below a row.

use super::{Colour, Style};

/// Between two columns.
const GAP: &str = "  ";

/// A table that is printed when all of it is known.
pub(crate) struct Table<const COLUMNS: usize> {
    style: Style,
    rows: Vec<Row<COLUMNS>>,
}

struct Row<const COLUMNS: usize> {
    cells: [String; COLUMNS],
    /// The colour of a cell.
    colour: Option<(usize, Colour)>,
    notes: Vec<String>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    pub(crate) fn new(style: Style, head: [&str; COLUMNS]) -> Table<COLUMNS> {
        let mut table = Table { style, rows: Vec::new() };
        table.row(head.map(str::to_owned), None, Vec::new());
        table
    }

    /// Adds a row, with one cell in a colour and lines below it.
    pub(crate) fn row(&mut self, cells: [String; COLUMNS], colour: Option<(usize, Colour)>, notes: Vec<String>) {
        self.rows.push(Row { cells, colour, notes });
    }

    /// The lines of the table.
    pub(crate) fn lines(&self) -> Vec<String> {
        let width = |column: usize| self.rows.iter().map(|row| row.cells[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; COLUMNS] = std::array::from_fn(width);
        let mut lines = Vec::new();
        for row in &self.rows {
            let cell = |column: usize| {
                let text = &row.cells[column];
                let colour = row.colour.filter(|(at, _)| *at == column).map(|(_, colour)| colour);
                let painted = self.style.paint(colour, text);
                // A terminal does not count the characters of a colour.
                let padding = if column + 1 < COLUMNS { widths[column] - text.chars().count() } else { 0 };
                if self.style.columns { painted + &" ".repeat(padding) } else { painted }
            };
            let cells: Vec<String> = (0..COLUMNS).map(cell).collect();
            lines.push(cells.join(if self.style.columns { GAP } else { "\t" }));
            let indent = if self.style.columns { "    " } else { "\t" };
            lines.extend(row.notes.iter().map(|note| format!("{indent}{note}")));
        }
        lines
    }
}
