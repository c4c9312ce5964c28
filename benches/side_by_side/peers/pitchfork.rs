// SPDX-License-Identifier: MPL-2.0
//! pitchfork: its supervisor in the foreground, which starts the daemons of the user's configuration as at a boot.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use rustix::process::Signal;

use super::external::{External, KILLS_MANY_SECONDS_EACH, Order, Source, refuses_nothing};
use crate::Result;

pub(super) const PITCHFORK: External = External {
    option: "pitchfork",
    program: "pitchfork",
    source: Source::Registry("crates.io"),
    remarks: "`boot_start` and `retry = true`; looks every ten seconds for what has ended (`general.interval`)",
    stop_signal: Signal::TERM,
    most_kills: KILLS_MANY_SECONDS_EACH,
    descriptors_each: 8,
    refuses: refuses_nothing,
    set_up,
};

fn set_up(order: &Order<'_>) -> Result<Command> {
    let folder = order.directory.join(".config/pitchfork");
    fs::create_dir_all(&folder)?;
    let mut text = String::new();
    for id in 0..order.n {
        let program = order.beacon.display();
        // A shell reads `run`, which stays the process without `exec`.
        write!(text, "[daemons.beacon-{id}]\nrun = \"exec {program} {id}\"\nboot_start = true\nretry = true\n")?;
    }
    fs::write(folder.join("config.toml"), text)?;
    let mut command = Command::new(order.program);
    command.args(["supervisor", "run", "--boot"]).current_dir(order.directory);
    command.env("HOME", order.directory).env("PITCHFORK_STATE_DIR", order.directory.join("state"));
    for variable in ["XDG_CONFIG_HOME", "XDG_STATE_HOME", "SUDO_UID", "SUDO_GID"] {
        command.env_remove(variable);
    }
    Ok(command)
}
