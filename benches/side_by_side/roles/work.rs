// SPDX-License-Identifier: MPL-2.0
//! What a role has to do, and when it ends.

use std::path::PathBuf;

use rustix::pipe::{PipeFlags, pipe_with};

use crate::Result;

/// What every role is told: how many processes of which program, and where its files go.
pub(super) struct Work {
    pub(super) n: u32,
    pub(super) beacon: PathBuf,
    pub(super) directory: PathBuf,
    /// `name=value`, of those that the role has.
    pub(super) settings: Vec<(String, String)>,
}

/// The read end of a pipe that becomes readable with SIGTERM.
pub(super) fn termination() -> Result<rustix::fd::OwnedFd> {
    let (told, tell) = pipe_with(PipeFlags::CLOEXEC)?;
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGTERM, tell)?;
    Ok(told)
}
