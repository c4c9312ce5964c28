// SPDX-License-Identifier: MPL-2.0
//! Reads the JSON form of declarations: in an agent's configuration, and in the snapshot.

use std::collections::BTreeMap;

use super::fields::Fields;
use super::stop::read_stop;
use super::{
    ExecMode, ProxyConfig, Ready, Reload, Replace, command_settings, expected_exit, invalid, limits, listen_json,
    restart, strict, text, validate_id,
};
use crate::command::Command;
use crate::error::{Result, excerpt};

const WORDS: [&str; 2] = ["a string", "strings"];

/// Reads `{"<id>": {"command": [...], ...}, ...}`.
pub(crate) fn proxies_from_json(place: &str, text: &str) -> Result<BTreeMap<String, ProxyConfig>> {
    let mut proxies = BTreeMap::new();
    let read = strict::parse_members(text, |id, value| {
        let place = format!("{place}.{}", excerpt(&id));
        validate_id(&id).map_err(|error| error.within(&place))?;
        let config = ProxyConfig::from_fields(Fields::of(&place, value)?)?;
        match proxies.insert(id, config) {
            None => Ok(()),
            Some(_) => Err(invalid(format!("{place}: declared twice"))),
        }
    });
    match read {
        Ok(read) => read.map(|()| proxies),
        // Of a text that is something else than an object serde says all of it.
        Err(_) => match strict::parse(text) {
            Ok(no_object) => Err(super::fields::expected(place, "an object", &no_object)),
            Err(error) => Err(invalid(format!("{place}: not a JSON document: {error}"))),
        },
    }
}

impl ProxyConfig {
    /// Reads one declaration from JSON text: the object that stands under an id in
    /// [`State::replace_all_json`](crate::State::replace_all_json).
    ///
    /// # Errors
    /// [`ErrorCode::InvalidConfig`](crate::ErrorCode::InvalidConfig), naming the field.
    ///
    /// ```
    /// use proxyprocess::ProxyConfig;
    ///
    /// let config = ProxyConfig::from_json(r#"{"command": ["/bin/true"], "stop_signal": "SIGTERM"}"#).unwrap();
    /// assert_eq!(config.stop.signal.to_string(), "SIGTERM");
    /// let error = ProxyConfig::from_json(r#"{"comand": ["/bin/true"]}"#).unwrap_err();
    /// assert_eq!(error.to_string(), r#"comand: unknown field, is "command" meant?"#);
    /// ```
    pub fn from_json(text: &str) -> Result<ProxyConfig> {
        let value = strict::parse(text).map_err(|error| invalid(format!("not a JSON document: {error}")))?;
        ProxyConfig::from_fields(Fields::of("", value)?)
    }

    /// Takes every field of a declaration, refuses others, and checks the whole.
    pub(crate) fn from_fields(fields: Fields) -> Result<ProxyConfig> {
        ProxyConfig::read(fields, ProxyConfig::validate)
    }

    /// The same of a declaration in a snapshot. An earlier version accepted what no declaration may be any more, and its process
    /// lives.
    pub(crate) fn from_snapshot(fields: Fields) -> Result<ProxyConfig> {
        ProxyConfig::read(fields, ProxyConfig::validate_as_in_snapshots)
    }

    fn read(mut fields: Fields, validate: fn(&ProxyConfig) -> Result<()>) -> Result<ProxyConfig> {
        let here = fields.place("");
        let place = here.trim_end_matches('.').to_owned();
        let within = |error: crate::Error| if place.is_empty() { error } else { error.joined(&place) };
        let mode = match fields.string("mode")? {
            Some(name) => ExecMode::new(&name).map_err(within)?,
            None => ExecMode::DAEMON,
        };
        let mut config = ProxyConfig::of_mode(mode);
        let argv = fields.list_of("command", WORDS, text::from_json)?;
        let no_command = argv.is_none().then(|| fields.missing("command", "a list of strings"));
        config.command = Command::from_argv(argv.unwrap_or_default());
        config.command = command_settings::read(&mut fields, config.command)?;
        if fields.boolean("detached")?.unwrap_or(false) {
            config.command = config.command.detached();
        }
        config.token = fields.string("token")?;
        config.target_service = fields.string("target_service")?;
        read_stop(&mut fields, &mut config.stop)?;
        if let Some(restart) = fields.object("restart")? {
            restart::read(restart, &mut config.restart)?;
        }
        config.expected_exit = expected_exit::read(&mut fields, "expected_exit")?;
        config.ready = Ready::read(&mut fields)?;
        config.replace = Replace::read(&mut fields)?;
        config.enabled = fields.boolean("enabled")?.unwrap_or(true);
        config.start_timeout = fields.milliseconds("start_timeout_ms")?.unwrap_or(config.start_timeout);
        config.listen = listen_json::read(&mut fields)?;
        config.watchdog = fields.milliseconds("watchdog_ms")?.unwrap_or_default();
        config.fd_store_max = fields.unsigned("fd_store_max")?.unwrap_or_default();
        if let Some(limits) = fields.take("limits") {
            config.limits = limits::read_limits(&fields.place("limits"), limits)?;
        }
        config.reload = Reload::read(&mut fields)?;
        if let Some(options) = fields.read("options", "an object", |value| value.as_object().cloned())? {
            config.options = options;
        }
        // ORDER: an unknown field is most often the misspelt name of the one that is missing.
        fields.finish()?;
        if let Some(missing) = no_command.filter(|_| config.mode == ExecMode::DAEMON) {
            return Err(missing);
        }
        validate(&config).map_err(within)?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_field_and_what_was_expected() {
        let cases = [
            (r#"{"web": 1}"#, "p.web: expected an object, got 1"),
            (r#"{"web": {}}"#, "p.web.command: expected a list of strings, got nothing"),
            (r#"{"web": {"comand": ["a"]}}"#, "p.web.comand: unknown field"),
            (r#"{"web": {"command": "a"}}"#, "p.web.command: expected a list of strings"),
            (r#"{"web": {"command": []}}"#, "p.web.command: expected a program"),
            (r#"{"web": {"command": ["a", 1]}}"#, "p.web.command[1]: expected a string, got 1"),
            (r#"{"web": {"command": ["a", "b\u0000"]}}"#, "p.web.command[1]: expected no NUL byte"),
            (
                r#"{"web": {"command": ["a"], "env": ["A=b", "secret"]}}"#,
                "p.web.env[1]: expected a string of the form NAME=value, got a string without =",
            ),
            (
                r#"{"web": {"command": ["a"], "env": [1]}}"#,
                "p.web.env[0]: expected a string of the form NAME=value, got 1",
            ),
            (r#"{"web": {"command": ["a"], "env": ["=A"]}}"#, "p.web.env[0]: expected NAME=value"),
            (r#"{"web": {"command": ["a"], "grace_period_ms": -1}}"#, "p.web.grace_period_ms: expected milliseconds"),
            (r#"{"web": {"command": ["a"], "stop_signal": "SIGX"}}"#, "p.web.stop_signal: expected a signal"),
            (
                r#"{"web": {"command": ["a"], "leftover_grace_ms": "1s"}}"#,
                "p.web.leftover_grace_ms: expected milliseconds, a whole number from 0 to 31622400000, got a string",
            ),
            (r#"{"web": {"command": ["a"], "detached": 1}}"#, "p.web.detached: expected true or false, got 1"),
            (
                r#"{"web": {"command": ["a"], "clear_env": "yes"}}"#,
                "p.web.clear_env: expected true or false, got a string",
            ),
            (
                r#"{"web": {"command": ["a"], "unset_env": "A"}}"#,
                "p.web.unset_env: expected a list of names of variables",
            ),
            (
                r#"{"web": {"command": ["a"], "unset_env": ["A", 1]}}"#,
                "p.web.unset_env[1]: expected the name of a variable",
            ),
            (
                r#"{"web": {"command": ["a"], "unset_env": ["A", "B="]}}"#,
                "p.web.unset_env[1]: expected the name of a variable, got \"B=\"",
            ),
            (
                r#"{"web": {"command": ["a"], "unset_env": ["A"], "env": ["A=1"]}}"#,
                "p.web.unset_env: expected no variable that env sets, got A",
            ),
            (
                r#"{"web": {"command": ["a"], "descriptor_limit": 0}}"#,
                "p.web.descriptor_limit: expected a whole number from 1 on, got 0",
            ),
            (
                r#"{"web": {"command": ["a"], "descriptor_limit": "infinity"}}"#,
                "p.web.descriptor_limit: expected a whole number from 1 on, got a string",
            ),
            (
                r#"{"web": {"command": ["a"], "oom_score_adj": -1001}}"#,
                "p.web.oom_score_adj: expected a whole number from -1000 to 1000, got -1001",
            ),
            (
                r#"{"web": {"command": ["a"], "oom_score_adj": 4294967296}}"#,
                "p.web.oom_score_adj: expected a whole number from -1000 to 1000, got 4294967296",
            ),
            (r#"{"web": {"command": ["a"], "restart": {"jitter": 2}}}"#, "p.web.restart.jitter: expected a number"),
            (r#"{"web": {"command": ["a"], "restart": {"x": 2}}}"#, "p.web.restart.x: unknown field"),
            (r#"{"web": {"command": ["a"], "credentials": {"uid": 1}}}"#, "p.web.credentials.gid: expected a whole"),
            (
                r#"{"web": {"command": ["a"], "credentials": {"user": "nobody"}}}"#,
                "p.web.credentials.user: unknown field, expected one of uid, gid, groups",
            ),
            (r#"{"web": {"command": ["a"]}, "web": {"command": ["a"]}}"#, "p.web: declared twice"),
            (
                r#"{"web": {"command": ["a"], "dir": "b", "dir": "c"}}"#,
                "p: not a JSON document: expected every name once",
            ),
            (r#"{"web": {"command": ["a"], "mode": "A b"}}"#, "p.web.mode: expected 1 to 64"),
            (r#"{"web": {"command": ["a"], "token": ["x"]}}"#, "p.web.token: expected a string, got a list"),
            (r#"{"": {"command": ["a"]}}"#, "p.: proxy id: expected 1 to 1024 bytes"),
        ];
        for (text, expected) in cases {
            let error = proxies_from_json("p", text).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{text}: {error}");
        }
        let long = format!("\"{}\" [", "x".repeat(5000));
        let error = proxies_from_json("p", &long).unwrap_err();
        assert_eq!(error.to_string(), "p: not a JSON document: trailing characters at line 1 column 5004");
    }
}
