// SPDX-License-Identifier: MPL-2.0
//! How a proxy reloads its configuration, as declared, with the JSON form.

use std::ffi::OsString;
use std::time::Duration;

use serde_json::{Value, json};

use super::fields::{Fields, expected, invalid, milliseconds};
use super::stop::{read_signal, words_to_json};
use super::text;
use crate::command::Command;
use crate::defaults::RELOAD_TIMEOUT;
use crate::error::Result;
use crate::sys::signal::Signal;

/// How [`Manager::reload`](crate::Manager::reload) makes a process reload its configuration. A change needs no new
/// process.
///
/// ```
/// use proxyprocess::{Command, ProxyConfig, Reload};
///
/// let nginx = ProxyConfig::new(Command::new("/usr/sbin/nginx").args(["-g", "daemon off;"]))
///     .with_reload(Reload::Signal("SIGHUP".parse()?));
/// let caddy = ProxyConfig::new(Command::new("caddy").args(["run", "--config", "/etc/caddy.json"]))
///     .with_reload(Reload::command(["caddy", "reload", "--config", "/etc/caddy.json"]));
/// # assert!(nginx.validate().is_ok() && caddy.validate().is_ok());
/// # Ok::<(), proxyprocess::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reload {
    /// A signal to the leader, and to no other process of its group.
    Signal(Signal),
    /// A signal, usually SIGHUP, that the process confirms by its notifications (`Type=notify-reload` of
    /// systemd.service(5), sd_notify(3)): it sends `RELOADING=1` with the CLOCK_MONOTONIC time in `MONOTONIC_USEC=`,
    /// and `READY=1` within [`ProxyConfig::start_timeout`](crate::ProxyConfig::start_timeout) once it has reloaded. It
    /// needs a notification socket: [`Ready::Notify`](crate::Ready::Notify), a watchdog or stored descriptors.
    Notify(Signal),
    /// A command that tells the process to reload. It runs with the environment, directory and credentials of the
    /// proxy, but without its sockets and without the variables for sockets, notifications and watchdog. Its output
    /// goes to the proxy's logs, and `MAINPID` has the pid of the leader, as with systemd.
    Command {
        /// Program and arguments. A program without a slash is searched for in the `PATH` of the proxy.
        argv: Vec<OsString>,
        /// The time after which it is killed with its group (default 30 s); not zero. [`Duration::MAX`] means no limit.
        timeout: Duration,
    },
}

/// The signal and the confirmation that most programs know, and the field for another signal.
const NOTIFY: &str = "notify";

const WANTED: &str = r#"{"signal": SIGNAL}, "notify" or {"command": LIST}"#;

impl Reload {
    /// A command with the default timeout.
    pub fn command<W: Into<OsString>>(argv: impl IntoIterator<Item = W>) -> Reload {
        Reload::Command { argv: argv.into_iter().map(Into::into).collect(), timeout: RELOAD_TIMEOUT }
    }

    /// Reads the field `reload`; `None` if it is absent.
    pub(super) fn read(fields: &mut Fields) -> Result<Option<Reload>> {
        let place = fields.place("reload");
        fields.take("reload").map(|value| Reload::from_json(&place, value)).transpose()
    }

    /// Reads the value at `place`.
    pub(crate) fn from_json(place: &str, value: Value) -> Result<Reload> {
        if value == NOTIFY {
            return Ok(Reload::Notify(Signal::HUP));
        }
        if !value.is_object() {
            return Err(expected(place, WANTED, &value));
        }
        let mut how = Fields::of(place, value)?;
        let signal = read_signal(&mut how, "signal")?;
        let notify = how.boolean(NOTIFY)?.unwrap_or(false);
        let argv = how.list_of("command", ["a string", "strings"], text::from_json)?;
        let timeout = how.milliseconds("timeout_ms")?;
        how.finish()?;
        match (signal, argv) {
            (None, _) if notify => Err(invalid(format!("{place}.notify: expected false without a signal"))),
            (Some(signal), None) if timeout.is_none() && notify => Ok(Reload::Notify(signal)),
            (Some(signal), None) if timeout.is_none() => Ok(Reload::Signal(signal)),
            (Some(_), None) => Err(invalid(format!("{place}.timeout_ms: expected none without a command"))),
            (None, Some(argv)) => Ok(Reload::Command { argv, timeout: timeout.unwrap_or(RELOAD_TIMEOUT) }),
            (Some(_), Some(_)) => Err(invalid(format!("{place}: expected {WANTED}, got both"))),
            (None, None) => Err(invalid(format!("{place}: expected {WANTED}, got neither"))),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        match self {
            Reload::Signal(signal) => json!({"signal": signal.stored_name()}),
            Reload::Notify(Signal::HUP) => NOTIFY.into(),
            Reload::Notify(signal) => json!({"signal": signal.stored_name(), NOTIFY: true}),
            Reload::Command { argv, timeout } => {
                let mut object = json!({"command": words_to_json(argv)});
                if *timeout != RELOAD_TIMEOUT {
                    object["timeout_ms"] = milliseconds(*timeout);
                }
                object
            }
        }
    }

    /// `is_heard`: the process has a notification socket. The reload alone gives it none, because that would require
    /// another process.
    pub(super) fn validate(&self, is_heard: bool) -> Result<()> {
        match self {
            Reload::Notify(_) if !is_heard => {
                Err(invalid("reload: expected \"notify\" only with \"ready\": \"notify\", watchdog_ms or fd_store_max"))
            }
            Reload::Signal(_) | Reload::Notify(_) => Ok(()),
            Reload::Command { timeout, .. } if timeout.as_millis() == 0 => {
                Err(invalid("reload.timeout_ms: expected milliseconds, a whole number from 1 on, got 0"))
            }
            Reload::Command { argv, .. } => {
                Command::from_argv(argv.clone()).validate().map_err(|error| error.joined("reload"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declaration::ProxyConfig;
    use std::os::unix::ffi::OsStringExt;

    fn parse(fields: &str) -> Result<ProxyConfig> {
        ProxyConfig::from_json(&format!(r#"{{"command": ["a"], {fields}}}"#))
    }

    #[test]
    fn each_form_is_read_and_written_and_is_no_part_of_the_process() {
        let not_utf8 = Reload::command([OsString::from_vec(b"/a\xff".to_vec()), "b".into()]);
        let limited = Reload::Command { argv: vec!["a".into()], timeout: Duration::from_millis(7) };
        let none = ProxyConfig::new(Command::new("a"));
        for reload in [Reload::Signal(Signal::KILL), Reload::Signal("40".parse().unwrap()), not_utf8, limited] {
            let config = none.clone().with_reload(reload);
            let written = serde_json::to_string(&config.to_json()).unwrap();
            assert_eq!(ProxyConfig::from_json(&written).unwrap(), config);
            assert!(none.same_process(&config));
        }
        let command = parse(r#""reload": {"command": ["a", "b"], "timeout_ms": 30000}"#).unwrap();
        assert_eq!(command.reload, Some(Reload::command(["a", "b"])));
        assert_eq!(Value::from(command.to_json())["reload"], json!({"command": ["a", "b"]}));
        assert_eq!(parse(r#""reload": null"#).unwrap(), none);
    }

    #[test]
    fn confirmed_reload_is_by_sighup_or_the_signal_that_is_named() {
        let heard = |reload: &str| parse(&format!(r#""ready": "notify", "reload": {reload}"#)).unwrap();
        let forms = [
            (r#""notify""#, Reload::Notify(Signal::HUP), json!("notify")),
            (r#"{"signal": 1, "notify": true}"#, Reload::Notify(Signal::HUP), json!("notify")),
            (
                r#"{"signal": "USR1", "notify": true}"#,
                Reload::Notify("SIGUSR1".parse().unwrap()),
                json!({"signal": "SIGUSR1", "notify": true}),
            ),
            (r#"{"signal": 1, "notify": false}"#, Reload::Signal(Signal::HUP), json!({"signal": "SIGHUP"})),
        ];
        for (read, reload, written) in forms {
            let config = heard(read);
            assert_eq!(config.reload, Some(reload));
            assert_eq!(Value::from(config.to_json())["reload"], written);
            assert!(config.same_process(&heard("null")));
        }
        assert!(parse(r#""watchdog_ms": 1, "reload": "notify""#).is_ok());
    }

    #[test]
    fn wrong_form_is_refused_and_the_field_named() {
        let cases = [
            (
                r#""reload": "SIGHUP""#,
                r#"reload: expected {"signal": SIGNAL}, "notify" or {"command": LIST}, got a string"#,
            ),
            (r#""reload": {}"#, r#"reload: expected {"signal": SIGNAL}, "notify" or {"command": LIST}, got neither"#),
            (
                r#""reload": {"signal": 1, "command": ["a"]}"#,
                "reload: expected {\"signal\": SIGNAL}, \"notify\" or {\"command\": LIST}, got both",
            ),
            (r#""reload": {"signal": 0}"#, "reload.signal: expected a signal"),
            (r#""reload": {"signal": []}"#, "reload.signal: expected a signal like \"SIGTERM\" or 15, got a list"),
            (r#""reload": {"signal": 1, "timeout_ms": 1}"#, "reload.timeout_ms: expected none without a command"),
            (r#""reload": {"command": "a"}"#, "reload.command: expected a list of strings, got a string"),
            (r#""reload": {"command": []}"#, "reload.command: expected a program"),
            (r#""reload": {"command": ["a", "b\u0000"]}"#, "reload.command[1]: expected no NUL byte"),
            (
                r#""reload": {"command": ["a"], "timeout_ms": 0}"#,
                "reload.timeout_ms: expected milliseconds, a whole number from 1",
            ),
            (r#""reload": {"command": ["a"], "timeout_ms": -1}"#, "reload.timeout_ms: expected milliseconds"),
            (
                r#""reload": {"other": true}"#,
                "reload.other: unknown field, expected one of signal, notify, command, timeout_ms",
            ),
            (r#""reload": {"notify": true}"#, "reload.notify: expected false without a signal"),
            (r#""reload": {"notify": true, "command": ["a"]}"#, "reload.notify: expected false without a signal"),
            (r#""reload": {"notify": 1}"#, "reload.notify: expected true or false, got 1"),
            (
                r#""reload": {"signal": 1, "notify": true, "timeout_ms": 1}"#,
                "reload.timeout_ms: expected none without a command",
            ),
            (
                r#""reload": "notify""#,
                r#"reload: expected "notify" only with "ready": "notify", watchdog_ms or fd_store_max"#,
            ),
            (
                r#""ready": {"fd": 3}, "reload": {"signal": 10, "notify": true}"#,
                r#"reload: expected "notify" only with "ready": "notify", watchdog_ms or fd_store_max"#,
            ),
            (r#""mode": "noop", "reload": {"signal": 1}"#, "reload: expected none for the mode \"noop\""),
        ];
        for (fields, expected) in cases {
            let error = parse(fields).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{fields}: {error}");
        }
    }
}
