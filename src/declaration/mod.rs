// SPDX-License-Identifier: MPL-2.0
//! A proxy as the agent declares it: what to run and how to look after it. Pure data, with its JSON form.

pub(crate) mod command_settings;
mod expected_exit;
mod fd_store;
pub(crate) mod fields;
mod fingerprint;
mod host_descriptor;
mod limits;
mod listen;
mod listen_in_command;
pub(crate) mod listen_json;
pub(crate) mod output;
pub(crate) mod placeholders;
pub(crate) mod process_settings;
mod read_json;
mod ready;
mod ready_at_listen;
mod reload;
mod replace;
mod restart;
pub(crate) mod set_variables;
mod similar;
mod stop;
pub(crate) mod strict;
mod text;
mod watchdog;
mod with;
mod write_json;

use std::fmt;
use std::time::Duration;

pub(crate) use command_settings::{split_variable, variable};
pub use expected_exit::ExpectedExit;
#[cfg(feature = "capi")]
pub(crate) use expected_exit::read_expected_exit;
pub(crate) use fields::milliseconds;
pub(crate) use fingerprint::Fingerprint;
pub(crate) use limits::CgroupLimit;
pub use limits::CgroupLimits;
#[cfg(feature = "capi")]
pub(crate) use limits::read_limits;
pub(crate) use listen::FIRST_DESCRIPTOR;
pub use listen::{Listen, ListenAddress};
pub(crate) use read_json::proxies_from_json;
pub use ready::Ready;
pub use reload::Reload;
pub use replace::Replace;
pub(crate) use stop::{read_steps, read_stop, steps_to_json};

use crate::command::Command;
use crate::defaults;
use crate::error::{Error, ErrorCode, Result, excerpt};
use crate::lifecycle::{RestartSettings, StopSettings};
use fields::invalid;

/// A JSON object: how the state of a [`Proxy`](crate::Proxy) is stored in a snapshot, and how a proxy of a registered
/// kind is configured.
pub type ProxySnapshot = serde_json::Map<String, serde_json::Value>;

/// The kind of a proxy: which code starts, stops and restores it.
///
/// ```
/// use proxyprocess::ExecMode;
///
/// assert_eq!(ExecMode::default(), ExecMode::DAEMON);
/// assert_eq!(ExecMode::new("socket-proxy").unwrap().as_str(), "socket-proxy");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExecMode(std::borrow::Cow<'static, str>);

impl ExecMode {
    /// A long-running process: [`Daemon`](crate::Daemon).
    pub const DAEMON: ExecMode = ExecMode(std::borrow::Cow::Borrowed("daemon"));
    /// Nothing at all: [`Noop`](crate::Noop).
    pub const NOOP: ExecMode = ExecMode(std::borrow::Cow::Borrowed("noop"));

    /// A mode of another name, to be registered with [`Manager::register_kind`](crate::Manager::register_kind).
    ///
    /// # Errors
    /// [`ErrorCode::InvalidConfig`] when the name is not made of 1 to 64 lower-case letters, digits, `-` and `_`.
    pub fn new(name: &str) -> Result<ExecMode> {
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        if name.is_empty() || name.len() > 64 || !name.bytes().all(good) {
            let message =
                format!("mode: expected 1 to 64 of the characters a-z, 0-9, - and _, got \"{}\"", excerpt(name));
            return Err(Error::new(ErrorCode::InvalidConfig, message));
        }
        Ok(ExecMode(name.to_owned().into()))
    }

    /// The mode's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ExecMode {
    fn default() -> Self {
        ExecMode::DAEMON
    }
}

impl fmt::Display for ExecMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The declaration of one proxy.
///
/// ```
/// use proxyprocess::{Command, ProxyConfig, StopSettings};
/// use std::time::Duration;
///
/// let mut config = ProxyConfig::new(Command::new("/usr/sbin/haproxy").args(["-db", "-f", "haproxy.cfg"]))
///     .with_target_service("web")
///     .with_stop(StopSettings::default().with_signal("SIGUSR1".parse().unwrap()));
/// config.restart.max_wait = Duration::from_secs(10); // each field can be set by itself as well
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ProxyConfig {
    /// The kind of the proxy.
    pub mode: ExecMode,
    /// What to run; required for the mode `daemon`.
    pub command: Command,
    /// The secret by which the proxy identifies itself to the agent; [`State`](crate::State) generates one when there
    /// is none.
    pub token: Option<String>,
    /// The id of the service that the proxy is a sidecar of.
    pub target_service: Option<String>,
    /// How to stop it.
    pub stop: StopSettings,
    /// How to restart it.
    pub restart: RestartSettings,
    /// Exit codes and signals that, like exit code 0, do not count as failures for [`RestartSettings::policy`] and
    /// [`RestartSettings::give_up_after`]. An end before the process is ready ([`ProxyConfig::ready`]) is always a failure.
    /// Must be empty for all kinds but `daemon`.
    pub expected_exit: Vec<ExpectedExit>,
    /// When a process of it is ready; must be [`Ready::Started`] for all kinds but `daemon`.
    pub ready: Ready,
    /// How long a process may take from its start until it is [`ProxyConfig::ready`], before it is stopped; not zero.
    /// [`Duration::MAX`] means no limit.
    pub start_timeout: Duration,
    /// The sockets that its processes get, from descriptor 3 on, in this order; at most 64, and none for all kinds but
    /// `daemon`.
    pub listen: Vec<Listen>,
    /// How long a ready process may be silent: a process that sends no `WATCHDOG=1` to its notification socket for so long
    /// (sd_notify(3)) gets SIGABRT, and is started again as after a crash. In whole milliseconds, at most a year; zero is no
    /// watchdog. The process gets the period in `WATCHDOG_USEC`, so a change takes a new process. Must be zero for all kinds
    /// but `daemon`.
    pub watchdog: Duration,
    /// How many descriptors its processes can store with `FDSTORE=1` (sd_notify(3)), at most 512; zero is none. They are kept
    /// while the proxy is declared, and each next process gets them after the sockets of [`ProxyConfig::listen`]. The process
    /// gets the number in `FDSTORE`, so a change takes a new process. Must be zero for all kinds but `daemon`.
    pub fd_store_max: u32,
    /// What all its processes together may use, enforced by its cgroup; must be empty for all kinds but `daemon`.
    pub limits: CgroupLimits,
    /// How [`Manager::reload`](crate::Manager::reload) makes it reload its configuration; must be `None` for all kinds but
    /// `daemon`.
    pub reload: Option<Reload>,
    /// How a process of it is replaced; must be [`Replace::StopFirst`] for all kinds but `daemon`.
    pub replace: Replace,
    /// Whether it is run; otherwise it is declared, and [`ProxyState::Paused`](crate::ProxyState::Paused). Must be true for all
    /// kinds but `daemon`.
    pub enabled: bool,
    /// Further configuration of a registered kind; must be empty for `daemon` and `noop`.
    pub options: ProxySnapshot,
    /// Whether `token` was not declared but drawn: another one drawn for the same id must not replace the process.
    pub(crate) token_generated: bool,
}

impl ProxyConfig {
    /// A daemon with default settings.
    pub fn new(command: Command) -> ProxyConfig {
        ProxyConfig { command, ..ProxyConfig::of_mode(ExecMode::DAEMON) }
    }

    /// A proxy of another kind with default settings.
    pub fn of_mode(mode: ExecMode) -> ProxyConfig {
        ProxyConfig {
            mode,
            command: Command::default(),
            token: None,
            target_service: None,
            stop: StopSettings::default(),
            restart: RestartSettings::default(),
            expected_exit: Vec::new(),
            ready: Ready::Started,
            start_timeout: defaults::START_TIMEOUT,
            listen: Vec::new(),
            watchdog: Duration::ZERO,
            fd_store_max: 0,
            limits: CgroupLimits::default(),
            reload: None,
            replace: Replace::StopFirst,
            enabled: true,
            options: ProxySnapshot::new(),
            token_generated: false,
        }
    }

    /// Checks everything that can never work.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidConfig`], naming the field.
    pub fn validate(&self) -> Result<()> {
        self.validate_to_start()?;
        self.command.outputs().validate_descriptors()
    }

    /// The same of what is to be started, which may be of an earlier agent that had a descriptor.
    pub(crate) fn validate_to_start(&self) -> Result<()> {
        self.validate_as_in_snapshots()?;
        ready_at_listen::validate(&self.ready, &self.listen)
    }

    /// The same without what versions accepted that wrote snapshots which must still be read.
    pub(crate) fn validate_as_in_snapshots(&self) -> Result<()> {
        if self.mode == ExecMode::DAEMON {
            self.command.validate()?;
        }
        let built_in = [ExecMode::DAEMON, ExecMode::NOOP].contains(&self.mode);
        if built_in && !self.options.is_empty() {
            return Err(invalid(format!("options: expected none for the mode \"{}\"", self.mode)));
        }
        for (field, text) in [("token", &self.token), ("target_service", &self.target_service)] {
            match text {
                Some(text) if text.is_empty() => {
                    return Err(invalid(format!("{field}: expected some text, got an empty string")));
                }
                Some(text) if text.contains('\0') => return Err(invalid(format!("{field}: expected no NUL byte"))),
                _ => {}
            }
        }
        self.validate_restart()?;
        self.validate_expected_exit()?;
        stop::validate_stop(&self.stop)?;
        if self.mode != ExecMode::DAEMON && self.ready != Ready::Started {
            return Err(invalid(format!("ready: expected \"started\" for the mode \"{}\"", self.mode)));
        }
        if self.mode != ExecMode::DAEMON && !self.listen.is_empty() {
            return Err(invalid(format!("listen: expected none for the mode \"{}\"", self.mode)));
        }
        if let Some(reload) = &self.reload {
            if self.mode != ExecMode::DAEMON {
                return Err(invalid(format!("reload: expected none for the mode \"{}\"", self.mode)));
            }
            reload.validate(self.takes_notifications())?;
        }
        if self.mode != ExecMode::DAEMON && self.replace != Replace::StopFirst {
            return Err(invalid(format!("replace: expected \"stop-first\" for the mode \"{}\"", self.mode)));
        }
        if self.mode != ExecMode::DAEMON && !self.enabled {
            return Err(invalid(format!("enabled: expected true for the mode \"{}\"", self.mode)));
        }
        if self.start_timeout.as_millis() == 0 {
            return Err(invalid("start_timeout_ms: expected milliseconds, a whole number from 1 on, got 0"));
        }
        self.ready.validate(&self.command)?;
        self.validate_watchdog()?;
        self.validate_fd_store()?;
        self.validate_limits()?;
        listen::validate(&self.listen, self.fd_store_max, self.ready.fd())?;
        listen_in_command::validate(&self.listen, &self.command)?;
        self.validate_variables()
    }

    /// Whether a process of this declaration is one of the other as well: all that the process itself can see is
    /// equal. How it is stopped, restarted and reloaded may differ, and when it is ready, unless that takes a descriptor or a
    /// socket.
    pub fn same_process(&self, other: &ProxyConfig) -> bool {
        self.mode == other.mode
            && self.command.same_process(&other.command)
            && self.token == other.token
            && self.target_service == other.target_service
            && self.options == other.options
            && self.ready.part_of_process() == other.ready.part_of_process()
            && self.listen == other.listen
            && self.watchdog_period() == other.watchdog_period()
            && self.fd_store_max == other.fd_store_max
    }
}

/// A path in JSON, whatever bytes it has.
pub(crate) fn path_to_json(path: &std::path::Path) -> serde_json::Value {
    text::to_json(path.as_os_str())
}

/// Reads what [`path_to_json`] wrote.
pub(crate) fn path_from_json(value: &serde_json::Value) -> Option<std::path::PathBuf> {
    text::from_json(value).map(Into::into)
}

/// Checks an id: 1 to 1024 bytes without NUL.
pub(crate) fn validate_id(id: &str) -> Result<()> {
    let wrong = if id.is_empty() {
        "got an empty string".to_owned()
    } else if id.len() > defaults::MAX_ID_BYTES {
        format!("got {} bytes", id.len())
    } else if id.contains('\0') {
        "got a NUL byte".to_owned()
    } else {
        return Ok(());
    };
    let message = format!("proxy id: expected 1 to {} bytes without NUL, {wrong}", defaults::MAX_ID_BYTES);
    Err(Error::new(ErrorCode::InvalidId, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_never_work_is_refused() {
        let good = ProxyConfig::new(Command::new("a"));
        assert_eq!(good.validate(), Ok(()));
        let mut jitter = good.clone();
        jitter.restart.jitter = f64::NAN;
        assert!(jitter.validate().unwrap_err().to_string().starts_with("restart.jitter: expected"));
        let mut token = good.clone();
        token.token = Some("a\0".to_owned());
        assert!(token.validate().unwrap_err().to_string().starts_with("token: expected"));
        let mut options = good;
        options.options.insert("a".to_owned(), 1.into());
        assert!(options.validate().unwrap_err().to_string().starts_with("options: expected none"));
        for id in ["", "a\0b", &"x".repeat(1025)] {
            assert_eq!(validate_id(id).unwrap_err().code(), ErrorCode::InvalidId);
        }
    }
}
