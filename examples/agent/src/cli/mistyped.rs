// SPDX-License-Identifier: MPL-2.0
//! A first word that is no command: `agent CONFIG` takes it for a file, and one that is not there was meant as a command.

use std::path::Path;

use clap::CommandFactory;
use clap::error::ErrorKind;

use super::arguments::Arguments;
use crate::spelling::nearest;

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
    let meant = begun.or_else(|| nearest(&word, &names));
    let hint = meant.map_or_else(String::new, |name| format!("; is `agent {name}` meant?"));
    command.error(ErrorKind::InvalidSubcommand, format!("no such command or file: {word}{hint}")).exit();
}
