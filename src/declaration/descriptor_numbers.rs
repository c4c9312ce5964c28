// SPDX-License-Identifier: MPL-2.0
//! `{fd:NAME}` in arguments and in values of variables: the number that a socket of `listen` has in the process, for programs
//! with a syntax of their own.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::fields::invalid;
use super::listen::{FIRST_DESCRIPTOR, Listen, shown};
use crate::command::Command;
use crate::defaults::{ENV_LISTEN_FDNAMES, ENV_LISTEN_FDS, ENV_LISTEN_PID};
use crate::error::Result;

const BEGIN: &[u8] = b"{fd:";

/// The variables by which a process finds its sockets (sd_listen_fds(3)).
const SET_BY_LISTEN: [&str; 3] = [ENV_LISTEN_FDS, ENV_LISTEN_FDNAMES, ENV_LISTEN_PID];

/// Whether a declaration with `listen` sets this variable itself.
pub(crate) fn is_set_by_listen(name: &OsStr) -> bool {
    SET_BY_LISTEN.iter().any(|own| *own == name)
}

/// `text` with numbers in place of names. Without sockets it stays as it is.
pub(crate) fn with_numbers(text: &OsStr, sockets: &[Listen]) -> OsString {
    if sockets.is_empty() {
        return text.to_owned();
    }
    let (mut filled, mut left) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((before, name, after)) = next(left) {
        filled.extend_from_slice(before);
        match number(name, sockets) {
            Some(number) => filled.extend_from_slice(number.to_string().as_bytes()),
            // Refused by `validate`.
            None => filled.extend_from_slice(&left[before.len()..left.len() - after.len()]),
        }
        left = after;
    }
    filled.extend_from_slice(left);
    OsString::from_vec(filled)
}

/// Refuses names that no socket has, and variables that are set for the sockets.
pub(super) fn validate(sockets: &[Listen], command: &Command) -> Result<()> {
    if sockets.is_empty() {
        return Ok(());
    }
    let known = |place: String, text: &OsStr| match unknown(text, sockets) {
        Some(name) => Err(invalid(format!("{place}: expected the name of a socket of listen in {{fd:{name}}}"))),
        None => Ok(()),
    };
    for (index, word) in command.argv().iter().enumerate().skip(1) {
        known(format!("command[{index}]"), word)?;
    }
    for (name, value) in command.declared_env() {
        if is_set_by_listen(name) {
            return Err(invalid(format!("env: expected no variable that listen sets, got {}", shown(name))));
        }
        known(format!("env: value of {}", shown(name)), value)?;
    }
    match command.declared_unset_env().iter().find(|name| is_set_by_listen(name)) {
        Some(name) => Err(invalid(format!("unset_env: expected no variable that listen sets, got {}", shown(name)))),
        None => Ok(()),
    }
}

/// The first name that no socket has.
fn unknown(text: &OsStr, sockets: &[Listen]) -> Option<String> {
    let mut left = text.as_bytes();
    while let Some((_, name, after)) = next(left) {
        if number(name, sockets).is_none() {
            return Some(shown(OsStr::from_bytes(name)));
        }
        left = after;
    }
    None
}

/// What is before the first `{fd:NAME}`, the name, and what is behind it.
fn next(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let begin = text.windows(BEGIN.len()).position(|part| part == BEGIN)?;
    let rest = &text[begin + BEGIN.len()..];
    let end = rest.iter().position(|&byte| byte == b'}')?;
    Some((&text[..begin], &rest[..end], &rest[end + 1..]))
}

fn number(name: &[u8], sockets: &[Listen]) -> Option<u32> {
    let at = sockets.iter().position(|socket| socket.name.as_deref().is_some_and(|own| own.as_bytes() == name))?;
    Some(FIRST_DESCRIPTOR + at as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sockets() -> Vec<Listen> {
        let named =
            |(port, name): (u32, &str)| Listen::new(format!("tcp:127.0.0.1:{port}").parse().unwrap()).with_name(name);
        [(1, "web"), (2, "admin x")].map(named).into()
    }

    #[test]
    fn names_are_replaced_by_numbers_wherever_they_are() {
        let cases = [
            ("fd@{fd:web}", "fd@3"),
            ("{fd:web};{fd:admin x};", "3;4;"),
            ("{fd:web", "{fd:web"),
            ("{fd}", "{fd}"),
            ("{{fd:web}}", "{3}"),
            ("", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(with_numbers(OsStr::new(text), &sockets()), expected);
            assert_eq!(with_numbers(OsStr::new(text), &[]), text);
        }
        let bytes = OsString::from_vec(b"\xff{fd:web}\xfe".to_vec());
        assert_eq!(with_numbers(&bytes, &sockets()).as_bytes(), b"\xff3\xfe");
    }

    #[test]
    fn unknown_name_is_found_behind_a_known_one() {
        assert_eq!(unknown(OsStr::new("{fd:web} {fd:other}"), &sockets()).as_deref(), Some("other"));
        assert_eq!(unknown(OsStr::new("{fd:}"), &sockets()).as_deref(), Some(""));
        assert_eq!(unknown(OsStr::new("{fd:web} {fd:admin x}"), &sockets()), None);
    }
}
