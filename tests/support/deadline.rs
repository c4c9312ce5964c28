// SPDX-License-Identifier: MPL-2.0
//! The only use of the clock: to fail a test that waits in vain.

use std::time::{Duration, Instant};

/// How long anything may take before the test fails. Nothing that works comes near it, also on a loaded machine; tests that
/// are built for an emulator have more seconds: PROXYPROCESS_WATCHDOG.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(match option_env!("PROXYPROCESS_WATCHDOG") {
    Some(seconds) => match u64::from_str_radix(seconds, 10) {
        Ok(seconds) => seconds,
        Err(_) => panic!("PROXYPROCESS_WATCHDOG is no number of seconds"),
    },
    None => 30,
});

/// Waits until this holds, asking again and again: of what no event tells.
#[track_caller]
pub(crate) fn until(what: impl Into<String>, holds: impl Fn() -> bool) {
    let deadline = Deadline::of(what);
    while !holds() {
        deadline.left();
        std::thread::yield_now();
    }
}

/// The time left to wait for one thing.
#[derive(Debug)]
pub(crate) struct Deadline {
    at: Instant,
    what: String,
}

impl Deadline {
    /// Begins to wait for `what`.
    pub(crate) fn of(what: impl Into<String>) -> Deadline {
        Deadline { at: Instant::now() + WATCHDOG, what: what.into() }
    }

    /// What is left of it.
    ///
    /// # Panics
    /// When nothing is left.
    #[track_caller]
    pub(crate) fn left(&self) -> Duration {
        let left = self.at.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "waited {WATCHDOG:?} in vain for {}", self.what);
        left
    }

    /// Whether nothing is left, for a test that has more to say then.
    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.at
    }
}
