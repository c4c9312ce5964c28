// SPDX-License-Identifier: MPL-2.0
//! How a process is stopped.

use std::time::Duration;

use crate::defaults;
use crate::sys::signal::Signal;

/// How a proxy is stopped: the signal goes to its whole process group, and what is left when the grace period ends is
/// killed. Changing it needs no new process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopSettings {
    /// The signal that asks the process to end (default SIGINT, as in the original).
    pub signal: Signal,
    /// How long it may take (default 5 s). With [`Duration::MAX`] as long as it likes: it is never killed. JSON has no
    /// longer one than a year, which is what a snapshot says of those that are.
    pub grace_period: Duration,
    /// How long what a process that ended by itself has left may take to obey the signal, before the restart (default
    /// none: it is killed at once). It makes no difference with which status it ended, or whether an agent was there to see
    /// it. A crash is not a stop, and nothing runs while it lasts; a stop that comes meanwhile has its own grace period.
    pub leftover_grace: Duration,
}

impl Default for StopSettings {
    fn default() -> Self {
        StopSettings {
            signal: Signal::INT,
            grace_period: defaults::DAEMON_GRACE_PERIOD,
            leftover_grace: defaults::DAEMON_LEFTOVER_GRACE,
        }
    }
}
