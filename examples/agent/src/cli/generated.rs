// SPDX-License-Identifier: MPL-2.0
//! What other programs read of this one: completions, the manual page, and the schema of configurations.

use std::io::{self, Write};

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use super::arguments::Arguments;
use crate::{Result, config};

/// Prints what a shell reads to complete the arguments.
pub(super) fn completions(shell: Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "agent", &mut script);
    // As of all that is said, its reader may be gone.
    let _ = io::stdout().write_all(&script);
}

/// Prints the JSON schema of configurations.
///
/// # Errors
/// When it cannot be printed.
pub(super) fn schema() -> Result<()> {
    Ok(io::stdout().write_all(config::SCHEMA.as_bytes())?)
}

/// Prints the manual page: the agent, and then a section for each command.
///
/// # Errors
/// When it cannot be printed.
pub(super) fn man() -> Result<()> {
    let mut command = Arguments::command();
    command.build();
    let mut page = Vec::new();
    let man = Man::new(command.clone());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_options_section(&mut page)?;
    for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
        let name = subcommand.get_name();
        let man = Man::new(subcommand.clone().bin_name(format!("agent {name}")));
        let mut section = Vec::new();
        man.render_synopsis_section(&mut section)?;
        man.render_description_section(&mut section)?;
        man.render_options_section(&mut section)?;
        writeln!(page, ".SH AGENT {}", name.to_uppercase())?;
        // Sections of a section, without what each begins with for the formatter.
        let lines = String::from_utf8_lossy(&section);
        for line in lines.lines().filter(|line| !line.starts_with(".ie ") && !line.starts_with(".el ")) {
            writeln!(page, "{}", line.replace(".SH ", ".SS "))?;
        }
    }
    man.render_extra_section(&mut page)?;
    Ok(io::stdout().write_all(&page)?)
}
