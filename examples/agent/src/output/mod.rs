// SPDX-License-Identifier: MPL-2.0
//! What commands print for people: columns and colours on a terminal, fields with a tab between them elsewhere.

pub(crate) mod log_file;
mod table;

use std::fmt;
use std::io::IsTerminal;

pub(crate) use table::Table;

/// A colour of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    Red,
    Green,
    Yellow,
}

/// How standard output is written to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    pub(crate) columns: bool,
    colours: bool,
}

impl Style {
    /// By what standard output is, and NO_COLOR (<https://no-color.org>).
    pub(crate) fn of_stdout() -> Style {
        let columns = std::io::stdout().is_terminal();
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Style { columns, colours: columns && !refused }
    }

    /// The text in a colour, where there are colours.
    pub(crate) fn paint(self, colour: Option<Colour>, text: &str) -> String {
        let number = match colour.filter(|_| self.colours) {
            None => return text.to_owned(),
            Some(Colour::Red) => 31,
            Some(Colour::Green) => 32,
            Some(Colour::Yellow) => 33,
        };
        format!("\x1b[{number}m{text}\x1b[0m")
    }
}

/// A text of a proxy without the control characters by which it could steer a terminal.
pub(crate) fn plain(text: &str) -> impl fmt::Display + '_ {
    Plain(text)
}

struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            control if control.is_control() => write!(f, "{}", control.escape_default()),
            other => write!(f, "{other}"),
        })
    }
}
