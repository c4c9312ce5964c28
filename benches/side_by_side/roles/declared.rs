// SPDX-License-Identifier: MPL-2.0
//! What the host declares.

use std::path::PathBuf;
use std::time::Duration;

use proxyprocess::{Command, Listen, ListenAddress, Output, ProxyConfig, Ready};

/// The id of the process that always ends.
pub(super) const CRASHING: &str = "crashing";

/// The declarations of this agent.
pub(super) struct Declared {
    pub(super) beacon: PathBuf,
    pub(super) role: Option<String>,
    pub(super) grace_period: Option<Duration>,
    /// Whether there are logs.
    pub(super) has_logs: bool,
    /// Whether a process has to say that it is ready.
    pub(super) says_ready: bool,
    /// Where the sockets are that each process gets one of.
    pub(super) sockets: Option<PathBuf>,
}

impl Declared {
    /// The declaration of a beacon; another `version` makes it another process.
    pub(super) fn beacon(&self, id: u32, version: Option<u64>) -> ProxyConfig {
        let mut command = Command::new(&self.beacon).arg(id.to_string()).args(self.role.clone());
        if let Some(version) = version {
            command = command.env("VERSION", version.to_string());
        }
        if !self.has_logs {
            command = command.stdout(Output::Null).stderr(Output::Null);
        }
        let mut config = ProxyConfig::new(command);
        if self.says_ready {
            config.ready = Ready::Notify;
        }
        if let Some(sockets) = &self.sockets {
            config.listen.push(Listen::new(ListenAddress::Unix(sockets.join(format!("{id}.sock")))));
        }
        config.stop.grace_period = self.grace_period.unwrap_or(config.stop.grace_period);
        config
    }

    /// The declaration of a process that always ends.
    pub(super) fn crashing(&self, how: &str) -> ProxyConfig {
        let mut config = ProxyConfig::new(Command::new(&self.beacon).args([CRASHING, "exit"]));
        if how == "at-once" {
            config.restart.max_wait = Duration::ZERO;
        }
        config
    }
}
