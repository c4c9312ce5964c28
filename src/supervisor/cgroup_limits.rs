// SPDX-License-Identifier: MPL-2.0
//! The limits of a proxy's cgroup: the files that contain them, and the controllers that must be enabled above it.

use std::fmt::Display;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;

use super::cgroup_names::{TRIAL, name_of};
use super::cgroups::Cgroups;
use crate::declaration::{CgroupLimit, CgroupLimits};
use crate::error::{Error, ErrorCode, Result};
use crate::sys::cgroup::{control, directory};

/// The period of `cpu.max`, in microseconds, and one percent of it.
const PERIOD: u64 = 100_000;
const PERCENT: u64 = PERIOD / 100;

/// What holds a limit.
struct LimitFile {
    controller: &'static str,
    name: &'static str,
    /// What it has without a limit.
    none: &'static str,
}

fn file_of(limit: CgroupLimit) -> LimitFile {
    let (controller, name, none) = match limit {
        CgroupLimit::MemoryHigh => ("memory", "memory.high", "max"),
        CgroupLimit::MemoryMax => ("memory", "memory.max", "max"),
        CgroupLimit::PidsMax => ("pids", "pids.max", "max"),
        CgroupLimit::CpuMax => ("cpu", "cpu.max", "max"),
        CgroupLimit::IoWeight => ("io", "io.weight", "default 100"),
    };
    LimitFile { controller, name, none }
}

fn text_of(limit: CgroupLimit, value: u64) -> String {
    match limit {
        CgroupLimit::MemoryHigh | CgroupLimit::MemoryMax | CgroupLimit::PidsMax => value.to_string(),
        CgroupLimit::CpuMax => format!("{} {PERIOD}", value * PERCENT),
        CgroupLimit::IoWeight => format!("default {value}"),
    }
}

impl Cgroups {
    /// Has the cgroup of a proxy have these limits and no others.
    ///
    /// # Errors
    /// [`ErrorCode::StartFailed`]: one cannot be set; the message names its field, and what is missing.
    pub(crate) fn limit(&self, path: &Path, limits: &CgroupLimits) -> Result<()> {
        if limits.is_empty() && !self.has_controllers() {
            return Ok(());
        }
        let set = limits.all().map(|(limit, value)| {
            let file = file_of(limit);
            match value {
                Some(value) => self.set_limit(path, limit, &file, &text_of(limit, value)),
                None => match control::set(path, file.name, file.none) {
                    // What has no controller has no limit.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                    set => set.map_err(|error| {
                        not_set(limit, format_args!("write {} in {}", file.name, path.display()), &error)
                    }),
                },
            }
        });
        set.into_iter().fold(Ok(()), Result::and)
    }

    /// Whether the cgroup of a proxy can have these limits: tried in one of its own, in which no process is.
    ///
    /// # Errors
    /// As [`Cgroups::limit`], also where it cannot be made.
    pub(crate) fn try_limits(&self, id: &str, limits: &CgroupLimits) -> Result<()> {
        let path = self.home().join(name_of(id, TRIAL));
        let made = directory::make(self.home()).and_then(|()| directory::make(&path));
        made.map_err(|error| without_cgroup(format_args!("make {}: {error}", path.display())))?;
        let tried = self.limit(&path, limits);
        // What stays is removed by the next agent, as each that no process is in.
        let removed = directory::remove_empty(&path);
        tried.and(removed.map_err(|error| without_cgroup(format_args!("remove {}: {error}", path.display()))))
    }

    /// Has a cgroup without limits of memory have the controller that counts it, for limits that are set later.
    ///
    /// # Errors
    /// As [`Cgroups::limit`].
    pub(crate) fn count_memory(&self, path: &Path) -> Result<()> {
        let file = file_of(CgroupLimit::MemoryMax);
        self.set_limit(path, CgroupLimit::MemoryMax, &file, file.none)
    }

    /// Whether its cgroups have controllers, which count.
    pub(crate) fn has_controllers(&self) -> bool {
        self.has_controllers.load(Ordering::Acquire)
    }

    fn set_limit(&self, path: &Path, limit: CgroupLimit, file: &LimitFile, value: &str) -> Result<()> {
        let set = match control::set(path, file.name, value) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.exists() => {
                self.enable(limit, file.controller)?;
                control::set(path, file.name, value)
            }
            set => set,
        };
        set.map_err(|error| {
            not_set(limit, format_args!("write {value} to {} in {}", file.name, path.display()), &error)
        })
    }

    /// Has the cgroups of all proxies have a controller.
    fn enable(&self, limit: CgroupLimit, controller: &str) -> Result<()> {
        let home = self.home();
        match (control::enable(home, controller), home.parent()) {
            // It has what the cgroup above it gives.
            (Err(error), Some(base)) if error.kind() == io::ErrorKind::NotFound => {
                enable_in(base, limit, controller)?;
                enable_in(home, limit, controller)?;
            }
            (enabled, _) => enabled.map_err(|error| not_enabled(home, limit, controller, &error))?,
        }
        self.has_controllers.store(true, Ordering::Release);
        Ok(())
    }
}

fn enable_in(path: &Path, limit: CgroupLimit, controller: &str) -> Result<()> {
    control::enable(path, controller).map_err(|error| not_enabled(path, limit, controller, &error))
}

fn not_enabled(path: &Path, limit: CgroupLimit, controller: &str, error: &io::Error) -> Error {
    let shown = path.display();
    let why = match error.raw_os_error() {
        Some(libc::ENOENT) => format!(
            "{shown} has no controller {controller}, only: {}. {}",
            control::available(path).ok().filter(|names| !names.is_empty()).unwrap_or_else(|| "none".to_owned()),
            match control::is_of_version_1(controller) {
                true => "A hierarchy of cgroup version 1 has it on this machine",
                false => "Delegate= of systemd gives it to a service",
            }
        ),
        Some(libc::EBUSY) => format!(
            "a process is in {shown}, below which no controller can be enabled then: DelegateSubgroup= of systemd puts the \
             agent elsewhere, or cgroup_base the proxies"
        ),
        _ => format!("enable the controller {controller} in {shown}"),
    };
    not_set(limit, why, error)
}

fn not_set(limit: CgroupLimit, what: impl Display, error: &io::Error) -> Error {
    Error::os(ErrorCode::StartFailed, format_args!("limits.{}: {what}", limit.as_str()), error)
}

/// There is no cgroup that could have them.
pub(crate) fn without_cgroup(why: impl Display) -> Error {
    Error::new(ErrorCode::StartFailed, format!("limits: they need a cgroup of its own for the proxy: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_has_a_file_of_its_own_and_its_text() {
        let limits = CgroupLimits::default().with_memory_max(9).with_memory_high(8).with_pids_max(7).with_cpu_max(150);
        let texts = limits.with_io_weight(6).all().map(|(limit, value)| {
            let file = file_of(limit);
            assert!(file.name.starts_with(&format!("{}.", file.controller)));
            format!("{}={}", file.name, text_of(limit, value.unwrap()))
        });
        let expected = ["memory.high=8", "memory.max=9", "pids.max=7", "cpu.max=150000 100000", "io.weight=default 6"];
        assert_eq!(texts, expected);
    }
}
