// SPDX-License-Identifier: MPL-2.0
//! The commands: each asks the library or a running agent, and prints what comes of it.

mod arguments;
mod check;
mod events;
mod generated;
mod logs;
mod metrics;
mod status;
mod steer;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::control::client::Connection;
use crate::control::protocol::Awaited;
use crate::control::server;
use crate::{Result, agent, config, demo, proxy};
use arguments::{Arguments, Command};
use logs::Streams;
use steer::Steering;

/// Does what the arguments of this process ask for. Wrong ones end it, with exit code 2.
///
/// # Errors
/// What went wrong; a [`Failure`](crate::failure::Failure) has an exit code of its own.
pub(crate) fn run() -> Result<ExitCode> {
    let Arguments { config, command } = Arguments::parse();
    let command = match (command, config) {
        (Some(command), _) => command,
        (None, Some(config)) => Command::Run { config },
        // UNWRAP: without any argument the help was shown.
        (None, None) => return Ok(ExitCode::from(2)),
    };
    match command {
        Command::Run { config } => return agent::run(&config, server::start),
        Command::Check { config, diff, json } => check::check(&config, diff, json)?,
        Command::Status { id, json, agent } => status::status(connect(agent.data_dir, agent.config)?, id, json)?,
        Command::Restart { ids, wait, agent } => {
            steer::each(&mut connect(agent.data_dir, agent.config)?, Steering::Restart, &ids, wait.timeout())?;
        }
        Command::Stop { ids, wait, agent } => {
            steer::each(&mut connect(agent.data_dir, agent.config)?, Steering::Stop, &ids, wait.timeout())?;
        }
        Command::Start { ids, wait, agent } => {
            steer::each(&mut connect(agent.data_dir, agent.config)?, Steering::Start, &ids, wait.timeout())?;
        }
        Command::Reload { id, agent } => steer::reload(&mut connect(agent.data_dir, agent.config)?, id)?,
        Command::Signal { id, signal, agent } => {
            steer::signal(&mut connect(agent.data_dir, agent.config)?, id, signal)?;
        }
        Command::Wait { id, until, timeout, agent } => {
            let until = if until == Awaited::Stopped.as_str() { Awaited::Stopped } else { Awaited::Ready };
            steer::wait(&mut connect(agent.data_dir, agent.config)?, id, until, timeout)?;
        }
        Command::Logs { id, follow, lines, stdout, stderr, agent } => {
            let streams = match (stdout, stderr) {
                (true, false) => Streams::Stdout,
                (false, true) => Streams::Stderr,
                _ => Streams::Both,
            };
            logs::logs(connect(agent.data_dir, agent.config)?, &id, streams, lines, follow)?;
        }
        Command::Events { follow, json, agent } => {
            events::events(connect(agent.data_dir, agent.config)?, follow, json)?;
        }
        Command::Metrics { agent } => metrics::metrics(&mut connect(agent.data_dir, agent.config)?)?,
        Command::Version { agent } => {
            let named = agent.data_dir.is_some() || agent.config.is_some();
            steer::version(if named { Some(connect(agent.data_dir, agent.config)?) } else { None })?;
        }
        Command::Completions { shell } => generated::completions(shell),
        Command::Man => generated::man()?,
        Command::Proxy { listen, upstream } => proxy::run(&listen, &upstream)?,
        Command::Demo => demo::run()?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Connects to the agent of a data directory, or of the one that a configuration names.
fn connect(data_dir: Option<PathBuf>, config: Option<PathBuf>) -> Result<Connection> {
    match (data_dir, config) {
        (Some(data_dir), _) => Connection::open(&data_dir),
        (None, config) => Connection::open(&config::data_dir_of(&config.unwrap_or_default())?),
    }
}
