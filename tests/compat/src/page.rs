// SPDX-License-Identifier: MPL-2.0
//! What was seen, as lines of text and as the page.

use std::time::Duration;

use crate::program::{Cells, Program};

/// What a player saw of a program.
pub(crate) fn row(program: &Program, version: &str, seen: &Cells, took: Duration) -> String {
    let cells: Vec<String> = seen.iter().map(|(name, what)| format!("    {name}: {what}")).collect();
    format!("{} {version} ({:.1} s)\n{}", program.name, took.as_secs_f64(), cells.join("\n"))
}
