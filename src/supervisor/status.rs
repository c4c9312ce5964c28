// SPDX-License-Identifier: MPL-2.0
//! What a proxy is doing, as it is reported to the user.

use std::fmt;
use std::path::PathBuf;
use std::time::Instant;

use serde::{Serialize, Serializer};

use crate::declaration::ExecMode;
use crate::lifecycle::{EndedBy, ProxyState};
use crate::sys::wait::ExitStatus;

/// What a proxy is doing, at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ProxyStatus {
    /// The proxy's id.
    pub id: String,
    /// Its kind.
    #[serde(serialize_with = "as_text")]
    pub mode: ExecMode,
    /// What it is doing.
    pub state: ProxyState,
    /// Its process, while that lives: there is none any more while what it has left is being ended.
    pub pid: Option<u32>,
    /// Whether that process was started by an earlier agent.
    pub adopted: bool,
    /// How many times it was started after its first start or adoption.
    pub restarts: u64,
    /// How its last process ended.
    pub last_exit: Option<ExitStatus>,
    /// Milliseconds until the next start, while it waits for one.
    pub next_start_ms: Option<u64>,
    /// The last thing that went wrong, until the next start goes well. A zombie that this start no longer waited for stays
    /// named until the one after it.
    pub last_error: Option<String>,
    /// Living processes that it may have left, and that are not proven to be its own: they were not signalled.
    pub unproven: Vec<UnprovenProcess>,
    /// Advice about its declaration, in one sentence, when its exits suggest that the program puts itself into the
    /// background.
    pub hint: Option<String>,
    /// Whether it is ready: it runs, and if its declaration says when it is ready, it was so since its last start. It is not
    /// while it says that it reloads or stops (`RELOADING=1`, `STOPPING=1`).
    pub ready: bool,
    /// Which start of the proxy its process comes from, or its last one: 1 for the first, one more for each process that was
    /// started since. It goes on with the next agent, and begins anew only where no record is left of the last process.
    /// Absent before the first start, and for a process that an earlier version of the library started.
    pub generation: Option<u64>,
    /// What its process says of itself (`STATUS=`, sd_notify(3)), in one line of at most 512 bytes; only where it has a
    /// socket for notifications: by [`Ready::Notify`](crate::Ready::Notify), or the `watchdog` or `fd_store_max` of its
    /// [`ProxyConfig`](crate::ProxyConfig).
    pub status_text: Option<String>,
    /// The other generation during a handover ([`Replace::Overlap`](crate::Replace::Overlap)): the next one, which is not
    /// ready, or the predecessor, which is ending.
    pub other: Option<OtherGeneration>,
    /// Milliseconds that it has been in its state. Absent of a kind that the agent registered.
    pub state_ms: Option<u64>,
    /// Milliseconds since its process was started, by this agent or an earlier one, while that lives; absent where its start is
    /// not known.
    pub uptime_ms: Option<u64>,
    /// What made its last process end.
    pub last_exit_by: Option<EndedBy>,
    /// The last lines that this process wrote to its standard error, at most 10 of them and at most 4096 bytes; empty lines are
    /// left out, and control characters replaced. Empty when it was ended by a stop, when it wrote none or not to a log, and
    /// until they are read, a moment after the end. Of an adopted process they can be those of a process
    /// before it, if it has written few. In a handover, what either generation has written.
    pub last_stderr: Vec<String>,
    /// The file that its standard output goes to.
    #[serde(serialize_with = "as_lossy_text")]
    pub stdout_log: Option<PathBuf>,
    /// The file that its standard error goes to.
    #[serde(serialize_with = "as_lossy_text")]
    pub stderr_log: Option<PathBuf>,
}

/// The generation of a proxy that is not the one which serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OtherGeneration {
    /// Which start of the proxy its process comes from, or its last one: greater than [`ProxyStatus::generation`] for the next
    /// one, smaller for the predecessor. Absent before the first start of the next one, and for a process that an earlier
    /// version of the library started.
    pub generation: Option<u64>,
    /// What it is doing. A next one is `Waiting` after a failure, and until it is its turn
    /// ([`ManagerOptions::max_handovers`](crate::ManagerOptions::max_handovers)).
    pub state: ProxyState,
    /// Its process, while that lives.
    pub pid: Option<u32>,
    /// The last thing that went wrong with it.
    pub last_error: Option<String>,
}

impl fmt::Display for OtherGeneration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.generation {
            Some(generation) => write!(f, "generation {generation}: {}", self.state)?,
            None => write!(f, "the other process: {}", self.state)?,
        }
        self.pid.iter().try_for_each(|pid| write!(f, ", pid {pid}"))?;
        self.last_error.iter().try_for_each(|error| write!(f, ", last error: {error}"))
    }
}

/// A process that may be of a proxy, which nothing proves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UnprovenProcess {
    /// Its pid.
    pub pid: u32,
    /// The name of its program, as ps(1) shows it.
    pub program: String,
    /// Why it may be of the proxy.
    pub why: String,
}

impl fmt::Display for UnprovenProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {} ({}: {})", self.pid, self.program, self.why)
    }
}

impl ProxyStatus {
    pub(crate) fn new(id: &str, mode: &ExecMode, state: ProxyState) -> ProxyStatus {
        ProxyStatus {
            id: id.to_owned(),
            mode: mode.clone(),
            state,
            pid: None,
            adopted: false,
            restarts: 0,
            last_exit: None,
            next_start_ms: None,
            last_error: None,
            unproven: Vec::new(),
            hint: None,
            ready: state == ProxyState::Running,
            generation: None,
            status_text: None,
            other: None,
            state_ms: None,
            uptime_ms: None,
            last_exit_by: None,
            last_stderr: Vec::new(),
            stdout_log: None,
            stderr_log: None,
        }
    }
}

/// Milliseconds from now to an instant, rounded up so that a wait is not over at 0.
pub(super) fn milliseconds_until(instant: Instant) -> u64 {
    let left = instant.saturating_duration_since(Instant::now());
    u64::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// Milliseconds from an instant to now.
pub(super) fn milliseconds_since(instant: Instant) -> u64 {
    u64::try_from(instant.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// JSON has no strings but of Unicode.
fn as_lossy_text<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| path.to_string_lossy()).serialize(serializer)
}

fn as_text<S: Serializer>(mode: &ExecMode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(mode.as_str())
}
