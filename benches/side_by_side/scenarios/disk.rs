// SPDX-License-Identifier: MPL-2.0
//! What one restart among many writes: the supervisor, and the child until it executes its program.

use std::thread;

use crate::Result;
use crate::agent::Agent;
use crate::measure::{SETTLE, restarts};
use crate::options::Options;
use crate::targets::Target;
use crate::tools::Tools;

pub(super) fn run(options: &Options, tools: &Tools) -> Result<Vec<Target>> {
    let n = options.many;
    let mut agent = Agent::start(tools, n, &[])?;
    thread::sleep(SETTLE);
    let written = restarts(&mut agent.scene, n, options.kills)?;
    agent.kill()?;
    Ok(vec![
        Target::at_most(format!("written a restart among {n}"), written.written_each, 4096.0, "bytes"),
        Target::told("pages of files dirtied by that, whole ones", written.dirtied_each / 1024.0, "KiB"),
    ])
}
