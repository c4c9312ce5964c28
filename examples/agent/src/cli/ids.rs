// SPDX-License-Identifier: MPL-2.0
//! The ids that can come next on a command line, for the completions of shells: those of the agent that the line means, or of its
//! configuration. Where none can, or none are known, nothing is said: a prompt is no place for errors.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::CommandFactory;

use super::arguments::{Arguments, NamedAgent, agent_of_variable};
use super::proxy_status;
use crate::control::client::Connection;
use crate::output::plain;
use crate::{Result, config, say};

/// How long the agent is waited for, while somebody looks at the prompt.
const PATIENCE: Duration = Duration::from_secs(1);

/// By which the shells ask. No command of its own, or they would complete that as well.
const ASKED: &str = "__ids";

/// The words of a command line that is being completed, if that is what this process was started for.
pub(super) fn asked() -> Option<Vec<String>> {
    let mut words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    words.next().filter(|first| first == ASKED)?;
    Some(words.collect())
}

/// Prints the ids that can come after these words, which follow the name of this program; one a line.
pub(super) fn ids(words: &[String]) {
    let line = Line::of(words);
    let Some(several) = line.wants_id() else { return };
    let Some(agent) = line.agent.map(NamedAgent::from).or_else(agent_of_variable) else { return };
    let given = |id: &String| several && line.positionals.contains(&id.as_str());
    // One of several lines could only be written in quotes, which each shell has its own of.
    let is_shown = |id: &String| *id == plain(id).to_string() && !given(id);
    known(&agent).iter().filter(|id| is_shown(id)).for_each(say);
}

/// Those of a running agent; without one, those of the configuration.
fn known(agent: &NamedAgent) -> Vec<String> {
    let data_dir = match agent {
        NamedAgent::DataDir(data_dir) => Ok(data_dir.clone()),
        NamedAgent::Config(file) => config::data_dir_of(file),
    };
    let running = data_dir.and_then(|data_dir| of_agent(&data_dir));
    running.unwrap_or_else(|_| match agent {
        NamedAgent::DataDir(_) => Vec::new(),
        NamedAgent::Config(file) => config::ids_of(file).unwrap_or_default(),
    })
}

fn of_agent(data_dir: &Path) -> Result<Vec<String>> {
    let mut agent = Connection::open_now(data_dir)?;
    agent.limit_patience(PATIENCE);
    Ok(proxy_status::of(&mut agent, None)?.into_iter().map(|proxy| proxy.id).collect())
}

/// What names the agent on a command line.
#[derive(Debug, Clone, Copy)]
enum Named<'a> {
    DataDir(&'a str),
    Config(&'a str),
}

impl From<Named<'_>> for NamedAgent {
    fn from(named: Named<'_>) -> NamedAgent {
        match named {
            Named::DataDir(path) => NamedAgent::DataDir(PathBuf::from(path)),
            Named::Config(path) => NamedAgent::Config(PathBuf::from(path)),
        }
    }
}

/// A command line that is being written.
#[derive(Debug, Default)]
struct Line<'a> {
    command: Option<&'a str>,
    /// What follows the command and belongs to no option.
    positionals: Vec<&'a str>,
    agent: Option<Named<'a>>,
    /// The last word is an option, whose value comes next.
    awaits_value: bool,
}

impl<'a> Line<'a> {
    fn of(words: &'a [String]) -> Line<'a> {
        let mut line = Line::default();
        let Some((command, rest)) = words.split_first() else { return line };
        line.command = Some(command);
        // bash makes words of their own of `=` and what is around it.
        let mut rest = rest.iter().map(String::as_str).filter(|word| *word != "=");
        while let Some(word) = rest.next() {
            let (name, mut value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
            if !word.starts_with('-') {
                line.positionals.push(word);
                continue;
            }
            if value.is_none() && line.takes_value(name) {
                value = rest.next();
                line.awaits_value = value.is_none();
            }
            match (name, value) {
                ("--data-dir", Some(path)) => line.agent = Some(Named::DataDir(path)),
                ("--config", Some(path)) => line.agent = Some(Named::Config(path)),
                _ => {}
            }
        }
        line
    }

    fn takes_value(&self, option: &str) -> bool {
        let Some(command) = self.command.and_then(known_command) else { return false };
        command.get_arguments().any(|argument| {
            let is_it = argument.get_long().is_some_and(|long| option.strip_prefix("--") == Some(long))
                || argument.get_short().is_some_and(|short| option.strip_prefix('-') == Some(&*short.to_string()));
            is_it && argument.get_action().takes_values()
        })
    }

    /// Whether an id can come next, and if so whether more can come after it.
    fn wants_id(&self) -> Option<bool> {
        let command = known_command(self.command?).filter(|_| !self.awaits_value)?;
        let first = command.get_positionals().next()?.get_id().as_str().to_owned();
        match first.as_str() {
            "ids" => Some(true),
            "id" if self.positionals.is_empty() => Some(false),
            _ => None,
        }
    }
}

fn known_command(name: &str) -> Option<clap::Command> {
    Arguments::command().find_subcommand(name).cloned()
}
