// SPDX-License-Identifier: MPL-2.0
//! The commands: each asks the library or a running agent, and prints what comes of it.

mod arguments;
mod cause;
mod check;
mod declarations;
mod events;
mod generated;
mod ids;
mod init;
mod logs;
mod manual;
mod metrics;
mod mistyped;
mod progress;
mod proxy_status;
mod quit;
mod status;
mod steer;
mod steer_several;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use crate::control::client::Connection;
use crate::control::server;
use crate::{Result, agent, config, demo, http, proxy};
use arguments::{Arguments, Command, Http, NamedAgent, Several, WhichAgent};
use logs::Streams;
use steer_several::Steering;

/// Does what the arguments of this process ask for. Wrong ones end it, with exit code 2.
///
/// # Errors
/// What went wrong; a [`Failure`](crate::failure::Failure) has an exit code of its own.
pub(crate) fn run() -> Result<ExitCode> {
    if let Some(words) = ids::asked() {
        ids::ids(&words);
        return Ok(ExitCode::SUCCESS);
    }
    mistyped::refuse();
    // Without any argument the help was shown.
    let Some(command) = Arguments::parse().wanted() else { return Ok(ExitCode::from(2)) };
    match command {
        Command::Run { file, http } => return run_agent(&file.path(), http),
        Command::Check { file, diff, json, silence } => check::check(&file.path(), diff, json, &silence)?,
        Command::Init(wanted) => init::init(wanted)?,
        Command::Status { id, json, agent } => status::status(connect(agent)?, id, json)?,
        Command::Restart(proxies) => several(Steering::Restart, proxies)?,
        Command::Stop(proxies) => several(Steering::Stop, proxies)?,
        Command::Start(proxies) => several(Steering::Start, proxies)?,
        Command::Quit { stop, wait, agent } => quit::quit(&mut connect(agent)?, stop, wait.timeout())?,
        Command::Reload { id, agent } => steer::reload(&mut connect(agent)?, id)?,
        Command::Signal { id, signal, agent } => {
            steer::signal(&mut connect(agent)?, id, signal)?;
        }
        Command::Wait { id: Some(id), until, timeout, agent, .. } => {
            steer::wait_or_say_why(&mut connect(agent)?, id, until, timeout)?;
        }
        Command::Wait { id: None, timeout, agent, .. } => steer_several::wait_for_all(&mut connect(agent)?, timeout)?,
        Command::Logs { id, follow, lines, stdout, stderr, agent } => {
            let streams = match (stdout, stderr) {
                (true, false) => Streams::Stdout,
                (false, true) => Streams::Stderr,
                _ => Streams::Both,
            };
            logs::logs(connect(agent)?, &id, streams, lines, follow)?;
        }
        Command::Events { follow, last, json, agent } => {
            events::events(connect(agent)?, last, follow, json)?;
        }
        Command::Metrics { agent } => metrics::metrics(&mut connect(agent)?)?,
        Command::Version { agent } => {
            steer::version(agent.named().map(connect_to).transpose()?)?;
        }
        Command::Completions { shell } => generated::completions(shell),
        Command::Schema => generated::schema()?,
        Command::Man => manual::print()?,
        Command::Proxy { listen, upstream } => proxy::run(&listen, &upstream)?,
        Command::Demo => demo::run()?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the agent, as a child where this is PID 1. Whether it may listen there is found out before it starts anything.
fn run_agent(config: &Path, http: Http) -> Result<ExitCode> {
    if crate::init::is_needed() {
        return crate::init::run_child();
    }
    let Http { address, is_public, hosts } = http;
    let http = address.map(|address| http::Server::new(address, is_public, hosts)).transpose()?;
    agent::run(config, server::start, |agent| http.map_or(Ok(()), |http| http.start(agent)))
}

/// Connects to the agent that is meant.
fn connect(agent: WhichAgent) -> Result<Connection> {
    connect_to(agent.named())
}

/// Connects to the agent of a data directory, or of the one that a configuration names.
fn connect_to(agent: NamedAgent) -> Result<Connection> {
    match agent {
        NamedAgent::DataDir(data_dir) => Connection::open(&data_dir),
        NamedAgent::Config(config) => Connection::open(&config::data_dir_of(&config)?),
    }
}

/// Does this to each of the proxies, as [`steer_several::each`].
fn several(steering: Steering, proxies: Several) -> Result<()> {
    let Several { ids, all, wait, agent } = proxies;
    let mut agent = connect(agent)?;
    let ids = if all { steer_several::all(&mut agent, steering)? } else { ids };
    steer_several::each(&mut agent, steering, &ids, wait.timeout())
}
