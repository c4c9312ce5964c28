// SPDX-License-Identifier: MPL-2.0
//! A first word that is no command: `agent CONFIG` takes it for a file, and one that is not there was meant as a command.

use std::path::Path;

use clap::CommandFactory;
use clap::error::ErrorKind;

use super::arguments::Arguments;

/// Ends this process, with exit code 2, when its first argument is neither a command nor a file, and is not written like
/// the path of one.
pub(super) fn refuse() {
    let Some(word) = std::env::args_os().nth(1).and_then(|word| word.into_string().ok()) else { return };
    if word.is_empty() || word.starts_with('-') || word.contains(['/', '.']) || Path::new(&word).exists() {
        return;
    }
    let mut command = Arguments::command();
    command.build();
    let names: Vec<String> = command.get_subcommands().map(|known| known.get_name().to_owned()).collect();
    if names.contains(&word) {
        return;
    }
    let begun = names.iter().find(|name| name.starts_with(&word));
    let like = || names.iter().map(|name| (distance(&word, name), name)).min().filter(|(distance, _)| *distance <= 2);
    let meant = begun.or_else(|| like().map(|(_, name)| name));
    let hint = meant.map_or_else(String::new, |name| format!("; is `agent {name}` meant?"));
    command.error(ErrorKind::InvalidSubcommand, format!("no such command or file: {word}{hint}")).exit();
}

/// How many characters have to be added, removed or replaced to make one word of the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (line, of_a) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for (column, of_b) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(of_a != *of_b);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[b.len()]
}
