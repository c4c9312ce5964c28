// SPDX-License-Identifier: MPL-2.0
//! supervisord, as Debian has it and as PyPI has it: a section of one file for each program.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use rustix::process::Signal;

use super::external::{External, KILLS_A_SECOND_EACH, Order, Source, refuses_nothing};
use crate::Result;

/// It has several pipes a process.
const DESCRIPTORS_EACH: u64 = 8;

pub(super) const DEBIAN: External = External {
    option: "supervisor",
    program: "supervisord",
    source: Source::Debian("supervisor"),
    remarks: "without logs; waits a second before each restart",
    stop_signal: Signal::TERM,
    most_kills: KILLS_A_SECOND_EACH,
    descriptors_each: DESCRIPTORS_EACH,
    refuses: refuses_nothing,
    set_up,
};

pub(super) const PYPI: External =
    External { option: "supervisor-pypi", source: Source::RegistryAlone("PyPI"), ..DEBIAN };

fn set_up(order: &Order<'_>) -> Result<Command> {
    let path = order.directory.join("supervisord.conf");
    let place = order.directory.display();
    let descriptors = u64::from(order.n) * DESCRIPTORS_EACH;
    let mut text =
        format!("[supervisord]\nlogfile={place}/log\npidfile={place}/pid\nchildlogdir={place}\nminfds={descriptors}\n");
    for id in 0..order.n {
        let program = order.beacon.display();
        write!(text, "[program:beacon-{id}]\ncommand={program} {id}\nautorestart=true\nstartsecs=0\n")?;
        text.push_str("stdout_logfile=NONE\nstderr_logfile=NONE\n");
    }
    fs::write(&path, text)?;
    let mut command = Command::new(order.program);
    command.arg("--nodaemon").arg("--configuration").arg(path);
    Ok(command)
}
