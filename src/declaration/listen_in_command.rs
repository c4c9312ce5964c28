// SPDX-License-Identifier: MPL-2.0
//! What `listen` means for the command of a declaration: the variables that it sets, and the names in `{fd:NAME}`.

use std::ffi::OsStr;

use super::fields::invalid;
use super::listen::{Listen, shown};
use super::placeholders::unknown_socket;
use crate::command::Command;
use crate::defaults::{ENV_LISTEN_FDNAMES, ENV_LISTEN_FDS, ENV_LISTEN_PID};
use crate::error::Result;

/// The variables by which a process finds its sockets (sd_listen_fds(3)).
const SET_BY_LISTEN: [&str; 3] = [ENV_LISTEN_FDS, ENV_LISTEN_FDNAMES, ENV_LISTEN_PID];

/// Whether a declaration with `listen` sets this variable itself.
pub(crate) fn is_set_by_listen(name: &OsStr) -> bool {
    SET_BY_LISTEN.iter().any(|own| *own == name)
}

/// Refuses names that no socket has, and variables that are set for the sockets.
pub(super) fn validate(sockets: &[Listen], command: &Command) -> Result<()> {
    if sockets.is_empty() {
        return Ok(());
    }
    let known = |place: String, text: &OsStr| match unknown_socket(text, sockets) {
        Some(name) => {
            Err(invalid(format!("{place}: expected the name of a socket of listen in {{fd:{name}}}, and none has it")))
        }
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
