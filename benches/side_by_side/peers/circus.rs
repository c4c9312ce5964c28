// SPDX-License-Identifier: MPL-2.0
//! circus: a watcher for each process, in one file.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use rustix::process::Signal;

use super::external::{External, KILLS_SECONDS_EACH, Order, Source, refuses_nothing};
use crate::Result;

pub(super) const CIRCUS: External = External {
    option: "circus",
    program: "circusd",
    source: Source::Registry("PyPI"),
    remarks: "without logs; it looks for what has ended every 5 s (`check_delay`)",
    stop_signal: Signal::TERM,
    most_kills: KILLS_SECONDS_EACH,
    descriptors_each: 8,
    refuses: refuses_nothing,
    set_up,
};

fn set_up(order: &Order<'_>) -> Result<Command> {
    let (path, place) = (order.directory.join("circus.ini"), order.directory.display());
    let mut text = format!("[circus]\nendpoint = ipc://{place}/endpoint\npubsub_endpoint = ipc://{place}/pubsub\n");
    for id in 0..order.n {
        let program = order.beacon.display();
        write!(text, "[watcher:beacon-{id}]\ncmd = {program} {id}\nnumprocesses = 1\ncopy_env = True\n")?;
        text.push_str("close_child_stdout = True\nclose_child_stderr = True\n");
    }
    fs::write(&path, text)?;
    let mut command = Command::new(order.program);
    command.arg(path);
    Ok(command)
}
