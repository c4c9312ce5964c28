// SPDX-License-Identifier: MPL-2.0
//! Reads the JSON form of declarations: in an agent's configuration, and in the snapshot.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use serde_json::Value;

use super::fields::Fields;
use super::stop::read_stop;
use super::{ExecMode, ProxyConfig, Ready, Reload, Replace, invalid, listen_json, strict, text, validate_id};
use crate::command::{
    Command, Credentials, DESCRIPTOR_LIMIT, OOM_SCORE_ADJ, USER_OR_GROUP, validate_variable, validate_withheld,
};
use crate::error::{Result, excerpt};
use crate::lifecycle::RestartSettings;

const WORDS: &str = "strings";
const VARIABLES: &str = "strings of the form NAME=value";

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
        Err(error) => match strict::parse(text) {
            Ok(no_object) => Err(super::fields::expected(place, "an object", &no_object)),
            Err(_) => Err(invalid(format!("{place}: not a JSON document: {error}"))),
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
    /// assert!(error.to_string().starts_with("comand: unknown field, expected one of mode, command, "));
    /// ```
    pub fn from_json(text: &str) -> Result<ProxyConfig> {
        let value = strict::parse(text).map_err(|error| invalid(format!("not a JSON document: {error}")))?;
        ProxyConfig::from_fields(Fields::of("", value)?)
    }

    /// Takes every field of a declaration, refuses others, and checks the whole.
    pub(crate) fn from_fields(mut fields: Fields) -> Result<ProxyConfig> {
        let here = fields.place("");
        let place = here.trim_end_matches('.').to_owned();
        let within = |error: crate::Error| if place.is_empty() { error } else { error.joined(&place) };
        let mode = match fields.string("mode")? {
            Some(name) => ExecMode::new(&name).map_err(within)?,
            None => ExecMode::DAEMON,
        };
        let mut config = ProxyConfig::of_mode(mode);
        let argv = fields.list("command", WORDS, text::from_json)?;
        let no_command = argv.is_none().then(|| fields.missing("command", "a list of strings"));
        config.command = Command::from_argv(argv.unwrap_or_default());
        if let Some(dir) = fields.read("dir", "a path", text::from_json)? {
            config.command = config.command.dir(dir);
        }
        for (name, value) in variables(&mut fields, "env")? {
            config.command = config.command.env(name, value);
        }
        for name in withheld(&mut fields, "unset_env")? {
            config.command = config.command.unset_env(name);
        }
        if fields.boolean("clear_env")?.unwrap_or(false) {
            config.command = config.command.clear_env();
        }
        if let Some(credentials) = fields.object("credentials")? {
            config.command = config.command.credentials(read_credentials(credentials)?);
        }
        if let Some(limit) = fields.read("descriptor_limit", DESCRIPTOR_LIMIT, Value::as_u64)? {
            config.command = config.command.descriptor_limit(limit);
        }
        let score = |value: &Value| value.as_i64().and_then(|number| number.try_into().ok());
        if let Some(score) = fields.read("oom_score_adj", OOM_SCORE_ADJ, score)? {
            config.command = config.command.oom_score_adj(score);
        }
        if fields.boolean("detached")?.unwrap_or(false) {
            config.command = config.command.detached();
        }
        config.token = fields.string("token")?;
        config.target_service = fields.string("target_service")?;
        read_stop(&mut fields, &mut config.stop)?;
        if let Some(restart) = fields.object("restart")? {
            read_restart(restart, &mut config.restart)?;
        }
        config.ready = Ready::read(&mut fields)?;
        config.replace = Replace::read(&mut fields)?;
        config.start_timeout = fields.milliseconds("start_timeout_ms")?.unwrap_or(config.start_timeout);
        config.listen = listen_json::read(&mut fields)?;
        config.watchdog = fields.milliseconds("watchdog_ms")?.unwrap_or_default();
        config.fd_store_max = fields.unsigned("fd_store_max")?.unwrap_or_default();
        config.reload = Reload::read(&mut fields)?;
        if let Some(options) = fields.read("options", "an object", |value| value.as_object().cloned())? {
            config.options = options;
        }
        // ORDER: an unknown field is most often the misspelt name of the one that is missing.
        fields.finish()?;
        if let Some(missing) = no_command.filter(|_| config.mode == ExecMode::DAEMON) {
            return Err(missing);
        }
        config.validate().map_err(within)?;
        Ok(config)
    }
}

fn read_credentials(mut fields: Fields) -> Result<Credentials> {
    let (uid, gid) = (fields.unsigned("uid")?, fields.unsigned("gid")?);
    let missing = |field| fields.missing(field, USER_OR_GROUP);
    let (no_uid, no_gid) = (missing("uid"), missing("gid"));
    let id = |value: &Value| value.as_u64().and_then(|number| number.try_into().ok());
    let groups = fields.list("groups", "whole numbers from 0 to 4294967294", id)?.unwrap_or_default();
    // ORDER: as above, the name of a user in the place of the uid.
    fields.finish()?;
    Ok(Credentials { uid: uid.ok_or(no_uid)?, gid: gid.ok_or(no_gid)?, groups })
}

fn read_restart(mut fields: Fields, restart: &mut RestartSettings) -> Result<()> {
    restart.healthy_after = fields.milliseconds("healthy_after_ms")?.unwrap_or(restart.healthy_after);
    restart.attempts_before_backoff =
        fields.unsigned("attempts_before_backoff")?.unwrap_or(restart.attempts_before_backoff);
    restart.max_wait = fields.milliseconds("max_wait_ms")?.unwrap_or(restart.max_wait);
    restart.jitter = fields.number("jitter")?.unwrap_or(restart.jitter);
    fields.finish()
}

/// Reads a list of `NAME=value`.
fn variables(fields: &mut Fields, field: &str) -> Result<Vec<(OsString, OsString)>> {
    let place = fields.place(field);
    let lines = fields.list(field, VARIABLES, text::from_json)?.unwrap_or_default();
    let variable = |(index, line): (usize, OsString)| {
        let place = format!("{place}[{index}]");
        // Not what it is: that may be the secret alone.
        let no_variable = || invalid(format!("{place}: expected {VARIABLES}, got a string without ="));
        let (name, value) = split_variable(line).ok_or_else(no_variable)?;
        validate_variable(&name, &value).map_err(|error| error.within(&place))?;
        Ok((name, value))
    };
    lines.into_iter().enumerate().map(variable).collect()
}

/// Reads a list of names of variables.
fn withheld(fields: &mut Fields, field: &str) -> Result<Vec<OsString>> {
    let place = fields.place(field);
    let names = fields.list(field, "names of variables", text::from_json)?.unwrap_or_default();
    for (index, name) in names.iter().enumerate() {
        validate_withheld(name).map_err(|error| error.within(format!("{place}[{index}]")))?;
    }
    Ok(names)
}

/// Splits `NAME=value` at the first `=`.
pub(crate) fn split_variable(line: OsString) -> Option<(OsString, OsString)> {
    let at = line.as_bytes().iter().position(|&byte| byte == b'=')?;
    let mut name = line.into_vec();
    let value = name.split_off(at + 1);
    name.pop();
    Some((OsString::from_vec(name), OsString::from_vec(value)))
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
            (r#"{"web": {"command": ["a", 1]}}"#, "p.web.command[1]: expected strings"),
            (r#"{"web": {"command": ["a", "b\u0000"]}}"#, "p.web.command[1]: expected no NUL byte"),
            (
                r#"{"web": {"command": ["a"], "env": ["A=b", "secret"]}}"#,
                "p.web.env[1]: expected strings of the form NAME=value, got a string without =",
            ),
            (
                r#"{"web": {"command": ["a"], "env": [1]}}"#,
                "p.web.env[0]: expected strings of the form NAME=value, got 1",
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
                "p.web.unset_env[1]: expected names of variables",
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
    }
}
