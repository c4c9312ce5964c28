// SPDX-License-Identifier: MPL-2.0
//! The demonstration: traffic through a managed proxy that outlives its own death and the agent's.

mod directory;
mod processes;
mod stage;
mod upstream;

use std::fmt::Display;

use nix::sys::signal::Signal;

use crate::{Result, say};
use stage::Stage;
use upstream::Conversation;

/// Shows the five steps, and leaves nothing behind, also when one of them does not hold.
///
/// # Errors
/// What did not hold.
pub(crate) fn run() -> Result<()> {
    let mut stage = Stage::set()?;
    let shown = show(&mut stage);
    if shown.is_err() {
        say(format_args!("\nlog of the agent:\n{}", stage.log().trim_end()));
    }
    shown.map_err(|error| format!("demo: {error}").into())
}

fn show(stage: &mut Stage) -> Result<()> {
    say(format_args!("upstream: echo server in this process on {}", stage.upstream));

    step(1, "start an agent with one managed proxy");
    let agent = stage.start_agent()?;
    let first = stage.wait_for_status("the proxy to run", |status| status.pid)?;
    tell(format_args!("agent is process {agent}, proxy is process {first} on {}", stage.listen));

    step(2, "send traffic through the proxy");
    tell(stage.ask("one")?);

    step(3, "kill the proxy with SIGKILL");
    processes::signal(first, Signal::SIGKILL)?;
    let second =
        stage.wait_for_status("the proxy to be back", |status| status.pid.filter(|pid| Some(*pid) != Some(first)))?;
    tell(format_args!("proxy is back as process {second}"));
    tell(stage.ask("two")?);

    step(4, "open a connection, kill the agent with SIGKILL, start it again");
    let mut conversation = Conversation::open(stage.listen)?;
    tell(conversation.ask("three, with an agent")?);
    stage.kill_agent()?;
    tell(format_args!("agent {agent} is dead"));
    tell(conversation.ask("four, without an agent, on the same connection")?);
    let agent = stage.start_agent()?;
    let third = stage.wait_for_status("the proxy to be adopted", |status| status.pid.filter(|_| status.adopted))?;
    ensure(third == second, format_args!("the proxy was process {second} before the agent died and is {third} now"))?;
    tell(format_args!("agent is process {agent} now and has adopted the proxy, still process {third}"));
    tell(conversation.ask("five, with the new agent, on the same connection")?);

    step(5, "end the agent and its proxy with SIGQUIT");
    stage.end_agent()?;
    ensure(conversation.ask("six").is_err(), "the connection outlived the proxy")?;
    stage.ensure_nothing_is_left()?;
    tell("no process, no listening port and no file is left");
    Ok(())
}

fn step(number: u32, what: &str) {
    say(format_args!("\n{number}. {what}"));
}

fn tell(fact: impl Display) {
    say(format_args!("   {fact}"));
}

fn ensure(holds: bool, otherwise: impl Display) -> Result<()> {
    if holds { Ok(()) } else { Err(otherwise.to_string().into()) }
}
