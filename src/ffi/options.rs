// SPDX-License-Identifier: MPL-2.0
//! The settings of managers and daemons, as C fills them.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use super::failure::{ErrorOut, Failure};
use super::handle::enter;
use super::input::{Text, TextList, boolean};
use super::sized::{In, Out, SizedStruct, reserved};
use super::version::*;
use crate::declaration::split_variable;
use crate::manager::ManagerOptions;
use crate::supervisor::CgroupUse;

/// The settings of a manager. Set it up with proxyprocess_manager_options_init(); all that it points to is copied by the
/// call that gets it.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct proxyprocess_manager_options {
    /// The size of this struct as the caller knows it.
    pub struct_size: u32,
    /// Whether proxies may run as root: 0 or 1 (0). If not, and the agent is root, proxies that declare no other user
    /// are not started; each such failure is logged and in the status.
    pub allow_root: u8,
    /// 0.
    pub reserved: [u8; 3],
    /// The directory of logs, pid files, process records and the snapshot, any bytes; created with mode 0700. NULL: nothing is
    /// written except logs to a `log_dir` (without it the output of the proxies is lost), and no later agent takes them over.
    pub data_dir: Text,
    /// Environment variables for all proxies, over the agent's own and under each proxy's: NAME=value of any bytes,
    /// with a NULL at the end; NULL is none.
    pub proxy_env: TextList,
    /// The snapshot is rewritten at most once in so many milliseconds, when it changed.
    pub snapshot_period_ms: u64,
    /// Changes of the state are applied at the latest after so many milliseconds.
    pub coalesce_period_ms: u64,
    /// Changes of the state are applied once nothing changed for so many milliseconds.
    pub quiescent_period_ms: u64,
    /// How many lifecycle events are kept for readers that fall behind.
    pub event_capacity: u64,
    /// How many proxies may prepare their next process (PROXYPROCESS_REPLACE_OVERLAP) at the same time, from its start until
    /// it is ready, 1 to 1048576 (one for each processor, up to 3). The others wait for their turn in the order of their
    /// changes, while their current processes keep serving. A proxy that waits after a failure loses its turn.
    pub max_handovers: u64,
    /// A directory for logs only, for a manager without a data directory, any bytes; created with mode 0700, an existing one
    /// keeps its mode. NULL is none. Must be NULL with `data_dir`, which has its own logs.
    pub log_dir: Text,
    /// Of how many removed proxies the logs are kept, the ones that were written to last, with their files of older lines. The
    /// others are deleted once no process of their proxy runs any more. Ignored without `has_keep_removed`: then all are kept.
    pub keep_removed: u32,
    /// Whether `keep_removed` counts: 0 or 1 (0).
    pub has_keep_removed: u8,
    /// 0.
    pub reserved_removed: [u8; 3],
    /// The directory of the cgroup below which the manager creates its own, any bytes. NULL: the cgroup of this process, or its
    /// parent if systemd has delegated that (`DelegateSubgroup=`). Must be NULL with PROXYPROCESS_CGROUP_OFF.
    pub cgroup_base: Text,
    /// Whether each proxy has a cgroup (version 2) of its own, a value of proxyprocess_cgroup (PROXYPROCESS_CGROUP_AUTO). All
    /// its processes are in it, whatever they do, so that a stop ends all of them.
    pub cgroup: i32,
    /// 0.
    pub reserved_2: u32,
}

/// Whether each proxy has a cgroup of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum proxyprocess_cgroup {
    /// Each has one if this process can create cgroups; the log says so when the manager is created.
    PROXYPROCESS_CGROUP_AUTO = 0,
    /// None has.
    PROXYPROCESS_CGROUP_OFF = 1,
    /// Each has one. A manager that cannot create cgroups is refused, and a process that cannot enter is not started.
    PROXYPROCESS_CGROUP_REQUIRED = 2,
}

/// In C: `const proxyprocess_manager_options *`.
pub type ManagerOptionsIn = In<proxyprocess_manager_options>;

/// In C: `proxyprocess_manager_options *`.
pub type ManagerOptionsOut = Out<proxyprocess_manager_options>;

// SAFETY: it is repr(C), begins with its size, and consists of numbers and pointers, of which any bytes are valid.
unsafe impl SizedStruct for proxyprocess_manager_options {
    const NAME: &'static str = "manager_options";
    const FIRST_SIZE: usize = 56;

    fn defaults() -> Self {
        proxyprocess_manager_options {
            struct_size: 0,
            allow_root: 0,
            reserved: [0; 3],
            data_dir: Text::NULL,
            proxy_env: TextList::NULL,
            snapshot_period_ms: PROXYPROCESS_MANAGER_SNAPSHOT_PERIOD_MS,
            coalesce_period_ms: PROXYPROCESS_MANAGER_COALESCE_PERIOD_MS,
            quiescent_period_ms: PROXYPROCESS_MANAGER_QUIESCENT_PERIOD_MS,
            event_capacity: PROXYPROCESS_EVENT_CAPACITY,
            max_handovers: ManagerOptions::default().max_handovers as u64,
            log_dir: Text::NULL,
            keep_removed: 0,
            has_keep_removed: 0,
            reserved_removed: [0; 3],
            cgroup_base: Text::NULL,
            cgroup: proxyprocess_cgroup::PROXYPROCESS_CGROUP_AUTO as i32,
            reserved_2: 0,
        }
    }
}

impl proxyprocess_manager_options {
    pub(super) fn options(&self) -> Result<ManagerOptions, Failure> {
        /// A million events are some hundred megabytes; more is a mistake.
        const MOST_EVENTS: u64 = 1 << 20;
        reserved("reserved", &self.reserved)?;
        reserved("reserved_removed", &self.reserved_removed)?;
        reserved("reserved_2", &self.reserved_2.to_ne_bytes())?;
        let capacity = Some(self.event_capacity).filter(|capacity| (1..=MOST_EVENTS).contains(capacity));
        let capacity = capacity.and_then(|capacity| capacity.try_into().ok()).ok_or_else(|| {
            let got = self.event_capacity;
            Failure::argument(format!("event_capacity: expected a number from 1 to {MOST_EVENTS}, got {got}"))
        })?;
        let mut options = ManagerOptions::default()
            .with_snapshot_period(period("snapshot_period_ms", self.snapshot_period_ms)?)
            .with_coalesce_period(period("coalesce_period_ms", self.coalesce_period_ms)?)
            .with_quiescent_period(period("quiescent_period_ms", self.quiescent_period_ms)?)
            .with_allow_root(boolean("allow_root", self.allow_root)?)
            .with_event_capacity(capacity)
            .with_max_handovers(self.max_handovers.try_into().unwrap_or(usize::MAX))
            .with_keep_removed(boolean("has_keep_removed", self.has_keep_removed)?.then_some(self.keep_removed));
        options.data_dir = self.data_dir.optional_path();
        options.log_dir = self.log_dir.optional_path();
        options.cgroup = self.cgroup()?;
        options.cgroup_base = self.cgroup_base.optional_path();
        options.proxy_env = variables("proxy_env", self.proxy_env)?;
        Ok(options)
    }

    fn cgroup(&self) -> Result<CgroupUse, Failure> {
        use proxyprocess_cgroup as C;
        let all = [
            (C::PROXYPROCESS_CGROUP_AUTO, CgroupUse::Auto),
            (C::PROXYPROCESS_CGROUP_OFF, CgroupUse::Off),
            (C::PROXYPROCESS_CGROUP_REQUIRED, CgroupUse::Required),
        ];
        let known = all.into_iter().find(|(number, _)| *number as i32 == self.cgroup).map(|(_, cgroup)| cgroup);
        known.ok_or_else(|| Failure::argument(format!("cgroup: expected 0 to 2, got {}", self.cgroup)))
    }
}

/// The files of a daemon that has no manager. Set it up with proxyprocess_daemon_options_init(); all that it points to
/// is copied by the call that gets it.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct proxyprocess_daemon_options {
    /// The size of this struct as the caller knows it.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// A file that holds its pid and a newline while it runs, any bytes; NULL is none. When it cannot be written, the
    /// process runs nevertheless and the error is logged.
    pub pid_path: Text,
    /// A file to which its standard output is appended, any bytes; with NULL it is lost.
    pub stdout_path: Text,
    /// A file to which its standard error is appended, any bytes; with NULL it is lost.
    pub stderr_path: Text,
}

/// In C: `const proxyprocess_daemon_options *`.
pub type DaemonOptionsIn = In<proxyprocess_daemon_options>;

/// In C: `proxyprocess_daemon_options *`.
pub type DaemonOptionsOut = Out<proxyprocess_daemon_options>;

// SAFETY: it is repr(C), begins with its size, and consists of numbers and pointers, of which any bytes are valid.
unsafe impl SizedStruct for proxyprocess_daemon_options {
    const NAME: &'static str = "daemon_options";
    const FIRST_SIZE: usize = 32;

    fn defaults() -> Self {
        proxyprocess_daemon_options {
            struct_size: 0,
            reserved: 0,
            pid_path: Text::NULL,
            stdout_path: Text::NULL,
            stderr_path: Text::NULL,
        }
    }
}

/// Fills a struct with the defaults.
///
/// `options`: need not be initialized.
///
/// `struct_size`: `sizeof *options`.
///
/// Returns 0; PROXYPROCESS_E_NULL_ARGUMENT, PROXYPROCESS_E_STRUCT_SIZE.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_manager_options_init(mut options: ManagerOptionsOut, struct_size: usize) -> i32 {
    enter(ErrorOut::none(), || options.initialize("options", struct_size))
}

/// Fills a struct with the defaults.
///
/// `options`: need not be initialized.
///
/// `struct_size`: `sizeof *options`.
///
/// Returns 0; PROXYPROCESS_E_NULL_ARGUMENT, PROXYPROCESS_E_STRUCT_SIZE.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_daemon_options_init(mut options: DaemonOptionsOut, struct_size: usize) -> i32 {
    enter(ErrorOut::none(), || options.initialize("options", struct_size))
}

/// The files of a daemon.
#[derive(Debug, Default)]
pub(super) struct DaemonFiles {
    pub(super) pid: Option<PathBuf>,
    pub(super) stdout: Option<PathBuf>,
    pub(super) stderr: Option<PathBuf>,
}

impl proxyprocess_daemon_options {
    pub(super) fn files(&self) -> Result<DaemonFiles, Failure> {
        reserved("reserved", &self.reserved.to_ne_bytes())?;
        let path = |name: &str, path: Text| match path.optional_path() {
            Some(path) if path.as_os_str().is_empty() => {
                Err(Failure::config(format!("{name}: expected a path, got an empty string")))
            }
            path => Ok(path),
        };
        Ok(DaemonFiles {
            pid: path("pid_path", self.pid_path)?,
            stdout: path("stdout_path", self.stdout_path)?,
            stderr: path("stderr_path", self.stderr_path)?,
        })
    }
}

/// A time in milliseconds of a field.
pub(super) fn period(name: &str, ms: u64) -> Result<Duration, Failure> {
    if ms > PROXYPROCESS_PERIOD_MAX_MS {
        let most = PROXYPROCESS_PERIOD_MAX_MS;
        return Err(Failure::argument(format!("{name}: expected at most {most} milliseconds, got {ms}")));
    }
    Ok(Duration::from_millis(ms))
}

/// Environment variables of a field, each NAME=value.
pub(super) fn variables(name: &str, lines: TextList) -> Result<Vec<(std::ffi::OsString, std::ffi::OsString)>, Failure> {
    let variable = |(index, line): (usize, std::ffi::OsString)| {
        let wrong = !line.as_bytes().contains(&b'=') || line.as_bytes().first() == Some(&b'=');
        let wrong =
            wrong.then(|| Failure::config(format!("{name}[{index}]: expected NAME=value, got no name or no =")));
        wrong.map_or_else(|| split_variable(line).ok_or_else(|| Failure::internal("NAME=value")), Err)
    };
    lines.words().into_iter().enumerate().map(variable).collect()
}
