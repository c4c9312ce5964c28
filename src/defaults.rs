// SPDX-License-Identifier: MPL-2.0
//! Every constant of the original package, with its unit and its reason, and the few that this library adds.
//!
//! They are defaults: each can be changed per manager ([`ManagerOptions`](crate::ManagerOptions)) or per proxy
//! ([`RestartSettings`](crate::RestartSettings), [`StopSettings`](crate::StopSettings)).

use std::time::Duration;

/// How long a process must have run before a new exit counts as the first failure again (`DaemonRestartHealthy`).
pub const DAEMON_RESTART_HEALTHY: Duration = Duration::from_secs(10);

/// How many restarts in a row are made at once, before waiting begins (`DaemonRestartBackoffMin`).
pub const DAEMON_RESTART_BACKOFF_MIN: u32 = 3;

/// The longest wait between two attempts (`DaemonRestartMaxWait`).
pub const DAEMON_RESTART_MAX_WAIT: Duration = Duration::from_secs(60);

/// Jitter of the restart wait, as the fraction of it that is left to chance. The original has none.
pub const DAEMON_RESTART_JITTER: f64 = 0.0;

/// How long a process may take to obey the stop signal before it is killed; the original's fixed 5 s.
pub const DAEMON_GRACE_PERIOD: Duration = Duration::from_secs(5);

/// How long what a crashed process left of its group may take to obey the stop signal before it is killed: no time,
/// because a restart waits for it.
pub const DAEMON_LEFTOVER_GRACE: Duration = Duration::ZERO;

/// How long a process may take to become ready, where its declaration says when it is, before it is stopped; that of systemd
/// (`DefaultTimeoutStartSec`).
pub const START_TIMEOUT: Duration = Duration::from_secs(90);

/// How many connections may wait at a socket of a declaration that are not accepted yet: the kernel's own limit since Linux
/// 5.4 (`net.core.somaxconn`).
pub const LISTEN_BACKLOG: u32 = 4096;

/// How long a command that reloads a proxy may take before it is killed.
pub(crate) const RELOAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a command that finds out whether a process is ready may take, unless the declaration says otherwise.
pub(crate) const READY_COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// The sync is made at the latest this long after the first unsynced change (`ManagerCoalescePeriod`).
pub const MANAGER_COALESCE_PERIOD: Duration = Duration::from_secs(5);

/// The sync is made once nothing changed for this long (`ManagerQuiescentPeriod`).
pub const MANAGER_QUIESCENT_PERIOD: Duration = Duration::from_millis(500);

/// The snapshot is rewritten at most once in this period, and only if it changed (`ManagerSnapshotPeriod`).
pub const MANAGER_SNAPSHOT_PERIOD: Duration = Duration::from_secs(1);

/// How many lifecycle events a manager keeps for readers that fell behind; older ones become an explicit gap.
pub const EVENT_CAPACITY: usize = 1024;

/// How many lines of the log are kept for each reader of them ([`Logs`](crate::Logs)); a line then says how many older ones
/// are lost.
pub const LOG_CAPACITY: usize = 1024;

/// The longest period that is read from a document, a year: more is a mistake of the unit. Written for longer ones, which
/// Rust code may declare.
pub(crate) const LONGEST_PERIOD: Duration = Duration::from_secs(366 * 24 * 3600);

/// The most failures after which a proxy is given up: more would be remembered one by one.
pub(crate) const MOST_FAILURES: u32 = 1000;

/// The most handovers at a time: more than there can be processes is a mistake.
pub(crate) const MOST_HANDOVERS: usize = 1 << 20;

/// The most steps of a stop: more is a mistake, and all of them are in the record of each process.
pub(crate) const MAX_STOP_STEPS: usize = 16;

/// Name of the environment variable that holds the proxy's id (`EnvProxyID`).
pub const ENV_PROXY_ID: &str = "CONNECT_PROXY_ID";

/// Name of the environment variable that holds the proxy's token (`EnvProxyToken`).
pub const ENV_PROXY_TOKEN: &str = "CONNECT_PROXY_TOKEN";

/// Name of the environment variable that holds which data directory, or else which manager or daemon, a process is of.
pub const ENV_PROXY_ORIGIN: &str = "CONNECT_PROXY_ORIGIN";

/// Name of the environment variable that holds the generation of a process: which of the starts of its proxy it comes from.
pub const ENV_PROXY_GENERATION: &str = "CONNECT_PROXY_GENERATION";

/// Name of the environment variable that holds the epoch of a process: one more than that of the process of its proxy beside
/// which it was started, and 0 without any.
pub const ENV_PROXY_EPOCH: &str = "CONNECT_PROXY_EPOCH";

/// Name of the environment variable that holds the id of the service that a sidecar stands for (`EnvSidecarFor`).
pub const ENV_SIDECAR_FOR: &str = "CONNECT_SIDECAR_FOR";

/// The variables that the library sets, and no declaration can.
pub(crate) const OWN_VARIABLES: [&str; 6] =
    [ENV_PROXY_EPOCH, ENV_PROXY_GENERATION, ENV_PROXY_ID, ENV_PROXY_ORIGIN, ENV_PROXY_TOKEN, ENV_SIDECAR_FOR];

/// Name of the environment variable that holds the socket for the notifications of a process (sd_notify(3)).
pub(crate) const ENV_NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// In how many microseconds a process has to feed its watchdog once, and the pid of the process that is meant
/// (sd_watchdog_enabled(3)).
pub(crate) const ENV_WATCHDOG_USEC: &str = "WATCHDOG_USEC";
pub(crate) const ENV_WATCHDOG_PID: &str = "WATCHDOG_PID";

/// How many sockets a process has, what they are called, and the pid of the process that they are for (sd_listen_fds(3)).
pub(crate) const ENV_LISTEN_FDS: &str = "LISTEN_FDS";
pub(crate) const ENV_LISTEN_FDNAMES: &str = "LISTEN_FDNAMES";
pub(crate) const ENV_LISTEN_PID: &str = "LISTEN_PID";

/// How many descriptors a process can hand over to be kept (systemd.exec(5)).
pub(crate) const ENV_FDSTORE: &str = "FDSTORE";

/// The variables of the agent's environment that no process inherits, because they are addressed to the agent itself: what a
/// service manager tells a service about its notifications, watchdog, sockets, identity, log and credentials
/// (systemd.exec(5), sd_notify(3), sd_listen_fds(3), sd_pidfd_get_inode_id(3)). A proxy that had them would speak in the
/// agent's name. A declared variable of the same name is given.
///
/// Those that tell something about the unit as a whole are inherited, such as `STATE_DIRECTORY` and `MEMORY_PRESSURE_WATCH`.
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

/// How long a process may outlive SIGKILL before a stop reports that it is still there. Only a process in an
/// uninterruptible system call, or one that we may not signal, ever takes this long.
pub(crate) const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// After so long without an answer of the user database to one start, the starts that would ask it fail, and are tried again.
/// Only a database of another machine takes longer, and mostly one that is not there.
pub(crate) const LOOKUP_PATIENCE: Duration = Duration::from_secs(1);

/// How long a start waits for the zombies of its predecessor to be reaped by their parents. An init does so within
/// milliseconds; one that has not by then may never.
pub(crate) const REAP_WAIT: Duration = Duration::from_secs(2);

/// How long the next process of a handover runs before it is first probed: most programs that end for a mistake in their
/// configuration have ended by then.
pub(crate) const NEXT_IS_PROBED_AFTER: Duration = Duration::from_secs(1);

/// How soon a process has ended that has perhaps put itself into the background.
pub(crate) const BACKGROUND_WITHIN: Duration = Duration::from_secs(2);

/// How long a start is held at the most while a process lives that is in the session of the process before and is not proven
/// to be of it. Twice the usual grace period: most programs that can end by themselves have ended by then.
pub(crate) const HELD_START: Duration = Duration::from_secs(10);

/// How often it is asked meanwhile whether it still lives.
pub(crate) const HELD_START_INTERVAL: Duration = Duration::from_millis(100);

/// The wait after a start that failed before the program ran (missing binary, exhausted processes), at the least:
/// trying again in the same millisecond would only burn CPU while the scarcity lasts.
pub(crate) const FAILED_START_WAIT: Duration = Duration::from_secs(1);

/// The same where `max_wait` is shorter: whatever is declared, a start that fails at once must not become a busy loop.
pub(crate) const FAILED_START_PAUSE: Duration = Duration::from_millis(10);

/// The first wait before a file that could not be written or removed is tried again; each later one doubles it.
pub(crate) const REPAIR_WAIT: Duration = Duration::from_secs(1);

/// The first wait of the backoff; each later one doubles it (2 s, 4 s, 8 s, as in the original).
pub(crate) const BACKOFF_BASE: Duration = Duration::from_secs(2);

/// How long a new manager waits for the lock of its data directory while the holder lives: it may be dying.
pub(crate) const LOCK_PATIENCE: Duration = Duration::from_secs(1);

/// The same while the holder is gone and a child that it was starting still has the lock.
pub(crate) const ORPHANED_LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// The largest file that is read as a process record or pid file. A record holds an id and a token, which is a variable
/// of the environment: the kernel has none longer than 128 KiB, and JSON writes a byte in six at the most.
pub(crate) const MAX_RECORD: u64 = 1024 * 1024;
/// The most that a record says of the commands of a stop, in bytes: with more it might be too large to be read, and the process
/// be lost.
pub(crate) const MAX_RECORDED_COMMANDS: usize = 128 * 1024;

/// The largest snapshot that is read, and so the largest that is written: a kilobyte for each of a quarter of a million
/// proxies. What is larger is not read into memory.
pub(crate) const MAX_SNAPSHOT: u64 = 256 * 1024 * 1024;

/// How many damaged files of one name are set aside. More would only fill the disk of an agent that starts over and over;
/// the first ones show how it began.
pub(crate) const MAX_SET_ASIDE: u32 = 8;

/// How many entries that cannot be used are named; of the others, which may be a million, it is said how many they are.
pub(crate) const MAX_REFUSED_NAMED: usize = 16;

/// The longest id, in bytes. Longer ones would not fit the paths of the files that are named after them.
pub(crate) const MAX_ID_BYTES: usize = 1024;

/// The least limit of a log: what is removed at a time is whole blocks of the file system, which may have 64 KiB, and a
/// part that has the end of a line.
pub(crate) const MIN_LOG_LIMIT: u64 = 64 * 1024;

/// The largest limit of a log: no file system has files of this size.
pub(crate) const MAX_LOG_LIMIT: u64 = 1 << 50;

/// The most files with older lines that are kept beside a log.
pub(crate) const MAX_OLD_LOGS: u32 = 99;

/// How long a process is waited for that has ended and still counts, before its cgroup can be removed.
pub(crate) const CGROUP_REMOVAL_PATIENCE: Duration = Duration::from_millis(100);
