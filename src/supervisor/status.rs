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
    /// Its process, while that lives; `None` while only its remaining processes are being ended.
    pub pid: Option<u32>,
    /// Whether that process was started by an earlier agent.
    pub adopted: bool,
    /// How many times it was started after its first start or adoption.
    pub restarts: u64,
    /// How its last process ended; in a handover, the last one of either generation. The JSON form has it as text, and as
    /// `last_exit_kind` (`code`, `signal` or `unknown`), `last_exit_value` (the exit code, or the number of the signal) and
    /// `last_exit_core_dumped` (of a signal).
    #[serde(flatten, serialize_with = "as_last_exit")]
    pub last_exit: Option<ExitStatus>,
    /// Milliseconds until the next start, while it waits for one.
    pub next_start_ms: Option<u64>,
    /// The last error, until the next start succeeds. The note about a zombie that this start no longer waited for stays until
    /// the start after it.
    pub last_error: Option<String>,
    /// Living processes that may belong to it, without proof; they were not signalled.
    pub unproven: Vec<UnprovenProcess>,
    /// Advice about its declaration, derived from what happened: an address in use and the process that has it, a program that
    /// seems to put itself into the background, stops that need SIGKILL, exit codes of launchers.
    pub hint: Option<String>,
    /// Whether it is ready: it runs and, if its declaration has a condition for readiness, has met it since its last start. It
    /// is not ready while it reports that it reloads or stops (`RELOADING=1`, `STOPPING=1`).
    pub ready: bool,
    /// The number of the start of its process, or of its last process: 1 for the first start, one more for each later one. The
    /// next agent continues the count; it starts again at 1 only if no record of the last process is left. Absent before the
    /// first start, and for a process that an earlier version of the library started.
    pub generation: Option<u64>,
    /// What its process last reported as `STATUS=` (sd_notify(3)), in one line of at most 512 bytes. Only processes with a
    /// notification socket can report it: with [`Ready::Notify`](crate::Ready::Notify), or the `watchdog` or `fd_store_max`
    /// of [`ProxyConfig`](crate::ProxyConfig). The next agent does not have it.
    pub status_text: Option<String>,
    /// The other generation during a handover ([`Replace::Overlap`](crate::Replace::Overlap)): the next one, which is not
    /// ready, or the predecessor, which is ending.
    pub other: Option<OtherGeneration>,
    /// Milliseconds in its state. Absent for kinds that the agent registered.
    pub state_ms: Option<u64>,
    /// Milliseconds since its living process was started, by this agent or an earlier one; absent if the time of the start is
    /// not known.
    pub uptime_ms: Option<u64>,
    /// What made its last process end. Absent if an earlier agent has recorded the end.
    pub last_exit_by: Option<EndedBy>,
    /// Whether that end was expected: by a stop or a replacement, or by itself in a way that
    /// [`ProxyConfig::expected_exit`](crate::ProxyConfig) names.
    pub last_exit_expected: Option<bool>,
    /// Whether the kernel ended that process, or another process of the proxy before it, because memory ran out. Absent unless
    /// it ended by SIGKILL and the memory of its cgroup is controlled, as with [`CgroupLimits`](crate::CgroupLimits).
    pub last_exit_oom: Option<bool>,
    /// The last lines that this process wrote to its standard error: at most 10 lines and 4096 bytes, without empty lines,
    /// control characters replaced. Empty after a stop, without a log, and for a moment after the end until they are read. For
    /// an adopted process some of them can be those of an earlier process. In a handover, those of the generation that ended
    /// last.
    pub last_stderr: Vec<String>,
    /// The file that its standard output goes to.
    #[serde(serialize_with = "as_lossy_text")]
    pub stdout_log: Option<PathBuf>,
    /// The file that its standard error goes to.
    #[serde(serialize_with = "as_lossy_text")]
    pub stderr_log: Option<PathBuf>,
    /// The directory of the cgroup of its processes, or of its last ones, if it has one of its own
    /// ([`ManagerOptions::cgroup`](crate::ManagerOptions::cgroup)).
    #[serde(serialize_with = "as_lossy_text")]
    pub cgroup: Option<PathBuf>,
}

/// How much of the logs of a proxy is on disk, in bytes, of standard output and of standard error; `None` of what is no file.
pub(crate) type LogSizes = [Option<u64>; 2];

/// The generation of a proxy that is not the serving one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OtherGeneration {
    /// The number of the start of its process, or of its last process: greater than [`ProxyStatus::generation`] for the next
    /// generation, smaller for the predecessor. Absent before the first start of the next one, and for a process that an
    /// earlier version of the library started.
    pub generation: Option<u64>,
    /// What it is doing. A next one is `Waiting` after a failure, and until it is its turn
    /// ([`ManagerOptions::max_handovers`](crate::ManagerOptions::max_handovers)).
    pub state: ProxyState,
    /// Its process, while that lives.
    pub pid: Option<u32>,
    /// Its last error.
    pub last_error: Option<String>,
    /// For a next generation: how many processes were started in this handover to take over, including those of superseded
    /// declarations. 0 for a predecessor.
    pub attempts: u64,
    /// Milliseconds until its next start, while it waits for one.
    pub next_start_ms: Option<u64>,
    /// How its last process ended, in JSON as [`ProxyStatus::last_exit`].
    #[serde(flatten, serialize_with = "as_last_exit")]
    pub last_exit: Option<ExitStatus>,
    /// What made that process end.
    pub last_exit_by: Option<EndedBy>,
    /// Whether that end was expected, as [`ProxyStatus::last_exit_expected`].
    pub last_exit_expected: Option<bool>,
    /// Whether the kernel killed it for lack of memory, as [`ProxyStatus::last_exit_oom`].
    pub last_exit_oom: Option<bool>,
    /// The last lines that this process wrote to its standard error, as [`ProxyStatus::last_stderr`].
    pub last_stderr: Vec<String>,
}

impl OtherGeneration {
    pub(super) fn of(status: ProxyStatus, generation: Option<u64>, attempts: u64) -> OtherGeneration {
        let ProxyStatus { state, pid, last_error, next_start_ms, last_stderr, .. } = status;
        let ProxyStatus { last_exit, last_exit_by, last_exit_expected, last_exit_oom, .. } = status;
        OtherGeneration {
            generation,
            state,
            pid,
            last_error,
            attempts,
            next_start_ms,
            last_exit,
            last_exit_by,
            last_exit_expected,
            last_exit_oom,
            last_stderr,
        }
    }
}

impl fmt::Display for OtherGeneration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.generation {
            Some(generation) => write!(f, "generation {generation}: {}", self.state)?,
            None => write!(f, "the other process: {}", self.state)?,
        }
        self.pid.iter().try_for_each(|pid| write!(f, ", pid {pid}"))?;
        self.next_start_ms.iter().try_for_each(|wait| write!(f, ", next start in {wait} ms"))?;
        self.last_exit.iter().try_for_each(|exit| write!(f, ", last exit: {exit}"))?;
        self.last_stderr.last().iter().try_for_each(|line| write!(f, ", last line: {}", line.escape_debug()))?;
        self.last_error.iter().try_for_each(|error| write!(f, ", last error: {error}"))
    }
}

/// A process that may belong to a proxy, without proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UnprovenProcess {
    /// Its pid.
    pub pid: u32,
    /// The name of its program, as ps(1) shows it.
    pub program: String,
    /// Why it may belong to the proxy.
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
            last_exit_expected: None,
            last_exit_oom: None,
            last_stderr: Vec::new(),
            stdout_log: None,
            stderr_log: None,
            cgroup: None,
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

/// The text for people, and beside it what it consists of.
fn as_last_exit<S: Serializer>(exit: &Option<ExitStatus>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct LastExit {
        last_exit: Option<ExitStatus>,
        last_exit_kind: Option<&'static str>,
        last_exit_value: Option<i32>,
        last_exit_core_dumped: Option<bool>,
    }
    let (last_exit_kind, last_exit_value, last_exit_core_dumped) = match *exit {
        None => (None, None, None),
        Some(ExitStatus::Exited(code)) => (Some("code"), Some(code), None),
        Some(ExitStatus::Signaled { signal, core_dumped }) => (Some("signal"), Some(signal), Some(core_dumped)),
        Some(ExitStatus::Unknown) => (Some("unknown"), None, None),
    };
    LastExit { last_exit: *exit, last_exit_kind, last_exit_value, last_exit_core_dumped }.serialize(serializer)
}

fn as_text<S: Serializer>(mode: &ExecMode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(mode.as_str())
}
