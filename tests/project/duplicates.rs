// SPDX-License-Identifier: MPL-2.0
//! No twenty lines of the library stand twice.

use std::collections::HashMap;

use crate::sources::sources;

/// So many lines that stand twice are one thing that has to be changed in two places.
const LINES: usize = 20;

/// The lines of a source text that count, with their numbers: neither empty ones nor comments and imports.
fn code(text: &str) -> Vec<(usize, &str)> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with("//") && !line.starts_with("use ")).collect()
}

/// Where `LINES` lines begin that stand somewhere else as well: the two places, as `file:line`.
fn repeated(files: &[(String, String)]) -> Vec<String> {
    let mut seen: HashMap<Vec<&str>, String> = HashMap::new();
    let mut found = Vec::new();
    for (file, text) in files {
        for window in code(text).windows(LINES) {
            let here = format!("{file}:{}", window[0].0);
            let lines = window.iter().map(|(_, line)| *line).collect();
            match seen.get(&lines) {
                Some(before) => found.push(format!("{before} and {here}")),
                None => drop(seen.insert(lines, here)),
            }
        }
    }
    found
}

#[test]
fn no_twenty_lines_of_the_library_stand_twice() {
    let files = sources("src");
    assert!(files.len() > 100, "the sources cannot be read");
    assert_eq!(repeated(&files), Vec::<String>::new());
}

#[test]
fn lines_that_stand_twice_are_found_whatever_their_indentation_and_comments() {
    let lines = |range: std::ops::Range<usize>, before: &str| {
        range.map(|at| format!("{before}call_{at}();\n")).collect::<String>()
    };
    let one = ("a.rs".to_owned(), format!("use b;\n{}", lines(0..20, "    // why\n    ")));
    let other = ("b.rs".to_owned(), format!("fn b() {{\n{}}}\n", lines(0..20, "")));
    assert_eq!(repeated(&[one.clone(), other.clone()]), ["a.rs:3 and b.rs:2"]);
    let shorter = ("c.rs".to_owned(), lines(1..20, ""));
    assert_eq!(repeated(&[one, shorter]), Vec::<String>::new());
}
