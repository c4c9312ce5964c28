// SPDX-License-Identifier: MPL-2.0
//! How a process is replaced by the next generation of its proxy.

use serde_json::Value;

use super::fields::Fields;
use crate::error::Result;

/// How a process is replaced, after a change of its declaration or by [`Manager::restart`](crate::Manager::restart).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Replace {
    /// The next process is started after the previous one is gone.
    #[default]
    StopFirst,
    /// The next process is started beside the previous one, which is stopped once the next one is ready. The two must
    /// be able to run at the same time: they use the sockets of [`Listen`](crate::Listen), bind their own with
    /// `SO_REUSEPORT`, or hand them over themselves.
    Overlap,
}

impl Replace {
    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Replace::StopFirst => "stop-first",
            Replace::Overlap => "overlap",
        }
    }

    pub(super) fn read(fields: &mut Fields) -> Result<Replace> {
        let known = |value: &Value| {
            [Replace::StopFirst, Replace::Overlap].into_iter().find(|replace| value.as_str() == Some(replace.as_str()))
        };
        Ok(fields.read("replace", "\"stop-first\" or \"overlap\"", known)?.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declaration::ProxyConfig;

    fn parse(replace: &str) -> Result<ProxyConfig> {
        ProxyConfig::from_json(&format!(r#"{{"command": ["/bin/a"], "replace": {replace}}}"#))
    }

    #[test]
    fn way_of_replacement_is_read_and_written_and_makes_no_other_process() {
        for (text, replace) in [("null", Replace::StopFirst), (r#""stop-first""#, Replace::StopFirst)] {
            let config = parse(text).unwrap();
            assert_eq!((config.replace, config.to_json().get("replace")), (replace, None));
        }
        let config = parse(r#""overlap""#).unwrap();
        assert_eq!(config.replace, Replace::Overlap);
        assert_eq!(config.to_json()["replace"], "overlap");
        assert!(config.same_process(&parse("null").unwrap()));
    }

    #[test]
    fn unknown_value_and_contradiction_are_refused_and_the_field_named() {
        let wanted = "replace: expected \"stop-first\" or \"overlap\"";
        for text in [r#""Overlap""#, r#""rolling""#, "true", "1", "{}", "[\"overlap\"]"] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with(wanted), "{error}");
        }
        let error = ProxyConfig::from_json(r#"{"mode": "noop", "replace": "overlap"}"#).unwrap_err().to_string();
        assert!(error.starts_with("replace: expected \"stop-first\" for the mode \"noop\""), "{error}");
    }
}
