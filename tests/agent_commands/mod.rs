// SPDX-License-Identifier: MPL-2.0
//! The commands of the example agent in Rust, with real agents: what they print, what they end with, and their socket.

mod browser;
mod check;
mod clients;
mod completions;
mod generated;
mod http;
mod known;
mod logs;
mod metrics;
mod on_exit;
mod page;
mod pid_1;
mod service_manager;
mod several;
mod socket;
mod status;
mod steer;

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::support::{Agent, Config, Launch, Scene, example_agent};

/// What a command has printed, and what it ended with.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn of(output: Output) -> Ran {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// What it has printed, if it has done as asked.
    #[track_caller]
    fn ok(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{}", self.stdout);
        self.stdout
    }

    /// What it has said of its failure.
    #[track_caller]
    fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        self.stderr
    }
}

/// Runs a command of the example agent.
fn run(words: &[&str]) -> Ran {
    Ran::of(Command::new(example_agent()).args(words).stdin(Stdio::null()).output().expect("run the agent"))
}

/// The same for the agent of a data directory.
fn ask(data_dir: &Path, words: &[&str]) -> Ran {
    Ran::of(spawn(data_dir, words).wait_with_output().expect("wait for the command"))
}

/// Starts a command for the agent of a data directory, whose output comes when it is waited for.
fn spawn(data_dir: &Path, words: &[&str]) -> Child {
    let mut command = Command::new(example_agent());
    command.args(words).arg("--data-dir").arg(data_dir);
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("run the agent")
}

/// Starts the example agent, and waits until it answers commands.
#[track_caller]
fn start(scene: &Scene, config: &Config) -> Agent {
    let agent = Launch::of(example_agent(), scene).start(config);
    agent.wait_for_log("running ");
    agent
}
