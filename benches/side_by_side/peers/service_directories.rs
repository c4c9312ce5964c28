// SPDX-License-Identifier: MPL-2.0
//! runit and s6: a directory for each service, with a `run` script.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;

use super::external::{External, KILLS_A_SECOND_EACH, Order, Source, refuses_nothing};
use crate::Result;

pub(super) const RUNIT: External = External {
    option: "runit",
    program: "runsvdir",
    source: Source::Debian("runit"),
    remarks: "without logs",
    stop_signal: Signal::HUP,
    most_kills: u32::MAX,
    descriptors_each: 1,
    refuses: refuses_nothing,
    set_up: |order| {
        let mut command = Command::new(order.program);
        command.arg(service_directories(order)?);
        Ok(command)
    },
};

pub(super) const S6: External = External {
    option: "s6",
    program: "s6-svscan",
    source: Source::Debian("s6"),
    remarks: "without logs; waits a second before each restart",
    stop_signal: Signal::TERM,
    most_kills: KILLS_A_SECOND_EACH,
    descriptors_each: 1,
    refuses: refuses_nothing,
    set_up: |order| {
        let mut command = Command::new(order.program);
        // Without this it looks after 500 services.
        command.arg("-c").arg((order.n + 10).to_string()).arg(service_directories(order)?);
        Ok(command)
    },
};

fn service_directories(order: &Order<'_>) -> Result<PathBuf> {
    let services = order.directory.join("services");
    for id in 0..order.n {
        let service = services.join(id.to_string());
        fs::create_dir_all(&service)?;
        let script = service.join("run");
        fs::write(&script, format!("#!/bin/sh\nexec {} {id}\n", order.beacon.display()))?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    }
    Ok(services)
}
