// SPDX-License-Identifier: MPL-2.0
//! The JSON form of what a command is run with besides its program and arguments: directory, environment, credentials,
//! limits and the other settings of its process, and outputs. A declaration has it, and a record for the commands of a stop.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use serde_json::{Value, json};

use super::fields::Fields;
use super::invalid;
use super::{output, process_settings, text};
use crate::command::{
    Command, Credentials, DESCRIPTOR_LIMIT, OOM_SCORE_ADJ, USER_OR_GROUP, validate_variable, validate_withheld,
};
use crate::error::Result;

const VARIABLES: [&str; 2] = ["a string of the form NAME=value", "strings of the form NAME=value"];

/// Adds to a command what the fields of an object say; what is absent stays as it is.
pub(crate) fn read(fields: &mut Fields, mut command: Command) -> Result<Command> {
    if let Some(dir) = fields.read("dir", "a path", text::from_json)? {
        command = command.dir(dir);
    }
    for (name, value) in variables(fields, "env")? {
        command = command.env(name, value);
    }
    for name in withheld(fields, "unset_env")? {
        command = command.unset_env(name);
    }
    if fields.boolean("clear_env")?.unwrap_or(false) {
        command = command.clear_env();
    }
    if let Some(credentials) = fields.object("credentials")? {
        command = command.credentials(read_credentials(credentials)?);
    }
    if let Some(user) = fields.string("user")? {
        command = command.user(user);
    }
    if let Some(group) = fields.string("group")? {
        command = command.group(group);
    }
    if let Some(limit) = fields.read("descriptor_limit", DESCRIPTOR_LIMIT, Value::as_u64)? {
        command = command.descriptor_limit(limit);
    }
    let score = |value: &Value| value.as_i64().and_then(|number| number.try_into().ok());
    if let Some(score) = fields.read("oom_score_adj", OOM_SCORE_ADJ, score)? {
        command = command.oom_score_adj(score);
    }
    let command = process_settings::read(fields, command)?;
    output::read(fields, command)
}

/// Puts the fields that [`read`] reads; what has its default value is left out.
pub(crate) fn put(command: &Command, put: &mut impl FnMut(&str, Value)) {
    if let Some(dir) = command.declared_dir() {
        put("dir", text::to_json(dir.as_os_str()));
    }
    if !command.declared_env().is_empty() {
        let line = |(name, value): (&OsString, &OsString)| text::to_json(&variable(name, value));
        put("env", command.declared_env().iter().map(line).collect());
    }
    if !command.declared_unset_env().is_empty() {
        put("unset_env", command.declared_unset_env().iter().map(|name| text::to_json(name)).collect());
    }
    if command.clears_env() {
        put("clear_env", true.into());
    }
    if let Some(to) = command.declared_credentials() {
        put("credentials", json!({"uid": to.uid, "gid": to.gid, "groups": to.groups}));
    }
    for (field, name) in [("user", command.declared_user()), ("group", command.declared_group())] {
        if let Some(name) = name {
            put(field, name.into());
        }
    }
    if let Some(limit) = command.declared_descriptor_limit() {
        put("descriptor_limit", limit.into());
    }
    if let Some(score) = command.declared_oom_score_adj() {
        put("oom_score_adj", score.into());
    }
    process_settings::put(command.settings(), put);
    output::put(command.outputs(), put);
}

fn read_credentials(mut fields: Fields) -> Result<Credentials> {
    let (uid, gid) = (fields.unsigned("uid")?, fields.unsigned("gid")?);
    let missing = |field| fields.missing(field, USER_OR_GROUP);
    let (no_uid, no_gid) = (missing("uid"), missing("gid"));
    let id = |value: &Value| value.as_u64().and_then(|number| number.try_into().ok());
    let groups = fields
        .list_of("groups", ["a whole number from 0 to 4294967294", "whole numbers from 0 to 4294967294"], id)?
        .unwrap_or_default();
    // ORDER: as above, the name of a user in the place of the uid.
    fields.finish()?;
    Ok(Credentials { uid: uid.ok_or(no_uid)?, gid: gid.ok_or(no_gid)?, groups })
}

/// Reads a list of `NAME=value`.
fn variables(fields: &mut Fields, field: &str) -> Result<Vec<(OsString, OsString)>> {
    let place = fields.place(field);
    let lines = fields.list_of(field, VARIABLES, text::from_json)?.unwrap_or_default();
    let variable = |(index, line): (usize, OsString)| {
        let place = format!("{place}[{index}]");
        // Not what it is: that may be the secret alone.
        let no_variable = || invalid(format!("{place}: expected {}, got a string without =", VARIABLES[0]));
        let (name, value) = split_variable(line).ok_or_else(no_variable)?;
        validate_variable(&name, &value).map_err(|error| error.within(&place))?;
        Ok((name, value))
    };
    lines.into_iter().enumerate().map(variable).collect()
}

/// Reads a list of names of variables.
fn withheld(fields: &mut Fields, field: &str) -> Result<Vec<OsString>> {
    let place = fields.place(field);
    let names =
        fields.list_of(field, ["the name of a variable", "names of variables"], text::from_json)?.unwrap_or_default();
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

/// Joins `NAME=value`.
pub(crate) fn variable(name: &OsStr, value: &OsStr) -> OsString {
    let mut line = OsString::with_capacity(name.len() + value.len() + 1);
    line.push(name);
    line.push("=");
    line.push(value);
    line
}
