// SPDX-License-Identifier: MPL-2.0
//! What made a process end.

use std::fmt;

use serde::Serialize;

/// What made a process end: the process itself, or the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EndedBy {
    /// Nothing that the library did: it exited or crashed, or something else killed it.
    Itself,
    /// A stop, or its replacement.
    Stop,
    /// It was stopped because it was not ready within its [`ProxyConfig::start_timeout`](crate::ProxyConfig).
    NotReady,
    /// Its watchdog expired ([`ProxyConfig::watchdog`](crate::ProxyConfig)).
    Watchdog,
}

impl EndedBy {
    /// `itself`, `stop`, `not-ready` or `watchdog`.
    pub fn as_str(self) -> &'static str {
        match self {
            EndedBy::Itself => "itself",
            EndedBy::Stop => "stop",
            EndedBy::NotReady => "not-ready",
            EndedBy::Watchdog => "watchdog",
        }
    }
}

impl fmt::Display for EndedBy {
    /// The name, as [`EndedBy::as_str`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_json_form() {
        for by in [EndedBy::Itself, EndedBy::Stop, EndedBy::NotReady, EndedBy::Watchdog] {
            assert_eq!(serde_json::to_string(&by).unwrap(), format!("\"{by}\""));
        }
    }
}
