// SPDX-License-Identifier: MPL-2.0
//! How many descriptors of a proxy are kept for its next process, as it is declared.

use super::fields::invalid;
use super::{ExecMode, ProxyConfig};
use crate::error::Result;

/// With the sockets of `listen` they have numbers below 1024, the usual soft limit of an agent, which a child has until its own
/// is set.
pub(super) const MOST_STORED: u32 = 512;

impl ProxyConfig {
    /// Whether it has sockets, or may hand some over.
    pub(crate) fn may_have_sockets(&self) -> bool {
        !self.listen.is_empty() || self.fd_store_max > 0
    }

    pub(super) fn validate_fd_store(&self) -> Result<()> {
        if self.fd_store_max == 0 {
            return Ok(());
        }
        if self.mode != ExecMode::DAEMON {
            return Err(invalid(format!("fd_store_max: expected 0 for the mode \"{}\"", self.mode)));
        }
        if self.fd_store_max > MOST_STORED {
            let got = self.fd_store_max;
            return Err(invalid(format!("fd_store_max: expected a number from 0 to {MOST_STORED}, got {got}")));
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
    fn limit_is_read_and_written_and_none_is_left_out() {
        let config = parse(r#""fd_store_max": 512"#).unwrap();
        assert_eq!(config.fd_store_max, 512);
        assert_eq!(ProxyConfig::from_json(&serde_json::to_string(&config.to_json()).unwrap()).unwrap(), config);
        assert_eq!(parse(r#""fd_store_max": 0"#).unwrap(), ProxyConfig::new(Command::new("a")));
        assert!(config.takes_notifications() && config.may_have_sockets());
        assert!(!config.same_process(&parse(r#""fd_store_max": 511"#).unwrap()), "it finds the limit in FDSTORE");
    }

    #[test]
    fn wrong_limit_and_variables_that_it_sets_are_refused_and_the_field_named() {
        let cases = [
            (r#""fd_store_max": 513"#, "fd_store_max: expected a number from 0 to 512, got 513"),
            (r#""fd_store_max": -1"#, "fd_store_max: expected a whole number from 0 to 4294967295, got -1"),
            (r#""mode": "noop", "fd_store_max": 1"#, r#"fd_store_max: expected 0 for the mode "noop""#),
            (
                r#""fd_store_max": 1, "env": ["LISTEN_FDS=1"]"#,
                "env: expected no variable that fd_store_max sets, got LISTEN_FDS",
            ),
            (
                r#""fd_store_max": 1, "unset_env": ["FDSTORE"]"#,
                "unset_env: expected no variable that fd_store_max sets, got FDSTORE",
            ),
            (
                r#""fd_store_max": 2, "listen": ["tcp:127.0.0.1:1"], "ready": {"fd": 5}"#,
                "ready.fd: expected a number from 6 on, got 5: those of listen and fd_store_max are below 6",
            ),
        ];
        for (fields, expected) in cases {
            assert_eq!(parse(fields).unwrap_err().to_string(), expected, "{fields}");
        }
        assert!(parse(r#""fd_store_max": 2, "listen": ["tcp:127.0.0.1:1"], "ready": {"fd": 6}"#).is_ok());
        assert!(parse(r#""env": ["FDSTORE=1"], "unset_env": ["LISTEN_FDS"]"#).is_ok());
    }
}
