// SPDX-License-Identifier: MPL-2.0
//! What `listen` means for the command of a declaration: the names in `{fd:NAME}`.

use std::ffi::OsStr;

use super::fields::invalid;
use super::listen::{Listen, shown};
use super::placeholders::unknown_socket;
use crate::command::Command;
use crate::error::Result;

/// Refuses names that no socket has.
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
        known(format!("env: value of {}", shown(name)), value)?;
    }
    Ok(())
}
