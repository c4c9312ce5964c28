// SPDX-License-Identifier: MPL-2.0
//! The manual page: one for all commands, in the order in which an operator needs them. The source is that of man(7).

use std::fmt::Write as _;
use std::io::{self, Write as _};

use clap::{Arg, Command, CommandFactory};

use super::arguments::{AFTER_HELP, Arguments};
use crate::Result;

/// The commands by what they are for.
const GROUPS: [(&str, &[&str]); 4] = [
    ("RUNNING AN AGENT", &["run", "check", "init"]),
    ("SEEING WHAT PROXIES DO", &["status", "logs", "events", "wait", "metrics"]),
    ("STEERING PROXIES AND THE AGENT", &["restart", "stop", "start", "reload", "signal", "quit"]),
    ("OTHER COMMANDS", &["version", "schema", "completions", "man", "proxy", "demo"]),
];

/// The options of most commands, which are described once.
const OF_AGENT: [&str; 2] = ["data_dir", "config"];

/// Prints the manual page.
///
/// # Errors
/// When it cannot be printed.
pub(super) fn print() -> Result<()> {
    Ok(io::stdout().write_all(page(Arguments::command()).as_bytes())?)
}

fn page(mut command: Command) -> String {
    command.build();
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let version = command.get_version().unwrap_or_default();
    let mut page =
        format!(".TH agent 1 \"\" \"agent {}\"\n.SH NAME\nagent \\- {}\n", escaped(version), escaped(&about));
    page += ".SH SYNOPSIS\n.nf\n";
    let mut sections = String::new();
    for (heading, names) in GROUPS {
        let _ = writeln!(sections, ".SH {heading}");
        for name in names {
            let Some(known) = command.find_subcommand_mut(name) else { continue };
            let usage = known.render_usage().to_string();
            let usage = escaped(usage.trim_start_matches("Usage: ").trim());
            let _ = writeln!(page, "{usage}");
            describe(known, &usage, &mut sections);
        }
    }
    page += ".fi\n";
    page += &sections;
    page += ".SH OPTIONS OF COMMANDS THAT ASK A RUNNING AGENT\n";
    if let Some(status) = command.find_subcommand("status") {
        status.get_arguments().filter(|option| is_of_agent(option)).for_each(|option| entry(option, &mut page));
    }
    for part in AFTER_HELP.split("\n\n") {
        match part.split_once(":\n") {
            Some((heading, rows)) => {
                let rows: Vec<String> =
                    rows.lines().map(|row| escaped(row.strip_prefix("  ").unwrap_or(row))).collect();
                let _ = writeln!(page, ".SH {}\n.nf\n{}\n.fi", escaped(&heading.to_uppercase()), rows.join("\n"));
            }
            None => {
                let _ = writeln!(page, ".SH LOG\n{}", escaped(part));
            }
        }
    }
    page
}

fn describe(command: &Command, usage: &str, page: &mut String) {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let _ = writeln!(page, ".SS {usage}\n{}.", escaped(&about));
    // What is meant comes before how.
    command.get_positionals().for_each(|argument| entry(argument, page));
    let asks = command.get_arguments().any(|option| option.get_id() == OF_AGENT[0]);
    let own = command.get_arguments().filter(|option| !option.is_positional() && option.get_id() != "help");
    own.filter(|option| !(asks && is_of_agent(option))).for_each(|option| entry(option, page));
}

fn is_of_agent(option: &Arg) -> bool {
    OF_AGENT.iter().any(|name| option.get_id() == name)
}

/// One argument: how it is written, and what it means.
fn entry(argument: &Arg, page: &mut String) {
    let takes_value = argument.get_action().takes_values();
    let value = argument.get_value_names().filter(|_| takes_value).map(|names| names.join(" ")).unwrap_or_default();
    let short = argument.get_short().map(|short| format!("-{short}"));
    let names: Vec<String> = short.into_iter().chain(argument.get_long().map(|long| format!("--{long}"))).collect();
    let parts = [("\\fB", names.join(", ")), ("\\fI", value)];
    let parts = parts.iter().filter(|(_, text)| !text.is_empty());
    let written: Vec<String> = parts.map(|(font, text)| format!("{font}{}\\fR", escaped(text))).collect();
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let default: Vec<String> =
        argument.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    let default =
        if default.is_empty() || !takes_value { String::new() } else { format!(" (default: {})", default.join(" ")) };
    let possible = argument.get_possible_values();
    let possible: Vec<&str> = possible.iter().filter(|_| takes_value).map(|value| value.get_name()).collect();
    let one_of = if possible.is_empty() { String::new() } else { format!(": {}", possible.join(", ")) };
    let _ = writeln!(page, ".TP\n{}\n{}", written.join(" "), escaped(&format!("{help}{one_of}{default}")));
}

/// Text as it is, to roff(7): no escape, no request at the beginning of a line, and hyphens that can be copied.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}
