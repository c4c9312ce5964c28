// SPDX-License-Identifier: MPL-2.0
//! The settings of a manager.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::command::validate_variable;
use crate::defaults;
use crate::error::{Error, ErrorCode, Result};
use crate::logging::Logger;
use crate::supervisor::{CgroupUse, most_spawners};

/// The settings of a [`Manager`](crate::Manager); in Consul they are fields of the manager itself.
///
/// ```
/// use proxyprocess::ManagerOptions;
///
/// let options = ManagerOptions::default().with_data_dir("/var/lib/agent/proxies").with_proxy_env("TZ", "UTC");
/// ```
///
/// The fields can also be set one by one. New ones may be added in every version, so that a struct expression is not
/// possible (`non_exhaustive`).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ManagerOptions {
    /// The directory of logs, pid files, process records and the snapshot, created with mode 0700. Without it nothing is
    /// written: the output of the proxies is lost unless there is a [`ManagerOptions::log_dir`], and no later agent takes them
    /// over.
    pub data_dir: Option<PathBuf>,
    /// A directory for logs only, for a manager without a data directory: each proxy has two, named by its id. It is created
    /// with mode 0700; an existing directory keeps its mode. Must be `None` with a data directory, which has its own logs.
    pub log_dir: Option<PathBuf>,
    /// Environment variables for all proxies, over the agent's own and under each proxy's.
    pub proxy_env: Vec<(OsString, OsString)>,
    /// The snapshot is rewritten at most once in this period, if it changed. Starts are written at once, before they happen.
    /// With [`Duration::MAX`] it is not rewritten before the end.
    pub snapshot_period: Duration,
    /// Changes of the state are applied at the latest after this period; with [`Duration::MAX`] only after the
    /// [`ManagerOptions::quiescent_period`].
    pub coalesce_period: Duration,
    /// Changes of the state are applied once nothing changed for this period; with [`Duration::MAX`] only after the
    /// [`ManagerOptions::coalesce_period`].
    pub quiescent_period: Duration,
    /// Whether proxies may run as root. If not, and the agent is root, proxies that declare no other user are not
    /// started; each such failure is logged and in the status.
    pub allow_root: bool,
    /// How many proxies may prepare their next process ([`Replace::Overlap`](crate::Replace::Overlap)) at the same time, from
    /// its start until it is ready, 1 to 1048576. The others wait for their turn in the order of their changes, while their
    /// current processes keep serving. A proxy that waits after a failure loses its turn.
    pub max_handovers: usize,
    /// Of how many removed proxies the logs are kept, the ones that were written to last, with their files of older lines. The
    /// others are deleted once no process of their proxy runs any more. `None`: all are kept.
    pub keep_removed: Option<u32>,
    /// Whether each proxy has a cgroup (version 2) of its own. All its processes are in it, whatever they do, so that a stop
    /// ends all of them. The default is [`CgroupUse::Auto`].
    pub cgroup: CgroupUse,
    /// The directory of the cgroup below which the manager creates its own. The default is the cgroup of this process, or its
    /// parent if systemd has delegated that (`DelegateSubgroup=`); if systemd has delegated neither, no cgroups can be created.
    /// Must be `None` with [`CgroupUse::Off`].
    pub cgroup_base: Option<PathBuf>,
    /// How many lifecycle events are kept for readers that fall behind.
    pub event_capacity: usize,
    /// The logger for lines about this manager and its proxies; the default is the [`log`] facade with the logger of the
    /// program. Lines that concern all managers of the program (about shared threads, and about opening a data directory) go
    /// there in either case.
    pub logger: Option<Logger>,
}

impl Default for ManagerOptions {
    fn default() -> Self {
        ManagerOptions {
            data_dir: None,
            log_dir: None,
            proxy_env: Vec::new(),
            snapshot_period: defaults::MANAGER_SNAPSHOT_PERIOD,
            coalesce_period: defaults::MANAGER_COALESCE_PERIOD,
            quiescent_period: defaults::MANAGER_QUIESCENT_PERIOD,
            allow_root: false,
            max_handovers: most_spawners(),
            keep_removed: None,
            cgroup: CgroupUse::Auto,
            cgroup_base: None,
            event_capacity: defaults::EVENT_CAPACITY,
            logger: None,
        }
    }
}

impl ManagerOptions {
    /// The same with this [`ManagerOptions::data_dir`].
    #[must_use]
    pub fn with_data_dir(mut self, path: impl Into<PathBuf>) -> ManagerOptions {
        self.data_dir = Some(path.into());
        self
    }

    /// The same with this [`ManagerOptions::log_dir`].
    #[must_use]
    pub fn with_log_dir(mut self, path: impl Into<PathBuf>) -> ManagerOptions {
        self.log_dir = Some(path.into());
        self
    }

    /// The same with one variable more in [`ManagerOptions::proxy_env`].
    #[must_use]
    pub fn with_proxy_env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> ManagerOptions {
        self.proxy_env.push((name.into(), value.into()));
        self
    }

    /// The same with this [`ManagerOptions::snapshot_period`].
    #[must_use]
    pub fn with_snapshot_period(mut self, period: Duration) -> ManagerOptions {
        self.snapshot_period = period;
        self
    }

    /// The same with this [`ManagerOptions::coalesce_period`].
    #[must_use]
    pub fn with_coalesce_period(mut self, period: Duration) -> ManagerOptions {
        self.coalesce_period = period;
        self
    }

    /// The same with this [`ManagerOptions::quiescent_period`].
    #[must_use]
    pub fn with_quiescent_period(mut self, period: Duration) -> ManagerOptions {
        self.quiescent_period = period;
        self
    }

    /// The same with this [`ManagerOptions::allow_root`].
    #[must_use]
    pub fn with_allow_root(mut self, allow_root: bool) -> ManagerOptions {
        self.allow_root = allow_root;
        self
    }

    /// The same with this [`ManagerOptions::max_handovers`].
    #[must_use]
    pub fn with_max_handovers(mut self, most: usize) -> ManagerOptions {
        self.max_handovers = most;
        self
    }

    /// The same with this [`ManagerOptions::keep_removed`].
    #[must_use]
    pub fn with_keep_removed(mut self, proxies: impl Into<Option<u32>>) -> ManagerOptions {
        self.keep_removed = proxies.into();
        self
    }

    /// The same with this [`ManagerOptions::cgroup`].
    #[must_use]
    pub fn with_cgroup(mut self, cgroup: CgroupUse) -> ManagerOptions {
        self.cgroup = cgroup;
        self
    }

    /// The same with this [`ManagerOptions::cgroup_base`].
    #[must_use]
    pub fn with_cgroup_base(mut self, path: impl Into<PathBuf>) -> ManagerOptions {
        self.cgroup_base = Some(path.into());
        self
    }

    /// The same with this [`ManagerOptions::event_capacity`].
    #[must_use]
    pub fn with_event_capacity(mut self, capacity: usize) -> ManagerOptions {
        self.event_capacity = capacity;
        self
    }

    /// The same with this [`ManagerOptions::logger`].
    #[must_use]
    pub fn with_logger(mut self, logger: Logger) -> ManagerOptions {
        self.logger = Some(logger);
        self
    }

    pub(super) fn validate(&self) -> Result<()> {
        for (name, value) in &self.proxy_env {
            validate_variable(name, value).map_err(|error| error.within("proxy_env"))?;
        }
        for (field, path) in
            [("data_dir", &self.data_dir), ("log_dir", &self.log_dir), ("cgroup_base", &self.cgroup_base)]
        {
            if path.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
                let message = format!("{field}: expected a path, got an empty string");
                return Err(Error::new(ErrorCode::InvalidConfig, message));
            }
        }
        if self.data_dir.is_some() && self.log_dir.is_some() {
            return Err(Error::new(ErrorCode::InvalidConfig, "log_dir: expected none beside a data_dir"));
        }
        if self.cgroup_base.is_some() && self.cgroup == CgroupUse::Off {
            return Err(Error::new(ErrorCode::InvalidConfig, "cgroup_base: expected none with cgroup off"));
        }
        if !(1..=defaults::MOST_HANDOVERS).contains(&self.max_handovers) {
            let (most, got) = (defaults::MOST_HANDOVERS, self.max_handovers);
            let message = format!("max_handovers: expected a number from 1 to {most}, got {got}");
            return Err(Error::new(ErrorCode::InvalidConfig, message));
        }
        Ok(())
    }
}
