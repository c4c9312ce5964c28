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

/// The settings of a [`Manager`](crate::Manager): what the fields of the original's type are.
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
    /// Where logs, pid files, process records and the snapshot are. Without one nothing is written: the output of the
    /// proxies is lost unless there is a [`ManagerOptions::log_dir`], and no later agent takes them over. It is created with mode 0700.
    pub data_dir: Option<PathBuf>,
    /// Where logs are in place of a data directory, for a manager that needs no more of one: each proxy has two, by its id. It is
    /// created with mode 0700; one that is there keeps its mode. Must be `None` with a data directory, which has logs of its own.
    pub log_dir: Option<PathBuf>,
    /// Environment variables for all proxies, over the agent's own and under each proxy's.
    pub proxy_env: Vec<(OsString, OsString)>,
    /// The snapshot is rewritten at most once in this period, when it changed. What is about to be started is
    /// written at once. With [`Duration::MAX`] it is not rewritten before the end.
    pub snapshot_period: Duration,
    /// Changes of the state are followed at the latest after this period; with [`Duration::MAX`] only once they calmed
    /// down.
    pub coalesce_period: Duration,
    /// Changes of the state are followed once there were no more for this period. With [`Duration::MAX`] only the other
    /// one counts.
    pub quiescent_period: Duration,
    /// Whether proxies may run as root. If not, and the agent is root, proxies that declare no other user are not
    /// started; each such failure is logged and in the status.
    pub allow_root: bool,
    /// How many proxies at a time may be preparing their next process ([`Replace::Overlap`](crate::Replace::Overlap)), from its
    /// start until it is ready, 1 to 1048576: the others wait for their turn, in the order in which they were changed, and their
    /// current processes serve on. One that waits after a failure lets others go first.
    pub max_handovers: usize,
    /// The logs of how many proxies that were removed stay, of those that were written to last, with the files of older lines
    /// beside them; the others are deleted once nothing of their proxy runs any more. `None`: all stay.
    pub keep_removed: Option<u32>,
    /// Whether each proxy has a cgroup (version 2) of its own, which has all that its process starts, whatever those do, and by
    /// which a stop ends all of it. [`CgroupUse::Auto`] without a word.
    pub cgroup: CgroupUse,
    /// The directory of the cgroup below which the manager makes its own. Without one it is that of this process, or the one above
    /// it where systemd has delegated that (`DelegateSubgroup=`); and where systemd has delegated neither, none can be made. Must be
    /// `None` with [`CgroupUse::Off`].
    pub cgroup_base: Option<PathBuf>,
    /// How many lifecycle events are kept for readers that fell behind.
    pub event_capacity: usize,
    /// Where the lines of the log about this manager and its proxies go; without one to the [`log`] facade, which the program
    /// may have set a logger for. Lines that concern all managers of the program go there in either case: those of their
    /// threads, and of opening a data directory.
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
