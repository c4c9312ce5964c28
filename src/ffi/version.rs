// SPDX-License-Identifier: MPL-2.0
//! Versions, names and defaults: the numbers of the header, checked against those of the library.

use std::ffi::CStr;

use super::output::TextOut;
use crate::defaults;

/// Changes with every incompatible change of this interface; additions do not change it.
pub const PROXYPROCESS_ABI_VERSION: u32 = 1;

/// A process that has run for this many milliseconds is healthy: its next exit counts as a first failure again
/// (DaemonRestartHealthy).
pub const PROXYPROCESS_DAEMON_RESTART_HEALTHY_MS: u64 = 10000;

/// Restarts in a row that are made without waiting (DaemonRestartBackoffMin).
pub const PROXYPROCESS_DAEMON_RESTART_BACKOFF_MIN: u32 = 3;

/// The longest wait between two attempts, in milliseconds (DaemonRestartMaxWait).
pub const PROXYPROCESS_DAEMON_RESTART_MAX_WAIT_MS: u64 = 60000;

/// Milliseconds between the stop signal and SIGKILL.
pub const PROXYPROCESS_DAEMON_GRACE_PERIOD_MS: u64 = 5000;

/// Milliseconds that a process has to become ready, if its declaration has a readiness check, before it is stopped.
pub const PROXYPROCESS_START_TIMEOUT_MS: u64 = 90000;

/// The backlog of a declared socket: how many connections may wait to be accepted.
pub const PROXYPROCESS_LISTEN_BACKLOG: u32 = 4096;

/// Changes are applied at the latest after this many milliseconds (ManagerCoalescePeriod).
pub const PROXYPROCESS_MANAGER_COALESCE_PERIOD_MS: u64 = 5000;

/// Changes are applied once no further change came for this many milliseconds (ManagerQuiescentPeriod).
pub const PROXYPROCESS_MANAGER_QUIESCENT_PERIOD_MS: u64 = 500;

/// The snapshot is rewritten at most once in this many milliseconds, and only if it changed (ManagerSnapshotPeriod).
pub const PROXYPROCESS_MANAGER_SNAPSHOT_PERIOD_MS: u64 = 1000;

/// How many lifecycle events are kept for readers that fell behind.
pub const PROXYPROCESS_EVENT_CAPACITY: u64 = 1024;

/// How many log lines are kept for each reader.
pub const PROXYPROCESS_LOG_CAPACITY: u64 = 1024;

/// The longest period that can be set, in milliseconds: a year. A longer one is taken for a wrong unit.
pub const PROXYPROCESS_PERIOD_MAX_MS: u64 = 31622400000;

// The header needs literals; these checks hold them to the library's own.
const _: () = {
    use defaults as own;
    assert!(PROXYPROCESS_DAEMON_RESTART_HEALTHY_MS as u128 == own::DAEMON_RESTART_HEALTHY.as_millis());
    assert!(PROXYPROCESS_DAEMON_RESTART_BACKOFF_MIN == own::DAEMON_RESTART_BACKOFF_MIN);
    assert!(PROXYPROCESS_DAEMON_RESTART_MAX_WAIT_MS as u128 == own::DAEMON_RESTART_MAX_WAIT.as_millis());
    assert!(PROXYPROCESS_DAEMON_GRACE_PERIOD_MS as u128 == own::DAEMON_GRACE_PERIOD.as_millis());
    assert!(PROXYPROCESS_LISTEN_BACKLOG == own::LISTEN_BACKLOG);
    assert!(PROXYPROCESS_START_TIMEOUT_MS as u128 == own::START_TIMEOUT.as_millis());
    assert!(PROXYPROCESS_MANAGER_COALESCE_PERIOD_MS as u128 == own::MANAGER_COALESCE_PERIOD.as_millis());
    assert!(PROXYPROCESS_MANAGER_QUIESCENT_PERIOD_MS as u128 == own::MANAGER_QUIESCENT_PERIOD.as_millis());
    assert!(PROXYPROCESS_MANAGER_SNAPSHOT_PERIOD_MS as u128 == own::MANAGER_SNAPSHOT_PERIOD.as_millis());
    assert!(PROXYPROCESS_PERIOD_MAX_MS as u128 == own::LONGEST_PERIOD.as_millis());
    assert!(PROXYPROCESS_EVENT_CAPACITY == own::EVENT_CAPACITY as u64);
    assert!(PROXYPROCESS_LOG_CAPACITY == own::LOG_CAPACITY as u64);
};

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => panic!("a version has no NUL"),
};

/// Returns the version of the linked library, like "0.1.0"; static. The version of the header is PROXYPROCESS_VERSION.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_version() -> TextOut {
    TextOut::of(VERSION)
}

/// Returns the ABI version of the linked library. A program that was compiled with a different PROXYPROCESS_ABI_VERSION
/// must not go on.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_abi_version() -> u32 {
    PROXYPROCESS_ABI_VERSION
}
