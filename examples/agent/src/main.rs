// SPDX-License-Identifier: MPL-2.0
//! An agent that runs real proxies with this library, in the foreground, and the commands to steer it.
//!
//! `agent run CONFIG` runs the proxies of a configuration file; `agent status` and other commands ask it, over a socket in
//! its data directory. `agent proxy` is a proxy to manage that needs nothing installed, and `agent demo` shows what the
//! library is for.

mod agent;
mod cli;
mod clients;
mod config;
mod control;
mod demo;
mod failure;
mod http;
mod init;
mod known;
mod output;
mod proxy;
mod service;
mod spelling;

use std::io::Write;
use std::process::ExitCode;

use failure::Failure;

/// A message of one line for the user: "operation object: reason".
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    cli::run().unwrap_or_else(|error| {
        let code = error.downcast_ref::<Failure>().map_or(1, |failure| failure.exit as u8);
        complain(error);
        ExitCode::from(code)
    })
}

/// Prints a line on stdout. Unlike `println!`, it does not panic when there is no reader or the disk is full.
fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints a line on stderr; the same holds.
fn complain(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "agent: {line}");
}
