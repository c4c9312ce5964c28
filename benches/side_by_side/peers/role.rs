// SPDX-License-Identifier: MPL-2.0
//! The supervisors that come with the benchmark: this program in a role, and the floor.

use std::path::Path;
use std::process::Command;

use crate::tools::Tools;

/// This program in a role.
pub(crate) fn role(name: &str, tools: &Tools, directory: &Path, n: u32) -> Command {
    let mut command = Command::new(&tools.roles);
    command.args(["--role", name]);
    with_arguments(command, tools, directory, n)
}

/// `floor.c`.
pub(super) fn floor(tools: &Tools, directory: &Path, n: u32) -> Command {
    with_arguments(Command::new(&tools.floor), tools, directory, n)
}

fn with_arguments(mut command: Command, tools: &Tools, directory: &Path, n: u32) -> Command {
    command.arg(n.to_string()).arg(&tools.beacon).arg(directory);
    command
}
