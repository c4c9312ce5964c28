// SPDX-License-Identifier: MPL-2.0
//! `agent check`: whether a configuration is right, and what it would change.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::geteuid;
use proxyprocess::{ExecMode, ProxyConfig};
use serde_json::{Value, json};

use crate::agent;
use crate::config::Config;
use crate::control::client::Connection;
use crate::control::protocol::{Answer, Request};
use crate::known::{Judged, Program};
use crate::output::plain;
use crate::{Result, complain, say};

/// What becomes of a proxy with another configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Start,
    Stop,
    /// Its process is replaced by one of the new declaration.
    Replace,
    /// The process stays, and the new settings hold for it.
    Settings,
    Nothing,
}

impl Change {
    fn as_str(self) -> &'static str {
        match self {
            Change::Start => "start",
            Change::Stop => "stop",
            Change::Replace => "replace",
            Change::Settings => "settings only",
            Change::Nothing => "nothing",
        }
    }

    /// What becomes of a proxy that is not paused by a command. One that is not enabled has no process.
    fn between(before: Option<&ProxyConfig>, after: Option<&ProxyConfig>) -> Change {
        let runs = |proxy: &ProxyConfig| proxy.enabled;
        match (before, after) {
            (None, None) => Change::Nothing,
            (None, Some(_)) => Change::Start,
            (Some(_), None) => Change::Stop,
            (Some(before), Some(after)) if before == after => Change::Nothing,
            (Some(before), Some(after)) => match (runs(before), runs(after)) {
                (false, false) => Change::Settings,
                (false, true) => Change::Start,
                (true, false) => Change::Stop,
                (true, true) if before.same_process(after) => Change::Settings,
                (true, true) => Change::Replace,
            },
        }
    }

    /// The same for one that is paused by a command, and stays so while it is declared.
    fn while_paused(self) -> Change {
        match self {
            Change::Start | Change::Stop | Change::Replace | Change::Settings => Change::Settings,
            Change::Nothing => Change::Nothing,
        }
    }
}

/// Checks a configuration, and prints what may be wrong with it; with `diff` prints also what it would change.
///
/// # Errors
/// What is wrong with it: the last mistake, and all others are printed; of a diff also why the agent cannot be asked.
pub(super) fn check(path: &Path, diff: bool, json: bool, silence: &[String]) -> Result<()> {
    let program = std::env::current_exe().map_err(|error| format!("find own executable: {error}"))?;
    let programs = Program::all()?;
    let known = |id: &str, declared: &Value, file: &Path| contradictions(&programs, silence, id, declared, file);
    let (config, doubts) = match Config::load_with_doubts(path, &program, &known) {
        Ok(read) => read,
        Err(mistakes) => {
            let (last, others) = mistakes.all().split_last().ok_or("no mistake")?;
            others.iter().for_each(complain);
            return Err(last.as_str().into());
        }
    };
    doubts.iter().for_each(|doubt| complain(format_args!("warning: {doubt}")));
    if !diff {
        let proxies = match config.proxies.len() {
            1 => "1 proxy".to_owned(),
            number => format!("{number} proxies"),
        };
        say(format_args!("{}: {proxies}, no error", path.display()));
        return Ok(());
    }
    let no_data_dir = || format!("{}: data_dir: expected a path, got nothing", path.display());
    let data_dir = config.options.data_dir.ok_or_else(no_data_dir)?;
    let running = Running::ask(&mut Connection::open(&data_dir)?)?;
    // Once more, with the executable that the agent would put into the commands.
    let config = Config::load(path, &running.program)?;
    if let Some(field) = running.fixed.as_ref().and_then(|fixed| different(fixed, &agent::fixed(&config.options))) {
        let why = "another agent has to be started for it, and a reload refuses the file";
        return Err(format!("{}: {field}: expected no change while the agent runs: {why}", path.display()).into());
    }
    let changed = changed_variables(&running.proxy_env, &agent::variables(&config.options));
    let ids: BTreeSet<&String> = running.proxies.keys().chain(config.proxies.keys()).collect();
    for id in ids {
        let change = running.change_to(id, config.proxies.get(id), &changed);
        if json {
            say(json!({ "id": id, "change": change.as_str() }));
        } else {
            say(format_args!("{}: {}", plain(id), change.as_str()));
        }
    }
    Ok(())
}

/// What the declaration of a proxy contradicts, if its executable is that of a program that is known.
fn contradictions(programs: &[Program], silence: &[String], id: &str, declared: &Value, file: &Path) -> Vec<String> {
    let arguments: Vec<&str> = declared["command"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut found: Vec<_> = programs.iter().filter_map(|program| Some((program, program.played_as(file)?))).collect();
    // One of several of the same executable by its arguments, or else the one that needs none.
    found.retain(|(program, _)| program.is_chosen_by(&arguments) != Some(false));
    let by_arguments = found.iter().position(|(program, _)| program.is_chosen_by(&arguments).is_some());
    let Some((program, played)) = found.get(by_arguments.unwrap_or(0)) else { return Vec::new() };
    let is_silent = |name: &str| silence.iter().any(|it| it == "all" || it == name || *it == format!("{id}/{name}"));
    let judged = Judged { program, played, declared, is_root: geteuid().is_root() };
    let found = judged.contradictions().into_iter();
    let found = found.filter(|contradiction| !is_silent(contradiction.name));
    found.map(|it| format!("{}: {} (--silence {id}/{})", it.field, it.reason, it.name)).collect()
}

/// What a running agent has accepted.
#[derive(Default)]
struct Running {
    program: PathBuf,
    proxy_env: Vec<String>,
    /// Absent of an agent before this was told.
    fixed: Option<BTreeMap<String, String>>,
    proxies: BTreeMap<String, ProxyConfig>,
    /// Those that are not run now, by their declaration or by a command.
    paused: BTreeSet<String>,
}

impl Running {
    /// What becomes of a proxy that is declared so, if these variables for all proxies change as well.
    fn change_to(&self, id: &str, after: Option<&ProxyConfig>, changed: &BTreeSet<String>) -> Change {
        let before = self.proxies.get(id);
        let change = match Change::between(before, after) {
            Change::Nothing | Change::Settings if is_affected(after, changed) => Change::Replace,
            change => change,
        };
        let is_paused = self.paused.contains(id) && before.is_some_and(|before| before.enabled);
        if is_paused && after.is_some() { change.while_paused() } else { change }
    }

    fn ask(agent: &mut Connection) -> Result<Running> {
        let mut running = Running::default();
        for request in [Request::Version {}, Request::Declarations {}, Request::Status { id: None }] {
            agent.ask(&request, Duration::ZERO, |answer| {
                match answer {
                    Answer::Agent { program, .. } => running.program = program.into(),
                    Answer::Manager { proxy_env, fixed } => (running.proxy_env, running.fixed) = (proxy_env, fixed),
                    Answer::Proxy(status) if status["state"] == "paused" => {
                        running.paused.extend(status["id"].as_str().map(str::to_owned));
                    }
                    Answer::Declaration { id, declared } => {
                        running.proxies.insert(id, ProxyConfig::from_json(&declared.to_string())?);
                    }
                    _ => {}
                }
                Ok(())
            })?;
        }
        Ok(running)
    }
}

/// The first name under which there is another value.
fn different(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Option<String> {
    before.keys().chain(after.keys()).find(|name| before.get(*name) != after.get(*name)).cloned()
}

/// The names of the variables for all proxies that have another value, or one no more.
fn changed_variables(before: &[String], after: &[String]) -> BTreeSet<String> {
    let values = |lines: &[String]| -> BTreeMap<String, String> {
        lines
            .iter()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    };
    let (before, after) = (values(before), values(after));
    let names = before.keys().chain(after.keys());
    names.filter(|name| before.get(*name) != after.get(*name)).cloned().collect()
}

/// Whether one of the variables comes to the process of a proxy: there is to be a process, and it has none of its own and
/// does not refuse it.
fn is_affected(proxy: Option<&ProxyConfig>, changed: &BTreeSet<String>) -> bool {
    let proxy = proxy.filter(|proxy| proxy.mode == ExecMode::DAEMON && proxy.enabled);
    let Some(declared) = proxy.and_then(|proxy| serde_json::to_value(proxy.to_json()).ok()) else { return false };
    let lines = |field: &str| declared[field].as_array().cloned().unwrap_or_default();
    let own: BTreeSet<String> = lines("env").iter().chain(&lines("unset_env")).filter_map(name_of).collect();
    changed.iter().any(|name| !own.contains(name))
}

fn name_of(line: &Value) -> Option<String> {
    line.as_str().map(|line| line.split('=').next().unwrap_or(line).to_owned())
}
