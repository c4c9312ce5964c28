// SPDX-License-Identifier: MPL-2.0
//! The table of `docs/hosts.md`, which this program writes.

use std::fs;
use std::path::PathBuf;

use crate::runtime::root;

/// The table is between lines that begin so.
const BEGIN: &str = "<!-- written by tests/runtimes: begin -->\n";
const END: &str = "<!-- written by tests/runtimes: end -->";

const HEADINGS: [&str; 8] = [
    "runtime",
    "signals that all its threads block; ignored ones",
    "20 processes by its own API; what they inherit",
    "what the proxies inherit",
    "a call after `fork`",
    "exits of proxies that are unknown before Linux 6.15",
    "Ctrl-C",
    "end without a close; the proxies were adopted by",
];

fn page() -> PathBuf {
    root().join("docs/hosts.md")
}

/// The text of the page before the table, the table and what is after it.
fn parts(text: &str) -> (&str, &str, &str) {
    let (before, rest) = text.split_once(BEGIN).expect("docs/hosts.md has a place for the table");
    let (table, after) = rest.split_once(END).expect("docs/hosts.md has an end of the table");
    (before, table, after)
}

fn line(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// Writes the rows in place of those that are there.
pub(crate) fn write(rows: &[Vec<String>]) {
    let text = fs::read_to_string(page()).expect("read docs/hosts.md");
    let (before, _, after) = parts(&text);
    let head = line(&HEADINGS.map(str::to_owned));
    let rows: String = rows.iter().map(|row| line(row)).collect();
    let written = format!("{before}{BEGIN}{head}|{}\n{rows}{END}{after}", "---|".repeat(HEADINGS.len()));
    fs::write(page(), written).expect("write docs/hosts.md");
}

/// Without the version, and the host that happened to be next.
fn kept(row: &[String]) -> Vec<&str> {
    let mut cells: Vec<&str> = row.iter().map(|cell| cell.trim()).collect();
    if let Some(first) = cells.first_mut() {
        *first = first.rsplit_once(' ').map_or(*first, |(title, _)| title);
    }
    if let Some(last) = cells.last_mut() {
        *last = last.split("; ").next().unwrap_or_default();
    }
    cells
}

/// How many rows differ from those of the page in what matters.
pub(crate) fn compare(rows: &[Vec<String>]) -> usize {
    let text = fs::read_to_string(page()).expect("read docs/hosts.md");
    let (_, table, _) = parts(&text);
    let split = |line: &str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let written: Vec<Vec<String>> = table.lines().skip(2).map(split).collect();
    let is_written = |row: &&Vec<String>| written.iter().any(|other| kept(other) == kept(row));
    let differing: Vec<&Vec<String>> = rows.iter().filter(|row| !is_written(row)).collect();
    for row in &differing {
        eprint!("docs/hosts.md has it otherwise: {}", line(row));
    }
    differing.len()
}
