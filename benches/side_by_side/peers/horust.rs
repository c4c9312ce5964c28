// SPDX-License-Identifier: MPL-2.0
//! horust: a file for each service.

use std::fs;
use std::process::Command;

use rustix::process::Signal;

use super::external::{External, KILLS_A_SECOND_EACH, Order, Source, refuses_nothing};
use crate::Result;

pub(super) const HORUST: External = External {
    option: "horust",
    program: "horust",
    source: Source::Registry("crates.io"),
    remarks: "without logs, restart strategy `always`; takes a second for each restart",
    stop_signal: Signal::TERM,
    most_kills: KILLS_A_SECOND_EACH,
    descriptors_each: 8,
    refuses: refuses_nothing,
    set_up,
};

fn set_up(order: &Order<'_>) -> Result<Command> {
    let services = order.directory.join("services");
    fs::create_dir(&services)?;
    for id in 0..order.n {
        let program = order.beacon.display();
        let text = format!(
            "command = \"{program} {id}\"\nstdout = \"/dev/null\"\nstderr = \"/dev/null\"\n\
             [restart]\nstrategy = \"always\"\n[environment]\nkeep-env = true\n"
        );
        fs::write(services.join(format!("beacon-{id}.toml")), text)?;
    }
    let mut command = Command::new(order.program);
    command.arg("--services-path").arg(services).arg("--uds-folder-path").arg(order.directory);
    Ok(command)
}
