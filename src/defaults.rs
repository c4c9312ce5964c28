// SPDX-License-Identifier: MPL-2.0
//! Every constant of the original package, with its unit and its reason, and the few that this library adds.
//!
//! They are defaults: each can be changed per manager ([`ManagerOptions`](crate::ManagerOptions)) or per proxy
//! ([`RestartSettings`](crate::RestartSettings), [`StopSettings`](crate::StopSettings)).

use std::time::Duration;

/// How long a process must have run before a new exit counts as the first failure again (`DaemonRestartHealthy`).
pub const DAEMON_RESTART_HEALTHY: Duration = Duration::from_secs(10);

/// How many restarts in a row are made without waiting (`DaemonRestartBackoffMin`).
pub const DAEMON_RESTART_BACKOFF_MIN: u32 = 3;

/// The longest wait between two attempts (`DaemonRestartMaxWait`).
pub const DAEMON_RESTART_MAX_WAIT: Duration = Duration::from_secs(60);

/// Jitter of the restart wait: the random fraction of it. The original has none.
pub const DAEMON_RESTART_JITTER: f64 = 0.0;

/// The time between the stop signal and SIGKILL; the original's fixed 5 s.
pub const DAEMON_GRACE_PERIOD: Duration = Duration::from_secs(5);

/// When a process crashed: the time between the stop signal to the processes left in its group and SIGKILL. Zero,
/// because a restart waits for it.
pub const DAEMON_LEFTOVER_GRACE: Duration = Duration::ZERO;

/// How long a process may take to become ready, if its declaration has a readiness check, before it is stopped; the
/// default of systemd (`DefaultTimeoutStartSec`).
pub const START_TIMEOUT: Duration = Duration::from_secs(90);

/// The backlog of a declared socket: how many connections may wait to be accepted; the kernel's own limit since Linux
/// 5.4 (`net.core.somaxconn`).
pub const LISTEN_BACKLOG: u32 = 4096;

/// How long a command that reloads a proxy may take before it is killed.
pub(crate) const RELOAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a command that checks readiness may take, unless the declaration says otherwise.
pub(crate) const READY_COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// A sync begins at the latest this long after the first unsynced change (`ManagerCoalescePeriod`).
pub const MANAGER_COALESCE_PERIOD: Duration = Duration::from_secs(5);

/// A sync begins once nothing changed for this long (`ManagerQuiescentPeriod`).
pub const MANAGER_QUIESCENT_PERIOD: Duration = Duration::from_millis(500);

/// The snapshot is rewritten at most once in this period, and only if it changed (`ManagerSnapshotPeriod`).
pub const MANAGER_SNAPSHOT_PERIOD: Duration = Duration::from_secs(1);

/// How many lifecycle events a manager keeps for readers that fell behind; older events become a gap.
pub const EVENT_CAPACITY: usize = 1024;

/// How many log lines are kept for each reader ([`Logs`](crate::Logs)); a line then says how many older ones are lost.
pub const LOG_CAPACITY: usize = 1024;

/// The longest period that is accepted in a document, a year: a longer one is taken for a wrong unit. It is also what
/// is written for a longer period that Rust code declares.
pub(crate) const LONGEST_PERIOD: Duration = Duration::from_secs(366 * 24 * 3600);

/// The largest number of failures after which a proxy is given up: each one is remembered.
pub(crate) const MOST_FAILURES: u32 = 1000;

/// The most handovers at a time: a number above that of possible processes is a mistake.
pub(crate) const MOST_HANDOVERS: usize = 1 << 20;

/// The most steps of a stop: more is a mistake, and all of them are stored in the record of each process.
pub(crate) const MAX_STOP_STEPS: usize = 16;

/// The environment variable with the proxy's id (`EnvProxyID`).
pub const ENV_PROXY_ID: &str = "CONNECT_PROXY_ID";

/// The environment variable with the proxy's token (`EnvProxyToken`).
pub const ENV_PROXY_TOKEN: &str = "CONNECT_PROXY_TOKEN";

/// The environment variable that identifies the data directory of a process or, without one, its manager or daemon.
pub const ENV_PROXY_ORIGIN: &str = "CONNECT_PROXY_ORIGIN";

/// The environment variable with the generation of a process: which start of its proxy it comes from.
pub const ENV_PROXY_GENERATION: &str = "CONNECT_PROXY_GENERATION";

/// The environment variable with the epoch of a process: one more than that of the process of its proxy beside which it
/// was started, and 0 if there was none.
pub const ENV_PROXY_EPOCH: &str = "CONNECT_PROXY_EPOCH";

/// The environment variable with the id of the service that a sidecar serves (`EnvSidecarFor`).
pub const ENV_SIDECAR_FOR: &str = "CONNECT_SIDECAR_FOR";

/// The variables that the library sets; a declaration must not set them.
pub(crate) const OWN_VARIABLES: [&str; 6] =
    [ENV_PROXY_EPOCH, ENV_PROXY_GENERATION, ENV_PROXY_ID, ENV_PROXY_ORIGIN, ENV_PROXY_TOKEN, ENV_SIDECAR_FOR];

/// The environment variable that names the notification socket of a process (sd_notify(3)).
pub(crate) const ENV_NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// The watchdog period in microseconds, and the pid of the process that must feed the watchdog
/// (sd_watchdog_enabled(3)).
pub(crate) const ENV_WATCHDOG_USEC: &str = "WATCHDOG_USEC";
pub(crate) const ENV_WATCHDOG_PID: &str = "WATCHDOG_PID";

/// The number of passed sockets, their names, and the pid of the process that gets them (sd_listen_fds(3)).
pub(crate) const ENV_LISTEN_FDS: &str = "LISTEN_FDS";
pub(crate) const ENV_LISTEN_FDNAMES: &str = "LISTEN_FDNAMES";
pub(crate) const ENV_LISTEN_PID: &str = "LISTEN_PID";

/// How many descriptors a process can store (systemd.exec(5)).
pub(crate) const ENV_FDSTORE: &str = "FDSTORE";

/// The variables of the agent's environment that no process inherits, because they are addressed to the agent itself:
/// what a service manager tells a service about its notifications, watchdog, sockets, identity, log and credentials
/// (systemd.exec(5), sd_notify(3), sd_listen_fds(3), sd_pidfd_get_inode_id(3)). A proxy that had them could act in the
/// agent's name. They can be declared.
///
/// Variables about the unit as a whole are inherited, such as `STATE_DIRECTORY` and `MEMORY_PRESSURE_WATCH`.
pub const HOST_VARIABLES: [&str; 17] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "FDSTORE",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PID",
    "LISTEN_PIDFDID",
    "MAINPID",
    "MAINPIDFDID",
    "MANAGERPID",
    "MANAGERPIDFDID",
    "SYSTEMD_EXEC_PID",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "CREDENTIALS_DIRECTORY",
    "PIDFILE",
];

/// How long a process may survive SIGKILL before a stop reports it. Only a process in an uninterruptible system call,
/// or one that the agent may not signal, ever takes this long.
pub(crate) const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// After this long without an answer of the user database to one start, other starts that need it fail and are tried
/// again. Only a database on another machine takes longer, usually one that is unreachable.
pub(crate) const LOOKUP_PATIENCE: Duration = Duration::from_secs(1);

/// How long a start waits for the zombies of the previous process to be reaped by their parents. An init does so within
/// milliseconds; a parent that has not done it by then may never do it.
pub(crate) const REAP_WAIT: Duration = Duration::from_secs(2);

/// How long the next process of a handover runs before it is first probed: most programs that end because of a mistake
/// in their configuration have ended by then.
pub(crate) const NEXT_IS_PROBED_AFTER: Duration = Duration::from_secs(1);

/// A process that ended within this time may have put itself into the background.
pub(crate) const BACKGROUND_WITHIN: Duration = Duration::from_secs(2);

/// The longest time that a start waits for a living process that is in the session of the previous process but not
/// proven to belong to it. Twice the usual grace period: most programs that can end by themselves have ended by then.
pub(crate) const HELD_START: Duration = Duration::from_secs(10);

/// How often such a process is checked.
pub(crate) const HELD_START_INTERVAL: Duration = Duration::from_millis(100);

/// The shortest wait after a start that failed before the program was executed (missing binary, process limit reached):
/// trying again in the same millisecond would only burn CPU while resources are short.
pub(crate) const FAILED_START_WAIT: Duration = Duration::from_secs(1);

/// The same if `max_wait` is shorter: whatever is declared, a start that fails at once must not become a busy loop.
pub(crate) const FAILED_START_PAUSE: Duration = Duration::from_millis(10);

/// The first wait before a file that could not be written or removed is tried again; each later one doubles it.
pub(crate) const REPAIR_WAIT: Duration = Duration::from_secs(1);

/// The first wait of the backoff; each later one doubles it (2 s, 4 s, 8 s, as in the original).
pub(crate) const BACKOFF_BASE: Duration = Duration::from_secs(2);

/// How long a new manager waits for the lock of its data directory while the holder is alive: it may be exiting.
pub(crate) const LOCK_PATIENCE: Duration = Duration::from_secs(1);

/// The same if the holder is gone, and a child that it was starting still has the lock.
pub(crate) const ORPHANED_LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// The largest process record or pid file that is read. A record contains an id and a token, which is an environment
/// variable: the kernel limits one to 128 KiB, and JSON needs at most six bytes for each byte.
pub(crate) const MAX_RECORD: u64 = 1024 * 1024;
/// The most bytes in a record for the commands of a stop: with more, the record could be too large to be read, and the
/// process be lost.
pub(crate) const MAX_RECORDED_COMMANDS: usize = 128 * 1024;

/// The largest snapshot that is read, and therefore written: a kilobyte for each of a quarter of a million proxies. A
/// larger one is not read into memory.
pub(crate) const MAX_SNAPSHOT: u64 = 256 * 1024 * 1024;

/// How many damaged files of one name are set aside. More would only fill the disk of an agent that restarts
/// repeatedly; the first ones show how it began.
pub(crate) const MAX_SET_ASIDE: u32 = 8;

/// How many unusable entries are named; the others, which may be a million, are only counted.
pub(crate) const MAX_REFUSED_NAMED: usize = 16;

/// The longest id, in bytes. A longer one would not fit into the paths of the files that are named after it.
pub(crate) const MAX_ID_BYTES: usize = 1024;

/// The smallest limit of a log: whole blocks of the file system are removed at a time, which may have 64 KiB, together
/// with the part that contains the end of a line.
pub(crate) const MIN_LOG_LIMIT: u64 = 64 * 1024;

/// The largest limit of a log: no file system has files of this size.
pub(crate) const MAX_LOG_LIMIT: u64 = 1 << 50;

/// The most files with older lines that are kept beside a log.
pub(crate) const MAX_OLD_LOGS: u32 = 99;

/// How long a process is waited for that has ended and still counts, before its cgroup can be removed.
pub(crate) const CGROUP_REMOVAL_PATIENCE: Duration = Duration::from_millis(100);
