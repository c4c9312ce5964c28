// SPDX-License-Identifier: MPL-2.0
//! The watchdog of a proxy, as it is declared.

use std::time::Duration;

use super::fields::invalid;
use super::{ExecMode, ProxyConfig, Ready};
use crate::defaults::LONGEST_PERIOD;
use crate::error::Result;

impl ProxyConfig {
    /// The period of the watchdog in whole milliseconds; zero without one.
    pub(crate) fn watchdog_period(&self) -> Duration {
        Duration::from_millis(self.watchdog.as_millis().try_into().unwrap_or(u64::MAX))
    }

    /// Whether its process gets a socket for notifications.
    pub(crate) fn takes_notifications(&self) -> bool {
        self.ready == Ready::Notify || !self.watchdog.is_zero() || self.fd_store_max > 0
    }

    pub(super) fn validate_watchdog(&self) -> Result<()> {
        if self.watchdog.is_zero() {
            return Ok(());
        }
        if self.mode != ExecMode::DAEMON {
            return Err(invalid(format!("watchdog_ms: expected 0 for the mode \"{}\"", self.mode)));
        }
        if self.watchdog_period().is_zero() || self.watchdog > LONGEST_PERIOD {
            let (most, got) = (LONGEST_PERIOD.as_millis(), self.watchdog.as_secs_f64() * 1000.0);
            return Err(invalid(format!(
                "watchdog_ms: expected milliseconds, a whole number from 0 to {most}, got {got}"
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;

    fn parse(fields: &str) -> Result<ProxyConfig> {
        ProxyConfig::from_json(&format!(r#"{{"command": ["a"], {fields}}}"#))
    }

    #[test]
    fn period_is_read_and_written_and_none_is_left_out() {
        let config = parse(r#""watchdog_ms": 1500"#).unwrap();
        assert_eq!(config.watchdog, Duration::from_millis(1500));
        assert_eq!(ProxyConfig::from_json(&serde_json::to_string(&config.to_json()).unwrap()).unwrap(), config);
        assert_eq!(parse(r#""watchdog_ms": 0"#).unwrap(), ProxyConfig::new(Command::new("a")));
        assert_eq!(parse(r#""watchdog_ms": 31622400000"#).unwrap().watchdog, LONGEST_PERIOD);
    }

    #[test]
    fn wrong_period_and_variables_that_the_watchdog_sets_are_refused_and_the_field_named() {
        let cases = [
            (
                r#""watchdog_ms": -1"#,
                "watchdog_ms: expected milliseconds, a whole number from 0 to 31622400000, got -1",
            ),
            (
                r#""watchdog_ms": 31622400001"#,
                "watchdog_ms: expected milliseconds, a whole number from 0 to 31622400000, got",
            ),
            (
                r#""watchdog_ms": "1s""#,
                "watchdog_ms: expected milliseconds, a whole number from 0 to 31622400000, got a string",
            ),
            (r#""mode": "noop", "watchdog_ms": 1"#, r#"watchdog_ms: expected 0 for the mode "noop""#),
            (
                r#""watchdog_ms": 1, "env": ["WATCHDOG_PID=1"]"#,
                "env: expected no variable that watchdog_ms sets, got WATCHDOG_PID",
            ),
            (
                r#""watchdog_ms": 1, "unset_env": ["NOTIFY_SOCKET"]"#,
                "unset_env: expected no variable that watchdog_ms sets, got NOTIFY_SOCKET",
            ),
        ];
        for (fields, expected) in cases {
            let error = parse(fields).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{fields}: {error}");
        }
        assert!(parse(r#""env": ["WATCHDOG_PID=1"], "unset_env": ["NOTIFY_SOCKET"]"#).is_ok());
        for (period, got) in [(Duration::from_micros(500), "got 0.5"), (Duration::MAX, "got 1844")] {
            let config = ProxyConfig::new(Command::new("a")).with_watchdog(period);
            let error = config.validate().unwrap_err().to_string();
            assert!(error.starts_with("watchdog_ms: expected milliseconds") && error.contains(got), "{error}");
        }
    }

    #[test]
    fn another_period_takes_another_process() {
        let with = |period| ProxyConfig::new(Command::new("a")).with_watchdog(Duration::from_micros(period));
        assert!(with(1000).same_process(&with(1999)), "a period has whole milliseconds");
        assert!(!with(1000).same_process(&with(2000)) && !with(1000).same_process(&with(0)));
    }
}
