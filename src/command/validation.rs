// SPDX-License-Identifier: MPL-2.0
//! Checks of what is declared to be run: what can never work is refused, and the field named.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::{Command, Credentials};
use crate::defaults::OWN_VARIABLES;
use crate::error::{Error, ErrorCode, Result, excerpt};

impl Command {
    /// Checks what can never work: an empty command, a NUL byte, a variable without a name, one that is both set and
    /// withheld, a number out of range, a user or group id that means "unchanged" to the kernel.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidConfig`], naming the field.
    pub fn validate(&self) -> Result<()> {
        match self.argv.first() {
            None => return Err(invalid("command: expected a program and its arguments, got an empty list")),
            Some(program) if program.is_empty() => {
                return Err(invalid("command[0]: expected a program, got an empty string"));
            }
            Some(_) => {}
        }
        for (index, word) in self.argv.iter().enumerate() {
            refuse_nul(word, || format!("command[{index}]"))?;
        }
        if let Some(dir) = &self.seldom.dir {
            refuse_nul(dir.as_os_str(), || "dir".to_owned())?;
            if dir.as_os_str().is_empty() {
                return Err(invalid("dir: expected a path, got an empty string"));
            }
        }
        for (name, value) in &self.env {
            validate_variable(name, value).map_err(|error| error.within("env"))?;
        }
        for name in &self.seldom.unset_env {
            validate_withheld(name).map_err(|error| error.within("unset_env"))?;
            if self.env.contains_key(name) {
                return Err(invalid(format!("unset_env: expected no variable that env sets, got {}", shown(name))));
            }
        }
        if let Some(Credentials { uid, gid, groups }) = &self.seldom.credentials {
            let ids = [("uid", *uid), ("gid", *gid)].into_iter().chain(groups.iter().map(|group| ("groups", *group)));
            // setresuid(2) and setresgid(2) take this one for "unchanged": the process would stay what the agent is.
            if let Some((field, id)) = ids.into_iter().find(|(_, id)| *id == u32::MAX) {
                return Err(invalid(format!("credentials.{field}: expected {USER_OR_GROUP}, got {id}")));
            }
        }
        self.seldom.names.validate(self.seldom.credentials.is_some())?;
        if self.seldom.descriptor_limit == Some(0) {
            return Err(invalid(format!("descriptor_limit: expected {DESCRIPTOR_LIMIT}, got 0")));
        }
        if let Some(value) = self.seldom.oom_score_adj.filter(|value| !OOM_SCORES.contains(value)) {
            return Err(invalid(format!("oom_score_adj: expected {OOM_SCORE_ADJ}, got {value}")));
        }
        self.seldom.settings.validate(self.seldom.descriptor_limit)?;
        self.seldom.outputs.validate()
    }
}

/// What is expected of the id of a user or group.
pub(crate) const USER_OR_GROUP: &str = "a whole number from 0 to 4294967294";

/// What is expected of a limit of descriptors.
pub(crate) const DESCRIPTOR_LIMIT: &str = "a whole number from 1 on";

/// What is expected of an `oom_score_adj`: the range of proc(5).
pub(crate) const OOM_SCORE_ADJ: &str = "a whole number from -1000 to 1000";
const OOM_SCORES: std::ops::RangeInclusive<i32> = -1000..=1000;

/// Checks one environment variable: a name that is not empty and has no `=`, and no NUL anywhere.
pub(crate) fn validate_variable(name: &OsStr, value: &OsStr) -> Result<()> {
    if !is_name(name) {
        return Err(invalid(format!("expected NAME=value, got the name \"{}\"", shown(name))));
    }
    refuse_nul(name, || format!("name \"{}\"", shown(name)))?;
    refuse_nul(value, || format!("value of {}", shown(name)))
}

/// Checks the name of a variable that is withheld: one that the library sets cannot be.
pub(crate) fn validate_withheld(name: &OsStr) -> Result<()> {
    if !is_name(name) {
        return Err(invalid(format!("expected the name of a variable, got \"{}\"", shown(name))));
    }
    if OWN_VARIABLES.iter().any(|own| *own == name) {
        return Err(invalid(format!("expected no variable that the library sets, got {}", shown(name))));
    }
    refuse_nul(name, || format!("name \"{}\"", shown(name)))
}

fn is_name(name: &OsStr) -> bool {
    !name.is_empty() && !name.as_bytes().contains(&b'=')
}

fn shown(name: &OsStr) -> String {
    excerpt(&name.to_string_lossy()).to_string()
}

pub(super) fn refuse_nul(text: &OsStr, field: impl Fn() -> String) -> Result<()> {
    match text.as_bytes().iter().position(|&byte| byte == 0) {
        None => Ok(()),
        Some(at) => Err(invalid(format!("{}: expected no NUL byte, got one at offset {at}", field()))),
    }
}

pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::InvalidConfig, message)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    #[test]
    fn what_can_never_work_is_refused_and_the_field_named() {
        let cases = [
            (Command::from_argv(Vec::<OsString>::new()), "command: expected a program"),
            (Command::new(""), "command[0]: expected a program"),
            (Command::new("a").arg("b\0c"), "command[1]: expected no NUL byte, got one at offset 1"),
            (Command::new("a").dir("x\0"), "dir: expected no NUL byte"),
            (Command::new("a").dir(""), "dir: expected a path"),
            (Command::new("a").env("", "v"), "env: expected NAME=value"),
            (Command::new("a").env("A=B", "v"), "env: expected NAME=value"),
            (Command::new("a").env("A", "v\0"), "env: value of A: expected no NUL byte"),
            (Command::new("a").unset_env(""), "unset_env: expected the name of a variable, got \"\""),
            (Command::new("a").unset_env("A=B"), "unset_env: expected the name of a variable, got \"A=B\""),
            (Command::new("a").unset_env("A\0"), "unset_env: name \"A\\u{0}\": expected no NUL byte"),
            (Command::new("a").env("A", "").unset_env("A"), "unset_env: expected no variable that env sets, got A"),
            (
                Command::new("a").unset_env("CONNECT_PROXY_ID"),
                "unset_env: expected no variable that the library sets, got CONNECT_PROXY_ID",
            ),
            (Command::new("a").descriptor_limit(0), "descriptor_limit: expected a whole number from 1 on, got 0"),
            (
                Command::new("a").credentials(Credentials { uid: u32::MAX, gid: 0, groups: vec![] }),
                "credentials.uid: expected a whole number from 0 to 4294967294, got 4294967295",
            ),
            (
                Command::new("a").credentials(Credentials { uid: 1, gid: u32::MAX, groups: vec![] }),
                "credentials.gid: expected a whole number from 0 to 4294967294, got 4294967295",
            ),
            (
                Command::new("a").credentials(Credentials { uid: 1, gid: 1, groups: vec![0, u32::MAX] }),
                "credentials.groups: expected a whole number from 0 to 4294967294, got 4294967295",
            ),
            (
                Command::new("a").oom_score_adj(1001),
                "oom_score_adj: expected a whole number from -1000 to 1000, got 1001",
            ),
            (Command::new("a").oom_score_adj(-1001), "oom_score_adj: expected a whole number"),
        ];
        for (command, expected) in cases {
            let error = command.validate().unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidConfig);
            assert!(error.to_string().starts_with(expected), "{error}");
        }
    }
}
