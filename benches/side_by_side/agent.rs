// SPDX-License-Identifier: MPL-2.0
//! An agent with this library that can be told what to do: the role `host`, with its input and output.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use rustix::fd::OwnedFd;
use rustix::process::{Signal, kill_process};

use crate::Result;
use crate::peers::role;
use crate::scene::Scene;
use crate::tools::Tools;

/// An agent, its processes and its files.
pub(crate) struct Agent {
    pub(crate) scene: Scene,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Agent {
    /// Starts an agent with `n` beacons, and waits until all of them run.
    pub(crate) fn start(tools: &Tools, n: u32, settings: &[&str]) -> Result<Agent> {
        if let Some(reason) = tools.lacks_room_for(n) {
            return Err(reason.into());
        }
        let mut scene = Scene::start(tools, |directory| Ok(command(tools, directory, n, settings)))?;
        let (input, output) = pipes(&mut scene)?;
        let mut agent = Agent { scene, input, output };
        agent.read_answer()?;
        agent.scene.beacons.wait_for_count(n.into())?;
        Ok(agent)
    }

    /// Ends the agent by SIGKILL, starts another one in its place, and says how many nanoseconds that one took from its
    /// own start until it had adopted all.
    pub(crate) fn succeed(&mut self, tools: &Tools, n: u32) -> Result<u64> {
        kill_process(self.scene.pid(), Signal::KILL)?;
        self.scene.succeed(|directory| Ok(command(tools, directory, n, &[])))?;
        (self.input, self.output) = pipes(&mut self.scene)?;
        let restored_ns = self.read_answer()?;
        Ok(restored_ns[0] - self.scene.began_ns)
    }

    /// Gives it a command, and returns its answer.
    pub(crate) fn ask(&mut self, command: &str) -> Result<Vec<u64>> {
        writeln!(self.input, "{command}")?;
        self.read_answer()
    }

    /// Ends it with all its processes, and says how many milliseconds that took.
    pub(crate) fn kill(&mut self) -> Result<f64> {
        let watched: Vec<OwnedFd> = self.scene.watch_all();
        let began = self.ask("kill")?;
        self.scene.wait_for_end(watched, began[0])
    }

    /// Ends it with all its processes, and says how many milliseconds that took, and what it answered of the status meanwhile.
    pub(crate) fn kill_asked(&mut self) -> Result<(f64, Vec<u64>)> {
        let watched: Vec<OwnedFd> = self.scene.watch_all();
        let began = self.ask("kill-asked")?;
        let asked = self.read_answer()?;
        Ok((self.scene.wait_for_end(watched, began[0])?, asked))
    }

    /// A line of numbers; there is at least one.
    fn read_answer(&mut self) -> Result<Vec<u64>> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let numbers: Vec<u64> = line.split_whitespace().map(str::parse).collect::<std::result::Result<_, _>>()?;
        if numbers.is_empty() {
            return Err(format!("the agent gave no answer; it said: {}", self.scene.last_words()).into());
        }
        Ok(numbers)
    }
}

fn command(tools: &Tools, directory: &Path, n: u32, settings: &[&str]) -> Command {
    let mut command = role("host", tools, directory, n);
    command.args(settings).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

fn pipes(scene: &mut Scene) -> Result<(ChildStdin, BufReader<ChildStdout>)> {
    let input = scene.child.stdin.take().ok_or("the agent has no input")?;
    let output = scene.child.stdout.take().ok_or("the agent has no output")?;
    Ok((input, BufReader::new(output)))
}
