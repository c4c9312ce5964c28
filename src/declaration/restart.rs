// SPDX-License-Identifier: MPL-2.0
//! How a proxy is restarted: the JSON form, and what can never work.

use std::time::Duration;

use serde_json::{Value, json};

use super::fields::{Fields, invalid, milliseconds};
use super::{ExecMode, ProxyConfig};
use crate::defaults::{LONGEST_PERIOD, MOST_FAILURES};
use crate::error::Result;
use crate::lifecycle::{GiveUpAfter, RestartSettings, RestartWhen};

const POLICY: &str = "\"always\", \"on-failure\" or \"never\"";

/// Reads the object; what is absent stays as it is.
pub(super) fn read(mut fields: Fields, restart: &mut RestartSettings) -> Result<()> {
    restart.healthy_after = fields.milliseconds("healthy_after_ms")?.unwrap_or(restart.healthy_after);
    restart.attempts_before_backoff =
        fields.unsigned("attempts_before_backoff")?.unwrap_or(restart.attempts_before_backoff);
    restart.max_wait = fields.milliseconds("max_wait_ms")?.unwrap_or(restart.max_wait);
    restart.jitter = fields.number("jitter")?.unwrap_or(restart.jitter);
    let known = |value: &Value| RestartWhen::ALL.into_iter().find(|policy| value.as_str() == Some(policy.as_str()));
    restart.policy = fields.read("policy", POLICY, known)?.unwrap_or(restart.policy);
    restart.give_up_after = fields.object("give_up_after")?.map(read_give_up).transpose()?;
    fields.finish()
}

fn read_give_up(mut fields: Fields) -> Result<GiveUpAfter> {
    let no_failures = fields.missing("failures", &failures());
    let no_period = fields.missing("within_ms", "milliseconds");
    let (failures, within) = (fields.unsigned("failures")?, fields.milliseconds("within_ms")?);
    fields.finish()?;
    Ok(GiveUpAfter::new(failures.ok_or(no_failures)?, within.ok_or(no_period)?))
}

fn failures() -> String {
    format!("a whole number from 1 to {MOST_FAILURES}")
}

/// The object that [`read`] reads.
pub(super) fn to_json(restart: &RestartSettings) -> Value {
    let mut object = json!({
        "healthy_after_ms": milliseconds(restart.healthy_after),
        "attempts_before_backoff": restart.attempts_before_backoff,
        "max_wait_ms": milliseconds(restart.max_wait),
        "jitter": restart.jitter,
    });
    if restart.policy != RestartWhen::Always {
        object["policy"] = restart.policy.as_str().into();
    }
    if let Some(limit) = restart.give_up_after {
        object["give_up_after"] = json!({"failures": limit.failures, "within_ms": milliseconds(limit.within)});
    }
    object
}

impl ProxyConfig {
    pub(super) fn validate_restart(&self) -> Result<()> {
        let RestartSettings { jitter, policy, give_up_after, .. } = self.restart;
        if !(0.0..=1.0).contains(&jitter) {
            return Err(invalid(format!("restart.jitter: expected a number from 0 to 1, got {jitter}")));
        }
        let is_daemon = self.mode == ExecMode::DAEMON;
        if !is_daemon && policy != RestartWhen::Always {
            return Err(invalid(format!("restart.policy: expected \"always\" for the mode \"{}\"", self.mode)));
        }
        let Some(GiveUpAfter { failures, within }) = give_up_after else { return Ok(()) };
        if !is_daemon {
            return Err(invalid(format!("restart.give_up_after: expected none for the mode \"{}\"", self.mode)));
        }
        if !(1..=MOST_FAILURES).contains(&failures) {
            let wanted = self::failures();
            return Err(invalid(format!("restart.give_up_after.failures: expected {wanted}, got {failures}")));
        }
        if within < Duration::from_millis(1) || within > LONGEST_PERIOD {
            let (most, got) = (LONGEST_PERIOD.as_millis(), within.as_secs_f64() * 1000.0);
            let wanted = format!("milliseconds, a whole number from 1 to {most}");
            return Err(invalid(format!("restart.give_up_after.within_ms: expected {wanted}, got {got}")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;

    fn parse(restart: &str) -> Result<ProxyConfig> {
        ProxyConfig::from_json(&format!(r#"{{"command": ["a"], "restart": {restart}}}"#))
    }

    #[test]
    fn policy_and_limit_are_read_and_written_and_make_no_other_process() {
        let plain = ProxyConfig::new(Command::new("a"));
        assert_eq!(parse(r#"{"policy": "always", "give_up_after": null}"#).unwrap(), plain);
        for policy in RestartWhen::ALL {
            let limit = r#"{"failures": 1000, "within_ms": 31622400000}"#;
            let config = parse(&format!(r#"{{"policy": "{}", "give_up_after": {limit}}}"#, policy.as_str())).unwrap();
            assert_eq!(config.restart.policy, policy);
            assert_eq!(config.restart.give_up_after, Some(GiveUpAfter::new(1000, LONGEST_PERIOD)));
            assert_eq!(ProxyConfig::from_json(&serde_json::to_string(&config.to_json()).unwrap()).unwrap(), config);
            assert!(config.same_process(&plain));
        }
    }

    #[test]
    fn wrong_policies_and_limits_are_refused_and_the_field_named() {
        let cases = [
            (
                r#"{"policy": "Never"}"#,
                "restart.policy: expected \"always\", \"on-failure\" or \"never\", got a string: is \"never\" meant?",
            ),
            (r#"{"policy": false}"#, "restart.policy: expected \"always\", \"on-failure\" or \"never\", got false"),
            (r#"{"give_up_after": 5}"#, "restart.give_up_after: expected an object, got 5"),
            (
                r#"{"give_up_after": {"within_ms": 5}}"#,
                "restart.give_up_after.failures: expected a whole number from 1 to 1000, got nothing",
            ),
            (
                r#"{"give_up_after": {"failures": 5}}"#,
                "restart.give_up_after.within_ms: expected milliseconds, got nothing",
            ),
            (r#"{"give_up_after": {"failures": 5, "within": 5}}"#, "restart.give_up_after.within: unknown field"),
            (
                r#"{"give_up_after": {"failures": 0, "within_ms": 5}}"#,
                "restart.give_up_after.failures: expected a whole number from 1 to 1000, got 0",
            ),
            (
                r#"{"give_up_after": {"failures": 1001, "within_ms": 5}}"#,
                "restart.give_up_after.failures: expected a whole number from 1 to 1000, got 1001",
            ),
            (
                r#"{"give_up_after": {"failures": 5, "within_ms": 0}}"#,
                "restart.give_up_after.within_ms: expected milliseconds, a whole number from 1 to 31622400000, got 0",
            ),
        ];
        for (restart, expected) in cases {
            let error = parse(restart).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{restart}: {error}");
        }
        for (restart, expected) in [
            (r#"{"policy": "never"}"#, "restart.policy: expected \"always\" for the mode \"noop\""),
            (
                r#"{"give_up_after": {"failures": 5, "within_ms": 5}}"#,
                "restart.give_up_after: expected none for the mode \"noop\"",
            ),
        ] {
            let noop = format!(r#"{{"mode": "noop", "restart": {restart}}}"#);
            let error = ProxyConfig::from_json(&noop).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
