// SPDX-License-Identifier: MPL-2.0
//! What /proc reports about processes (proc(5)), one module for each file or directory.

pub(crate) mod command_line;
pub(crate) mod environ;
pub(crate) mod executable;
pub(crate) mod fdinfo;
#[cfg(test)]
pub(crate) mod held_exec;
pub(crate) mod living_thread;
pub(crate) mod lock_holder;
pub(crate) mod orphans;
pub(crate) mod port_holder;
pub(crate) mod stat;
pub(crate) mod usage;
#[cfg(test)]
pub(crate) mod without_first_thread;
