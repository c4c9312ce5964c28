// SPDX-License-Identifier: MPL-2.0
//! How a process is stopped, in its record: the signals of its declaration, and its commands with what they need to
//! run.
//!
//! The signals are stored separately, so that an agent that cannot use the rest, such as an earlier version without
//! commands, still has them. In a record without a digest the rest is ignored, because a command that was damaged must
//! not be run.

use std::time::Duration;

use serde_json::Value;

use crate::command::Command;
use crate::declaration::fields::{Fields, invalid};
use crate::declaration::{ProxyConfig, command_settings, milliseconds, read_steps, read_stop, steps_to_json};
use crate::defaults::MAX_RECORDED_COMMANDS;
use crate::error::{Error, Result};
use crate::lifecycle::{StopAction, StopSettings, StopStep};

/// How a process is stopped of whose declaration nothing else may be known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RecordedStop {
    pub(crate) settings: StopSettings,
    /// What its commands are run with: all of a command but program and arguments. The default where there are none.
    pub(crate) command: Command,
    /// The same.
    pub(crate) target_service: Option<String>,
}

impl RecordedStop {
    /// That of a process of this declaration.
    pub(crate) fn of(config: &ProxyConfig) -> RecordedStop {
        let settings = config.stop.clone();
        if !has_commands(&settings) {
            return RecordedStop { settings, ..RecordedStop::default() };
        }
        let (command, target_service) = (config.command.without_program(), config.target_service.clone());
        RecordedStop { settings, command, target_service }
    }

    pub(super) fn as_header(&self) -> StopHeader<'_> {
        StopHeader { settings: &self.settings, command: &self.command, target_service: self.target_service.as_deref() }
    }

    /// Reads what [`StopHeader::to_json`] wrote. Whatever is wrong with it, the process is known; why its commands are not used
    /// is said beside.
    pub(super) fn read(fields: &mut Fields, is_checked: bool) -> (RecordedStop, Option<Error>) {
        let mut read = RecordedStop::default();
        let _ = read_stop(fields, &mut read.settings);
        let no_digest = || invalid("commands: expected the digest of the record (check), got nothing");
        let commands = fields.take("commands").map(|commands| match is_checked {
            true => read_commands(commands, read.settings.leftover_grace),
            false => Err(no_digest()),
        });
        let unused = match commands {
            Some(Ok(with_commands)) => return (with_commands, None),
            Some(Err(error)) => Some(error),
            None => None,
        };
        read.settings.steps.retain(|step| !step.is_command());
        (read, unused)
    }
}

fn read_commands(commands: Value, leftover_grace: Duration) -> Result<RecordedStop> {
    let mut fields = Fields::of("commands", commands)?;
    let place = fields.place("stop");
    let steps = read_steps(&place, fields.take("stop").unwrap_or_default())?;
    let command = command_settings::read(&mut fields, Command::default())?;
    let target_service = fields.string("target_service")?;
    // A setting that this version does not know may be a user.
    fields.finish()?;
    let settings = StopSettings { steps, leftover_grace, ..StopSettings::default() };
    let runs = settings.steps.iter().find_map(|step| match &step.action {
        StopAction::Command(argv) => argv.first(),
        StopAction::Signal { .. } => None,
    });
    // What a declaration in a snapshot may not have, a record may not have either.
    let mut declared = ProxyConfig::new(command.clone().arg(runs.cloned().unwrap_or_default())).with_stop(settings);
    declared.target_service = target_service;
    declared.validate_as_in_snapshots()?;
    Ok(RecordedStop { command, ..RecordedStop::of(&declared) })
}

fn has_commands(settings: &StopSettings) -> bool {
    settings.steps.iter().any(StopStep::is_command)
}

/// The same, while it is being written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StopHeader<'a> {
    settings: &'a StopSettings,
    command: &'a Command,
    target_service: Option<&'a str>,
}

impl<'a> StopHeader<'a> {
    /// That of a process of this declaration.
    pub(crate) fn of(config: &'a ProxyConfig) -> StopHeader<'a> {
        let (settings, command, target_service) = (&config.stop, &config.command, config.target_service.as_deref());
        StopHeader { settings, command, target_service }
    }

    /// Its fields, each with a comma after it.
    pub(super) fn to_json(self) -> String {
        let StopSettings { signal, grace_period, leftover_grace, steps } = self.settings;
        let signals: Vec<StopStep> = steps.iter().filter(|step| !step.is_command()).cloned().collect();
        let stopped = if signals.is_empty() {
            let (signal, grace_ms) = (signal.stored_name(), milliseconds(*grace_period));
            format!("\"stop_signal\":\"{signal}\",\"grace_period_ms\":{grace_ms},")
        } else {
            format!("\"stop\":{},", steps_to_json(&signals))
        };
        let is_default = *leftover_grace == StopSettings::default().leftover_grace;
        let leftovers = format!("\"leftover_grace_ms\":{},", milliseconds(*leftover_grace));
        let leftovers = if is_default { "" } else { &leftovers };
        let commands = self.commands().unwrap_or_default();
        format!("{stopped}{leftovers}{commands}")
    }

    /// None if they would make the record one that is too large to be read.
    fn commands(self) -> Option<String> {
        self.all_commands().filter(|text| text.len() <= MAX_RECORDED_COMMANDS)
    }

    /// How many bytes the commands need, if those are too many for a record.
    pub(crate) fn excess(self) -> Option<usize> {
        self.all_commands().map(|text| text.len()).filter(|length| *length > MAX_RECORDED_COMMANDS)
    }

    fn all_commands(self) -> Option<String> {
        if !has_commands(self.settings) {
            return None;
        }
        let mut object = serde_json::Map::new();
        let mut put = |field: &str, value: Value| drop(object.insert(field.to_owned(), value));
        put("stop", steps_to_json(&self.settings.steps));
        command_settings::put(self.command, &mut put);
        if let Some(target) = self.target_service {
            put("target_service", target.into());
        }
        Some(format!("\"commands\":{},", Value::from(object)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Credentials;
    use crate::sys::signal::Signal;

    fn fields(stop: StopHeader<'_>) -> serde_json::Map<String, Value> {
        serde_json::from_str(&format!("{{{}}}", stop.to_json().trim_end_matches(','))).unwrap()
    }

    fn read(fields: serde_json::Map<String, Value>, is_checked: bool) -> RecordedStop {
        read_with_error(fields, is_checked).0
    }

    fn read_with_error(fields: serde_json::Map<String, Value>, is_checked: bool) -> (RecordedStop, Option<Error>) {
        RecordedStop::read(&mut Fields::of("", fields.into()).unwrap(), is_checked)
    }

    fn signal() -> StopStep {
        StopStep::new(Signal::INT, Duration::from_millis(7))
    }

    /// A declaration with everything that a command of its stop is run with.
    fn declared() -> ProxyConfig {
        let command =
            Command::new("a").arg("b").dir("/tmp").env("A", "1").unset_env("B").clear_env().descriptor_limit(9);
        let command = command.oom_score_adj(5).credentials(Credentials::new(1, 2).with_groups([3])).detached();
        let drain = StopStep::command(["drain", "{generation}"], Duration::from_secs(1));
        let stop = StopSettings { leftover_grace: Duration::from_millis(8), ..StopSettings::default() };
        let config = ProxyConfig::new(command).with_stop(stop.with_steps([drain, signal()]));
        ProxyConfig { target_service: Some("db".to_owned()), ..config }
    }

    #[test]
    fn commands_come_back_with_all_that_they_are_run_with() {
        let config = declared();
        let stop = read(fields(StopHeader::of(&config)), true);
        assert_eq!(stop, RecordedStop::of(&config));
        assert_eq!(stop.settings, config.stop);
        assert_eq!((stop.command.argv().len(), stop.target_service.as_deref()), (0, Some("db")));
        let again = ProxyConfig { stop: stop.settings.clone(), ..ProxyConfig::new(stop.command.clone().arg("x")) };
        assert_eq!(RecordedStop { target_service: Some("db".to_owned()), ..RecordedStop::of(&again) }, stop);
        assert_eq!(fields(stop.as_header()), fields(StopHeader::of(&config)));
    }

    #[test]
    fn without_commands_nothing_is_written_that_they_are_run_with() {
        let mut config = declared();
        config.stop.steps = vec![signal()];
        let written = fields(StopHeader::of(&config));
        assert_eq!(written.keys().collect::<Vec<_>>(), ["leftover_grace_ms", "stop"]);
        assert_eq!(read(written, true), RecordedStop { settings: config.stop, ..RecordedStop::default() });
    }

    #[test]
    fn what_is_damaged_unknown_or_impossible_leaves_the_signals() {
        let config = declared();
        let only_signals = RecordedStop {
            settings: StopSettings { steps: vec![signal()], ..config.stop.clone() },
            ..RecordedStop::default()
        };
        let good = fields(StopHeader::of(&config));
        assert_eq!(read(good.clone(), false), only_signals, "without a digest");
        let with = |field: &str, value: Value| {
            let mut fields = good.clone();
            fields["commands"][field] = value;
            read(fields, true)
        };
        assert_eq!(with("run_as", "nobody".into()), only_signals, "a setting of a later version");
        assert_eq!(with("stop", serde_json::json!([{"command": [], "for_ms": 1}])), only_signals);
        assert_eq!(with("stop", Value::Null), only_signals);
        assert_eq!(with("credentials", serde_json::json!({"uid": 0})), only_signals);
        assert_eq!(with("dir", "".into()), only_signals);
    }

    #[test]
    fn why_commands_are_not_used_is_said() {
        let good = fields(StopHeader::of(&declared()));
        let why = |fields, is_checked| read_with_error(fields, is_checked).1.map(|error| error.to_string());
        assert_eq!(why(good.clone(), true), None);
        let no_digest = "commands: expected the digest of the record (check), got nothing";
        assert_eq!(why(good.clone(), false).as_deref(), Some(no_digest));
        let mut later = good.clone();
        later["commands"]["run_as"] = "nobody".into();
        let unknown = why(later, true).unwrap();
        assert!(unknown.starts_with("commands.run_as: unknown field"), "{unknown}");
        let mut without = good;
        without.remove("commands");
        assert_eq!(why(without, false), None);
    }

    #[test]
    fn commands_that_would_fill_the_record_are_left_out() {
        let mut config = declared();
        config.command = config.command.env("LONG", "x".repeat(MAX_RECORDED_COMMANDS));
        assert_eq!(fields(StopHeader::of(&config)).get("commands"), None);
        assert!(StopHeader::of(&config).excess().is_some_and(|length| length > MAX_RECORDED_COMMANDS));
        assert_eq!(StopHeader::of(&declared()).excess(), None);
    }
}
