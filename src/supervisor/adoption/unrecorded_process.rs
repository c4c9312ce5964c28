// SPDX-License-Identifier: MPL-2.0
//! Comparing a process without a record with a declaration, by its command line and environment.
//!
//! Consul's snapshots describe processes with their whole environment and do not say which variables were declared. So
//! each declared variable must be there, and further variables are ignored.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use crate::command::Command;
use crate::declaration::ProxyConfig;
use crate::declaration::placeholders::may_become;
use crate::defaults;
use crate::error::{Error, Result, excerpt};
use crate::store;
use crate::store::snapshot_entry::Version1Process;
use crate::supervisor::spec::Spec;
use crate::supervisor::spec::base_environment::{BaseEnvironment, is_of_host};
use crate::sys::pid::Pid;
use crate::sys::proc::command_line::UnrecordedProcess;

/// A process of Consul's: what its snapshot says of it, and what it shows itself.
#[derive(Debug, Clone)]
pub(crate) struct ConsulProcess {
    /// Its command and directory, the program as Consul found it.
    command: Command,
    /// The program as Consul had it declared.
    argv0: OsString,
    /// As the snapshot says.
    environment: BTreeMap<OsString, OsString>,
    /// The process; its environment counts where it shows it.
    process: UnrecordedProcess,
    shows_environment: bool,
}

impl ConsulProcess {
    /// The process that a snapshot describes, as far as that is still known of the one that was found.
    pub(crate) fn new(
        id: &str,
        config: &ProxyConfig,
        stored: Version1Process,
        found: UnrecordedProcess,
    ) -> ConsulProcess {
        let Version1Process { pid: _, argv0, mut environment } = stored;
        // Consul adds them last, and leaves them out of the snapshot.
        let token = config.token.as_deref().unwrap_or_default();
        environment.extend(
            [(defaults::ENV_PROXY_ID, id), (defaults::ENV_PROXY_TOKEN, token)]
                .map(|(name, value)| (name.into(), value.into())),
        );
        let shows_environment = shows(&found, id);
        ConsulProcess { command: config.command.clone(), argv0, environment, process: found, shows_environment }
    }

    pub(crate) fn pid(&self) -> Pid {
        self.process.pid
    }

    /// What a process of the declaration would have otherwise, by its name and never its value; `None` when this is one.
    pub(crate) fn difference(&self, wanted: &Spec) -> Option<String> {
        let command = &wanted.config.command;
        let (Some((path, arguments)), Some((program, wanted_arguments))) =
            (self.command.argv().split_first(), command.argv().split_first())
        else {
            return Some("command".to_owned());
        };
        if (program != path && *program != self.argv0) || arguments != wanted_arguments {
            return Some("command".to_owned());
        }
        if self.command.declared_dir() != command.declared_dir() {
            return Some("working directory".to_owned());
        }
        if let Some(setting) = command.setting_unknown_to_consul() {
            return Some(setting.to_owned());
        }
        if wanted.config.ready.part_of_process().is_some() {
            return Some("ready".to_owned());
        }
        if !wanted.config.listen.is_empty() {
            return Some("listen".to_owned());
        }
        let changed = wanted.changed_variable(|name| self.variable(name))?;
        Some(format!("variable {}", excerpt(&changed.to_string_lossy())))
    }

    fn variable(&self, name: &OsStr) -> Option<&OsStr> {
        if self.shows_environment {
            return self.process.variable(name);
        }
        self.environment.get(name).map(OsString::as_os_str)
    }
}

/// What a process shows of itself.
///
/// # Errors
/// When that cannot be known now, which does not mean that it is gone.
pub(crate) fn examine(pid: Pid) -> Result<UnrecordedProcess> {
    let what = format_args!("read command line and environment of process {pid}");
    UnrecordedProcess::of(pid).map_err(|error| Error::os(store::code_of(&error), what, &error))
}

/// Whether a process without a record is one of the declaration, as far as it shows.
pub(crate) fn is_of(process: &UnrecordedProcess, wanted: &Spec) -> bool {
    let as_shown = || wanted.changed_variable(|name| process.variable(name)).is_none();
    process.runs(wanted.config.command.argv(), may_become) && (!shows(process, &wanted.id) || as_shown())
}

/// Whether the environment that a process shows is the one that it was given for this id.
pub(crate) fn shows(process: &UnrecordedProcess, id: &str) -> bool {
    process.variable(OsStr::new(defaults::ENV_PROXY_ID)) == Some(OsStr::new(id))
}

/// The token that a process of this id shows.
pub(crate) fn token(process: &UnrecordedProcess, id: &str) -> Option<String> {
    let token = process.variable(OsStr::new(defaults::ENV_PROXY_TOKEN)).filter(|token| !token.is_empty());
    token.filter(|_| shows(process, id))?.to_str().map(str::to_owned)
}

/// What Consul's snapshot holds as a declaration: of the whole environment, what the agent has as well is inherited, and
/// what was addressed to Consul was never meant for the process.
pub(crate) fn without_inherited(config: &ProxyConfig, base_env: &BaseEnvironment) -> ProxyConfig {
    let command = &config.command;
    let mut declared = Command::from_argv(command.argv().iter().cloned());
    if let Some(dir) = command.declared_dir() {
        declared = declared.dir(dir.clone());
    }
    let is_own = |name: &OsStr, value: &OsStr| !base_env.has(name, value) && !is_of_host(name);
    for (name, value) in command.declared_env().iter().filter(|(name, value)| is_own(name, value)) {
        declared = declared.env(name.clone(), value.clone());
    }
    ProxyConfig { command: declared, ..config.clone() }
}
