// SPDX-License-Identifier: MPL-2.0
//! What a helper process tells its test: one JSON datagram a message. The tests include this file too.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Name of the environment variable with the abstract name of the socket that messages are sent to.
pub(crate) const SOCKET: &str = "HELPER_SOCKET";
/// Name of the environment variable with the directory where a process holds a lock while it lives.
pub(crate) const LOCKS: &str = "HELPER_LOCKS";
/// Name of the environment variable that says that two processes of an id may live at the same time, and no third one.
pub(crate) const OVERLAPS: &str = "HELPER_OVERLAPS";
/// Name of the environment variable with the pid of the test: a process ends when the test is gone.
pub(crate) const WATCH_PID: &str = "HELPER_WATCH_PID";

/// One message, and who sends it. The sender's pidfd comes with the first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Message {
    /// The sender's first argument; `leader` and `grandchild` for the two processes of the role `grandchild`.
    pub(crate) role: String,
    /// The sender's `CONNECT_PROXY_ID`, or nothing.
    pub(crate) id: String,
    pub(crate) pid: u32,
    /// The parent at the first instruction.
    pub(crate) ppid: u32,
    /// The monotonic clock: at the first instruction in a start, now in others.
    pub(crate) at_ns: u64,
    pub(crate) event: Event,
}

/// What happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Event {
    /// The process has taken its role; its signal handlers are in place.
    Started {
        /// Whether another live process holds the lock of this id.
        duplicate: bool,
        inspection: Option<Box<Inspection>>,
    },
    /// A signal was handled, which ends the process unless it is stubborn.
    Signal(String),
}

/// What a process finds itself to be before it has changed anything.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Inspection {
    pub(crate) argv: Vec<String>,
    pub(crate) cwd: String,
    pub(crate) env: BTreeMap<String, String>,
    /// Target of the link in `/proc/self/fd`, by number.
    pub(crate) fds: BTreeMap<u32, String>,
    /// Blocked signals: bit n-1 is signal n.
    pub(crate) blocked: u64,
    /// Ignored signals. Rust's runtime has added SIGPIPE before `main`.
    pub(crate) ignored: u64,
    pub(crate) session: u32,
    pub(crate) group: u32,
    /// Soft and hard RLIMIT_NOFILE; nothing is unlimited.
    pub(crate) descriptors: (Option<u64>, Option<u64>),
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    pub(crate) umask: u32,
    pub(crate) oom_score_adj: i32,
    pub(crate) nice: i32,
    /// Soft and hard RLIMIT_CORE; nothing is unlimited.
    pub(crate) core: (Option<u64>, Option<u64>),
    /// The CPUs on which it may run, as ranges.
    pub(crate) cpus: String,
    pub(crate) no_new_privs: bool,
}
