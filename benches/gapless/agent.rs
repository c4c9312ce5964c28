// SPDX-License-Identifier: MPL-2.0
//! The agent as the benchmark sees it: a process of this program in the role of `host.rs`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::Result;

/// The id of the proxy.
pub(crate) const ID: &str = "web";
/// The file in the agent's directory that declares it.
pub(crate) const DECLARATION: &str = "declaration.json";

/// An agent and its proxy. Both end with it.
pub(crate) struct Agent {
    directory: PathBuf,
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Agent {
    /// Starts an agent, and waits until the proxy runs.
    pub(crate) fn start(directory: &Path, declaration: &Value) -> Result<Agent> {
        write_declaration(directory, declaration)?;
        Agent::launch(directory.to_owned())
    }

    fn launch(directory: PathBuf) -> Result<Agent> {
        let log = fs::OpenOptions::new().create(true).append(true).open(directory.join("agent.log"))?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--host").arg(&directory).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut process = command.spawn()?;
        let input = process.stdin.take().ok_or("the agent has no input")?;
        let output = BufReader::new(process.stdout.take().ok_or("the agent has no output")?);
        let mut agent = Agent { directory, process, input, output };
        agent.ask("wait")?;
        Ok(agent)
    }

    /// The proxy's process.
    pub(crate) fn proxy(&mut self) -> Result<Pid> {
        self.ask("wait")
    }

    /// Replaces the proxy by one of another declaration.
    pub(crate) fn declare(&mut self, declaration: &Value) -> Result<Pid> {
        write_declaration(&self.directory, declaration)?;
        self.ask("declare")
    }

    /// Has the proxy replaced by one of a declaration with which it fails.
    pub(crate) fn attempt(&mut self, declaration: &Value) -> Result<Pid> {
        write_declaration(&self.directory, declaration)?;
        self.ask("attempt")
    }

    /// Starts the proxy anew.
    pub(crate) fn restart(&mut self) -> Result<Pid> {
        self.ask("restart")
    }

    /// Ends the agent by SIGKILL and starts another one in its place, with another declaration if one is given.
    pub(crate) fn succeed(mut self, declaration: Option<&Value>) -> Result<Agent> {
        self.process.kill()?;
        self.process.wait()?;
        if let Some(declaration) = declaration {
            write_declaration(&self.directory, declaration)?;
        }
        Agent::launch(self.directory.clone())
    }

    /// Stops the proxy and ends.
    pub(crate) fn end(mut self) -> Result<()> {
        writeln!(self.input, "kill")?;
        self.read_answer()?;
        self.process.wait()?;
        Ok(())
    }

    fn ask(&mut self, command: &str) -> Result<Pid> {
        writeln!(self.input, "{command}")?;
        Ok(Pid::from_raw(self.read_answer()?).ok_or("the agent has answered no pid")?)
    }

    fn read_answer(&mut self) -> Result<i32> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        line.trim_end().parse().map_err(|_| {
            let log = fs::read_to_string(self.directory.join("agent.log")).unwrap_or_default();
            format!("the agent gave no answer; it said: {}", log.lines().last().unwrap_or_default()).into()
        })
    }
}

fn write_declaration(directory: &Path, declaration: &Value) -> Result<()> {
    Ok(fs::write(directory.join(DECLARATION), declaration.to_string())?)
}

/// Kills the process of a proxy.
pub(crate) fn crash(proxy: Pid) -> Result<()> {
    Ok(kill_process(proxy, Signal::KILL)?)
}
