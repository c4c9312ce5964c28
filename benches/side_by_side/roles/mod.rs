// SPDX-License-Identifier: MPL-2.0
//! What this program is besides the benchmark: supervisors, which the benchmark starts from a copy of it.

mod control;
mod host;
mod threads;

use std::path::PathBuf;

use rustix::pipe::{PipeFlags, pipe_with};

use crate::Result;

/// What every role is told: how many processes of which program, and where its files go.
struct Work {
    n: u32,
    beacon: PathBuf,
    directory: PathBuf,
    /// `name=value`, of those that the role has.
    settings: Vec<(String, String)>,
}

/// Takes the role that the first word names.
pub(crate) fn play(words: &[String]) -> Result<()> {
    let [role, n, beacon, directory, settings @ ..] = words else {
        return Err("--role: expected a role, a number, a program and a directory".into());
    };
    let setting = |word: &String| word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let work = Work {
        n: n.parse()?,
        beacon: beacon.into(),
        directory: directory.into(),
        settings: settings.iter().filter_map(setting).collect(),
    };
    match role.as_str() {
        "host" => host::run(&work),
        "threads" => threads::run(&work),
        other => Err(format!("--role: unknown role {other:?}").into()),
    }
}

/// The read end of a pipe that becomes readable with SIGTERM.
fn termination() -> Result<rustix::fd::OwnedFd> {
    let (told, tell) = pipe_with(PipeFlags::CLOEXEC)?;
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGTERM, tell)?;
    Ok(told)
}
