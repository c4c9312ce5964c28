// SPDX-License-Identifier: MPL-2.0
//! When a proxy is ready, as declared, with the JSON form.

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::fields::{Fields, expected, invalid, milliseconds};
use super::stop::words_to_json;
use super::text;
use crate::command::Command;
use crate::defaults::{ENV_NOTIFY_SOCKET, NEXT_IS_PROBED_AFTER, READY_COMMAND_TIMEOUT};
use crate::error::Result;
use crate::lifecycle::readiness::Readiness;
use crate::sys::socket_address::LONGEST_SOCKET_PATH;

/// When a started process is ready. Until then its state is [`ProxyState::Starting`](crate::ProxyState::Starting), and
/// one that is not ready within [`start_timeout`](crate::ProxyConfig::start_timeout) is stopped and started again as
/// after a crash.
///
/// A test connection is closed at once, and nothing is sent. It shows that some process accepts connections there, not
/// which one: if another process has the address as well (`SO_REUSEPORT`) or instead, the proxy is ready at once. An
/// address of [`listen`](crate::ProxyConfig::listen), where connections wait for the process, is refused.
///
/// ```
/// use proxyprocess::{Command, ProxyConfig, Ready};
/// use std::time::Duration;
///
/// let config = ProxyConfig::new(Command::new("haproxy").args(["-db", "-f", "web.cfg"]))
///     .with_ready(Ready::Tcp("127.0.0.1:8080".parse().unwrap()))
///     .with_start_timeout(Duration::from_secs(20));
/// assert_eq!(serde_json::Value::from(config.to_json())["ready"]["tcp"], "127.0.0.1:8080");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Ready {
    /// As soon as the program is executed.
    #[default]
    Started,
    /// When a TCP connect to this address succeeds (connect(2)). The port is not 0.
    Tcp(SocketAddr),
    /// When a connect to the stream socket at this absolute path of 2 to 107 bytes succeeds (unix(7)).
    Unix(PathBuf),
    /// When the process writes a newline to this descriptor, 3 to 1023, which is opened for it: the protocol of s6
    /// (`notification-fd`). A change requires a new process.
    Fd(u32),
    /// When a process of the proxy sends `READY=1` to the socket named by `NOTIFY_SOCKET` in its environment: the
    /// protocol of systemd (sd_notify(3)). Its notifications are received for as long as the process runs:
    /// [`ProxyStatus::status_text`](crate::ProxyStatus::status_text). A change requires a new process.
    Notify,
    /// When this command exits with code 0. It runs like that of [`Reload::Command`](crate::Reload::Command),
    /// repeatedly until it succeeds, and never twice at the same time; it is killed with its group when the process has
    /// ended or is stopped.
    Command {
        /// Program and arguments. A program without a slash is searched for in the `PATH` of the proxy.
        argv: Vec<OsString>,
        /// The time after which a run is killed with its group (default 10 s); not zero. Checked twice a second.
        /// [`Duration::MAX`] means no limit.
        timeout: Duration,
    },
}

const WANTED: &str = r#""started", "notify", {"tcp": ADDRESS}, {"unix": PATH}, {"fd": NUMBER} or {"command": LIST}"#;
const TCP: &str = r#"an IP address and a port, like "127.0.0.1:8080" or "[::1]:8080""#;
const UNIX: &str = "an absolute path of 2 to 107 bytes without NUL";
const FD: &str = "a number from 3 to 1023";
const FDS: RangeInclusive<u32> = 3..=1023;

impl Ready {
    /// A command with the default timeout for one run.
    pub fn command<W: Into<OsString>>(argv: impl IntoIterator<Item = W>) -> Ready {
        Ready::Command { argv: argv.into_iter().map(Into::into).collect(), timeout: READY_COMMAND_TIMEOUT }
    }

    /// The descriptor by which the process reports, which it gets at its start.
    pub(crate) fn fd(&self) -> Option<u32> {
        match self {
            Ready::Fd(number) => Some(*number),
            Ready::Started | Ready::Tcp(_) | Ready::Unix(_) | Ready::Notify | Ready::Command { .. } => None,
        }
    }

    /// The part that a process gets at its start, as text; `None` if there is none.
    pub(crate) fn part_of_process(&self) -> Option<String> {
        match self {
            Ready::Fd(number) => Some(format!("ready.fd={number}")),
            Ready::Notify => Some("ready=notify".to_owned()),
            Ready::Started | Ready::Tcp(_) | Ready::Unix(_) | Ready::Command { .. } => None,
        }
    }

    /// Reads the field `ready`; the default if it is absent.
    pub(super) fn read(fields: &mut Fields) -> Result<Ready> {
        let place = fields.place("ready");
        fields.take("ready").map_or(Ok(Ready::Started), |value| Ready::from_json(&place, value))
    }

    /// Reads the value at `place`.
    pub(crate) fn from_json(place: &str, value: Value) -> Result<Ready> {
        let object = match value {
            Value::String(word) if word == "started" => return Ok(Ready::Started),
            Value::String(word) if word == "notify" => return Ok(Ready::Notify),
            Value::Object(object) => object,
            other => return Err(expected(place, WANTED, &other)),
        };
        if object.is_empty() {
            return Err(expected(place, WANTED, &object.into()));
        }
        let mut how = Fields::of(place, object.into())?;
        let tcp = how.read("tcp", TCP, |value| value.as_str()?.parse().ok())?.map(Ready::Tcp);
        let unix = how.read("unix", UNIX, text::from_json)?.map(|path| Ready::Unix(path.into()));
        let fd = how.read("fd", FD, |value| value.as_u64()?.try_into().ok())?.map(Ready::Fd);
        let argv = how.list_of("command", ["a string", "strings"], text::from_json)?;
        let timeout = how.milliseconds("timeout_ms")?;
        let (refused, both) = (how.place("timeout_ms"), invalid(format!("{place}: expected {WANTED}, got several")));
        how.finish()?;
        let limit = timeout.unwrap_or(READY_COMMAND_TIMEOUT);
        let command = argv.map(|argv| Ready::Command { argv, timeout: limit });
        let is_command = command.is_some();
        let mut declared = [tcp, unix, fd, command].into_iter().flatten();
        match (declared.next(), declared.next()) {
            (Some(_), Some(_)) => Err(both),
            _ if timeout.is_some() && !is_command => {
                Err(invalid(format!("{refused}: expected none without a command")))
            }
            (ready, _) => Ok(ready.unwrap_or_default()),
        }
    }

    /// The value of the field; `None` for the default.
    pub(super) fn to_json(&self) -> Option<Value> {
        match self {
            Ready::Started => None,
            Ready::Tcp(address) => Some(json!({"tcp": address.to_string()})),
            Ready::Unix(path) => Some(json!({"unix": text::to_json(path.as_os_str())})),
            Ready::Fd(number) => Some(json!({"fd": number})),
            Ready::Notify => Some("notify".into()),
            Ready::Command { argv, timeout } if *timeout == READY_COMMAND_TIMEOUT => {
                Some(json!({"command": words_to_json(argv)}))
            }
            Ready::Command { argv, timeout } => {
                Some(json!({"command": words_to_json(argv), "timeout_ms": milliseconds(*timeout)}))
            }
        }
    }

    /// What the lifecycle needs to know; `is_next`: for the next process of a handover.
    ///
    /// The current process may answer the probes of the next one, for example at sockets that both have, or a command
    /// may find files that the previous process left. So a process that ends at once, because of a mistake in its
    /// configuration, must not have been taken for ready before.
    pub(crate) fn readiness(&self, timeout: Duration, is_next: bool) -> Readiness {
        match self {
            Ready::Started => Readiness::Started,
            Ready::Tcp(_) | Ready::Unix(_) | Ready::Command { .. } => {
                let first = if is_next { NEXT_IS_PROBED_AFTER.min(timeout / 2) } else { Duration::ZERO };
                Readiness::Probed { within: timeout, first }
            }
            Ready::Fd(_) | Ready::Notify => Readiness::Reported { within: timeout },
        }
    }

    pub(super) fn validate(&self, command: &Command) -> Result<()> {
        match self {
            Ready::Notify => {
                let name = OsStr::new(ENV_NOTIFY_SOCKET);
                let fields = [
                    ("env", command.declared_env().contains_key(name)),
                    ("unset_env", command.declared_unset_env().contains(name)),
                ];
                match fields.into_iter().find(|(_, has)| *has) {
                    Some((field, _)) => {
                        Err(invalid(format!("{field}: expected no {ENV_NOTIFY_SOCKET}, which ready sets")))
                    }
                    None => Ok(()),
                }
            }
            Ready::Tcp(address) if address.port() == 0 => {
                Err(invalid(format!("ready.tcp: expected {TCP}, got port 0")))
            }
            Ready::Unix(path) => {
                let bytes = path.as_os_str().as_bytes();
                let good =
                    path.is_absolute() && !bytes.contains(&0) && (2..=LONGEST_SOCKET_PATH).contains(&bytes.len());
                if good { Ok(()) } else { Err(invalid(format!("ready.unix: expected {UNIX}"))) }
            }
            Ready::Fd(number) if !FDS.contains(number) => {
                Err(invalid(format!("ready.fd: expected {FD}, got {number}")))
            }
            Ready::Command { timeout, .. } if timeout.as_millis() == 0 => {
                Err(invalid("ready.timeout_ms: expected milliseconds, a whole number from 1 on, got 0"))
            }
            Ready::Command { argv, .. } => {
                Command::from_argv(argv.clone()).validate().map_err(|error| error.joined("ready"))
            }
            Ready::Started | Ready::Tcp(_) | Ready::Fd(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declaration::ProxyConfig;
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    fn parse(fields: &str) -> Result<ProxyConfig> {
        ProxyConfig::from_json(&format!(r#"{{"command": ["a"], {fields}}}"#))
    }

    #[test]
    fn each_condition_is_read_and_written_and_the_default_is_left_out() {
        let not_utf8 = OsString::from_vec(b"/a\xff".to_vec());
        let all = [
            Ready::Tcp("127.0.0.1:1".parse().unwrap()),
            Ready::Tcp("[fe80::1%2]:65535".parse().unwrap()),
            Ready::Unix("/run/a".into()),
            Ready::Unix(not_utf8.into()),
            Ready::Fd(3),
            Ready::Notify,
            Ready::command([OsString::from_vec(vec![255]), "b".into()]),
            Ready::Command { argv: vec!["a".into()], timeout: Duration::from_millis(7) },
            Ready::Started,
        ];
        for ready in all {
            let config = ProxyConfig::new(Command::new("a")).with_ready(ready.clone());
            let written = config.with_start_timeout(Duration::from_millis(7)).to_json();
            let read = ProxyConfig::from_json(&serde_json::to_string(&written).unwrap()).unwrap();
            assert_eq!((read.ready, read.start_timeout), (ready, Duration::from_millis(7)));
        }
        let default = parse(r#""ready": "started", "start_timeout_ms": 90000"#).unwrap();
        assert_eq!(default, ProxyConfig::new(Command::new("a")));
        assert_eq!(default.to_json().len(), 1);
    }

    #[test]
    fn unknown_condition_is_refused_and_the_field_named() {
        let cases = [
            (
                r#""ready": "soon""#,
                r#"ready: expected "started", "notify", {"tcp": ADDRESS}, {"unix": PATH}, {"fd": NUMBER} or {"command": LIST}, got"#,
            ),
            (
                r#""ready": "notfiy""#,
                r#"ready: expected "started", "notify", {"tcp": ADDRESS}, {"unix": PATH}, {"fd": NUMBER} or {"command": LIST}, got a string: is "notify" meant?"#,
            ),
            (r#""ready": {}"#, r#"ready: expected "started", "#),
            (r#""ready": 3"#, r#"ready: expected "started", "#),
            (r#""ready": {"tcp": "127.0.0.1:1", "fd": 3}"#, r#"ready: expected "started", "#),
            (r#""ready": {"udp": "127.0.0.1:1"}"#, "ready.udp: unknown field, expected one of tcp, unix, fd, command"),
            (r#""ready": {"tcp": "localhost:1"}"#, "ready.tcp: expected an IP address and a port, like"),
            (r#""ready": {"tcp": "127.0.0.1:0"}"#, "ready.tcp: expected an IP address and a port, like"),
            (r#""ready": {"tcp": "127.0.0.1:1", "command": ["a"]}"#, r#"ready: expected "started", "#),
            (r#""ready": {"fd": 3, "timeout_ms": 1}"#, "ready.timeout_ms: expected none without a command"),
            (r#""ready": {"timeout_ms": 1}"#, "ready.timeout_ms: expected none without a command"),
            (r#""ready": {"command": ["a"], "timeout_ms": 0}"#, "ready.timeout_ms: expected milliseconds, a whole"),
            (r#""ready": {"command": "a"}"#, "ready.command: expected a list of strings, got a string"),
            (r#""ready": {"command": []}"#, "ready.command: expected a program and its arguments"),
            (r#""ready": {"unix": "a"}"#, "ready.unix: expected an absolute path of 2 to 107 bytes without NUL"),
            (r#""ready": {"unix": "/"}"#, "ready.unix: expected an absolute path"),
            (r#""ready": {"unix": "/a\u0000"}"#, "ready.unix: expected an absolute path"),
            (r#""ready": {"fd": 2}"#, "ready.fd: expected a number from 3 to 1023, got 2"),
            (r#""ready": {"fd": 1024}"#, "ready.fd: expected a number from 3 to 1023, got 1024"),
            (r#""ready": {"fd": "3"}"#, "ready.fd: expected a number from 3 to 1023, got a string"),
            (r#""ready": {"notify": true}"#, "ready.notify: unknown field, expected one of tcp, unix, fd, command"),
            (r#""ready": "notify", "env": ["NOTIFY_SOCKET=a"]"#, "env: expected no NOTIFY_SOCKET, which ready sets"),
            (
                r#""ready": "notify", "unset_env": ["NOTIFY_SOCKET"]"#,
                "unset_env: expected no NOTIFY_SOCKET, which ready sets",
            ),
            (r#""start_timeout_ms": 0"#, "start_timeout_ms: expected milliseconds, a whole number from 1 on, got 0"),
            (r#""start_timeout_ms": -1"#, "start_timeout_ms: expected milliseconds"),
            (r#""mode": "noop", "ready": {"fd": 3}"#, "ready: expected \"started\" for the mode \"noop\""),
        ];
        for (fields, expected) in cases {
            let error = parse(fields).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{fields}: {error}");
        }
        let long = format!("/{}", "a".repeat(106));
        assert!(parse(&format!(r#""ready": {{"unix": "{long}"}}"#)).is_ok());
        assert!(parse(&format!(r#""ready": {{"unix": "{long}a"}}"#)).is_err());
    }

    #[test]
    fn what_a_process_gets_at_its_start_is_part_of_it_and_nothing_else() {
        let with = |ready| ProxyConfig::new(Command::new("a")).with_ready(ready);
        let (started, tcp) = (with(Ready::Started), with(Ready::Tcp("127.0.0.1:1".parse().unwrap())));
        assert!(started.same_process(&tcp.clone().with_start_timeout(Duration::MAX)));
        assert!(tcp.same_process(&with(Ready::Unix("/a".into()))) && tcp.same_process(&with(Ready::command(["a"]))));
        assert!(!tcp.same_process(&with(Ready::Fd(3))));
        assert!(!with(Ready::Fd(3)).same_process(&with(Ready::Fd(4))));
        assert!(!with(Ready::Notify).same_process(&started) && !with(Ready::Notify).same_process(&with(Ready::Fd(3))));
    }
}
