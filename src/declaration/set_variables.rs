// SPDX-License-Identifier: MPL-2.0
//! The variables that a field of a declaration sets in the environment of the process, which is then not to be declared as well.

use std::ffi::OsStr;

use super::ProxyConfig;
use super::fields::invalid;
use super::listen::shown;
use crate::defaults::{
    ENV_FDSTORE, ENV_LISTEN_FDNAMES, ENV_LISTEN_FDS, ENV_LISTEN_PID, ENV_NOTIFY_SOCKET, ENV_WATCHDOG_PID,
    ENV_WATCHDOG_USEC,
};
use crate::error::Result;

/// By which a process finds its watchdog (sd_watchdog_enabled(3)).
const BY_WATCHDOG: [&str; 3] = [ENV_NOTIFY_SOCKET, ENV_WATCHDOG_USEC, ENV_WATCHDOG_PID];

/// By which it finds what is stored (sd_listen_fds(3)), and that it can store.
const BY_FD_STORE: [&str; 5] = [ENV_NOTIFY_SOCKET, ENV_FDSTORE, ENV_LISTEN_FDS, ENV_LISTEN_FDNAMES, ENV_LISTEN_PID];

/// By which it finds its sockets (sd_listen_fds(3)).
const BY_LISTEN: [&str; 3] = [ENV_LISTEN_FDS, ENV_LISTEN_FDNAMES, ENV_LISTEN_PID];

/// Whether a process with sockets finds them by this variable.
pub(crate) fn is_set_by_listen(name: &OsStr) -> bool {
    BY_LISTEN.iter().any(|own| *own == name)
}

impl ProxyConfig {
    /// Whether one of its fields sets this variable.
    pub(crate) fn sets_variable(&self, name: &OsStr) -> bool {
        self.set_variables().any(|(_, own)| own == name)
    }

    /// Refuses variables that another field sets.
    pub(super) fn validate_variables(&self) -> Result<()> {
        let names = || {
            let (env, unset_env) = (self.command.declared_env().keys(), self.command.declared_unset_env().iter());
            env.map(|name| ("env", name)).chain(unset_env.map(|name| ("unset_env", name)))
        };
        match self.set_variables().find_map(|(by, own)| Some((by, names().find(|(_, name)| own == **name)?))) {
            Some((by, (field, name))) => {
                Err(invalid(format!("{field}: expected no variable that {by} sets, got {}", shown(name))))
            }
            None => Ok(()),
        }
    }

    /// The variables that its fields set, with the name of the field.
    fn set_variables(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let fields = [
            ("watchdog_ms", !self.watchdog.is_zero(), &BY_WATCHDOG[..]),
            ("fd_store_max", self.fd_store_max > 0, &BY_FD_STORE[..]),
            ("listen", !self.listen.is_empty(), &BY_LISTEN[..]),
        ];
        let fields = fields.into_iter().filter(|(_, is_declared, _)| *is_declared);
        fields.flat_map(|(field, _, names)| names.iter().map(move |name| (field, *name)))
    }
}
