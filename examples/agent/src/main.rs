// SPDX-License-Identifier: MPL-2.0
//! An agent that runs real proxies with this library, in the foreground.
//!
//! `agent CONFIG.json` runs the proxies of a configuration file. SIGHUP reads the file again, SIGUSR1 prints the status
//! as one JSON line on stdout, SIGINT and SIGTERM end the agent, SIGQUIT ends it and its proxies.
//!
//! `agent proxy` is a proxy to manage that needs nothing installed, and `agent demo` shows what the library is for.

mod config;
mod demo;
mod proxy;
mod run;

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
usage: agent CONFIG.json
       agent proxy --listen ADDR --upstream ADDR
       agent demo
       agent --help";

const HELP: &str = "
  CONFIG.json  run the proxies that the file declares; log on stderr (level: RUST_LOG, info unless set)
                 SIGHUP   read the file again; a bad file changes nothing
                 SIGUSR1  print the status as one JSON line on stdout
                 SIGINT, SIGTERM  end as \"on_exit\" says: \"leave\" the proxies running (default) or \"stop\" them
                 SIGQUIT  stop the proxies and end
  proxy        pass TCP connections from one address to another; SIGTERM ends it when all connections have ended
  demo         show traffic through a managed proxy that survives its own death and the agent's

exit code: 0 ended as asked, 1 failure, 2 wrong arguments";

/// A message of one line for the user: "operation object: reason".
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What the arguments ask for.
enum Job {
    Help,
    Agent(PathBuf),
    Proxy(proxy::Addresses),
    Demo,
}

impl Job {
    /// Reads the arguments without the program's name; the error says what is wrong with them.
    fn parse(args: &[OsString]) -> std::result::Result<Job, String> {
        let words: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
        let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
        match words.as_slice() {
            [] => Err("arguments: expected a configuration file".to_owned()),
            words if words.contains(&"--help") || words.contains(&"-h") => Ok(Job::Help),
            ["demo"] => Ok(Job::Demo),
            ["proxy", words @ ..] => proxy::Addresses::parse(words).map(Job::Proxy),
            [option, ..] if option.starts_with('-') => Err(format!("argument {option}: unknown option")),
            [_] => Ok(Job::Agent(Path::new(&args[0]).to_owned())),
            [_, extra, ..] => Err(format!("argument {extra}: not expected")),
        }
    }
}

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let done = match Job::parse(&args) {
        Ok(Job::Help) => {
            say(format_args!("{USAGE}\n{HELP}"));
            Ok(ExitCode::SUCCESS)
        }
        Ok(Job::Agent(path)) => run::run(&path),
        Ok(Job::Proxy(addresses)) => proxy::run(&addresses).map(|()| ExitCode::SUCCESS),
        Ok(Job::Demo) => demo::run().map(|()| ExitCode::SUCCESS),
        Err(wrong) => {
            complain(format_args!("{wrong}\n{USAGE}"));
            Ok(ExitCode::from(2))
        }
    };
    done.unwrap_or_else(|error| {
        complain(error);
        ExitCode::FAILURE
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
