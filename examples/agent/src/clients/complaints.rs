// SPDX-License-Identifier: MPL-2.0
//! What keeps clients out, said in the log, but not as often as it happens.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::thread;
use std::time::{Duration, Instant};

/// How often the same is said at most.
const PERIOD: Duration = Duration::from_secs(60);

/// The wait after a connection that could not be accepted: most often descriptors are exhausted, and trying again at
/// once would burn CPU until one is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

#[derive(Default)]
pub(crate) struct Complaints {
    last: BTreeMap<&'static str, Instant>,
}

impl Complaints {
    pub(crate) fn say(&mut self, what: &'static str, error: impl Display) {
        if self.last.get(what).is_none_or(|at| at.elapsed() >= PERIOD) {
            self.last.insert(what, Instant::now());
            log::warn!("{what}: {error}; said once a minute at most");
        }
    }

    /// The same of a connection that could not be accepted, and waits until it may be tried again.
    pub(crate) fn not_accepted(&mut self, what: &'static str, error: impl Display) {
        self.say(what, error);
        thread::sleep(ACCEPT_PAUSE);
    }
}
