// SPDX-License-Identifier: MPL-2.0
//! Expected exits, with their JSON form.

use serde_json::Value;

use super::fields::{Fields, invalid};
use super::{ExecMode, ProxyConfig};
use crate::error::Result;
use crate::sys::signal::Signal;
use crate::sys::wait::ExitStatus;

/// An exit of a process that is no failure.
///
/// ```
/// use proxyprocess::{ExpectedExit, ProxyConfig};
///
/// let config = ProxyConfig::from_json(r#"{"command": ["a"], "expected_exit": [64, "SIGTERM"]}"#).unwrap();
/// assert_eq!(config.expected_exit, [ExpectedExit::Code(64), ExpectedExit::Signal("SIGTERM".parse().unwrap())]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExpectedExit {
    /// By itself, with this exit code.
    Code(u8),
    /// By this signal, with or without a core dump.
    Signal(Signal),
}

const WANTED: [&str; 2] = [
    "an exit code from 0 to 255 or a signal like \"SIGTERM\"",
    "exit codes from 0 to 255 and signals like \"SIGTERM\"",
];

impl ExpectedExit {
    fn from_json(value: &Value) -> Option<ExpectedExit> {
        match value {
            Value::Number(code) => code.as_u64().and_then(|code| code.try_into().ok()).map(ExpectedExit::Code),
            // As everywhere, also by its number.
            Value::String(name) => name.parse().ok().map(ExpectedExit::Signal),
            _ => None,
        }
    }

    fn to_json(self) -> Value {
        match self {
            ExpectedExit::Code(code) => code.into(),
            ExpectedExit::Signal(signal) => signal.stored_name().into(),
        }
    }

    /// Whether a process with this status ended like this.
    fn is(self, status: ExitStatus) -> bool {
        match (self, status) {
            (ExpectedExit::Code(expected), ExitStatus::Exited(code)) => i32::from(expected) == code,
            (ExpectedExit::Signal(expected), ExitStatus::Signaled { signal, .. }) => expected.as_raw() == signal,
            (ExpectedExit::Code(_), ExitStatus::Signaled { .. } | ExitStatus::Unknown)
            | (ExpectedExit::Signal(_), ExitStatus::Exited(_) | ExitStatus::Unknown) => false,
        }
    }
}

/// Reads the list of a field.
pub(super) fn read(fields: &mut Fields, field: &str) -> Result<Vec<ExpectedExit>> {
    Ok(fields.list_of(field, WANTED, ExpectedExit::from_json)?.unwrap_or_default())
}

/// Reads such a list by itself.
#[cfg(feature = "capi")]
pub(crate) fn read_expected_exit(field: &str, value: Value) -> Result<Vec<ExpectedExit>> {
    read(&mut Fields::of("", serde_json::json!({field: value}))?, field)
}

/// The list that [`read`] reads.
pub(super) fn to_json(expected: &[ExpectedExit]) -> Value {
    expected.iter().map(|exit| exit.to_json()).collect()
}

impl ProxyConfig {
    /// Whether this exit is expected.
    pub(crate) fn expects(&self, status: ExitStatus) -> bool {
        status == ExitStatus::Exited(0) || self.expected_exit.iter().any(|expected| expected.is(status))
    }

    pub(super) fn validate_expected_exit(&self) -> Result<()> {
        if self.mode != ExecMode::DAEMON && !self.expected_exit.is_empty() {
            return Err(invalid(format!("expected_exit: expected none for the mode \"{}\"", self.mode)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;

    fn parse(list: &str) -> Result<ProxyConfig> {
        ProxyConfig::from_json(&format!(r#"{{"command": ["a"], "expected_exit": {list}}}"#))
    }

    #[test]
    fn ends_are_read_and_written_and_make_no_other_process() {
        let config = parse(r#"[64, 255, "SIGTERM", "SIGRTMIN+3"]"#).unwrap();
        assert_eq!(config.to_json()["expected_exit"], serde_json::json!([64, 255, "SIGTERM", "37"]));
        assert_eq!(ProxyConfig::from_json(&serde_json::to_string(&config.to_json()).unwrap()).unwrap(), config);
        let plain = ProxyConfig::new(Command::new("a"));
        assert_eq!(parse("[]").unwrap(), plain);
        assert_eq!(plain.to_json().get("expected_exit"), None);
        assert!(config.same_process(&plain));
    }

    #[test]
    fn an_end_is_expected_by_its_code_or_its_signal_and_code_0_always() {
        let config = parse(r#"[130, "SIGTERM"]"#).unwrap();
        let signaled = |signal, core_dumped| ExitStatus::Signaled { signal, core_dumped };
        for expected in [ExitStatus::Exited(0), ExitStatus::Exited(130), signaled(15, false), signaled(15, true)] {
            assert!(config.expects(expected), "{expected}");
        }
        for other in [ExitStatus::Exited(1), ExitStatus::Exited(15), signaled(2, false), ExitStatus::Unknown] {
            assert!(!config.expects(other), "{other}");
        }
    }

    #[test]
    fn wrong_ends_are_refused_and_the_field_named() {
        for list in ["[256]", "[-1]", "[1.5]", r#"["65"]"#, r#"["SIGX"]"#, "[true]"] {
            let error = parse(list).unwrap_err().to_string();
            assert!(error.starts_with("expected_exit[0]: expected an exit code from 0 to 255 or a signal"), "{error}");
        }
        assert!(parse("64").unwrap_err().to_string().starts_with("expected_exit: expected a list of exit codes"));
        let error = ProxyConfig::from_json(r#"{"mode": "noop", "expected_exit": [1]}"#).unwrap_err().to_string();
        assert!(error.starts_with("expected_exit: expected none for the mode \"noop\""), "{error}");
    }
}
