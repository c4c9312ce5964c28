// SPDX-License-Identifier: MPL-2.0
//! The least that metrics of processes and their logs can cost: the memory of each process is read, and the size of each log,
//! without the processor times and without a text.

use std::path::Path;

use proxyprocess::ProxyStatus;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, statat};
use rustix::io::read;

use crate::Result;

pub(super) struct Reads {
    proc: OwnedFd,
    /// Of each process the path of its file.
    memory: Vec<String>,
    logs: OwnedFd,
    names: Vec<String>,
}

impl Reads {
    pub(super) fn of(all: &[ProxyStatus]) -> Result<Reads> {
        let directory = |path: &Path| openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty());
        let paths = || all.iter().flat_map(|status| [&status.stdout_log, &status.stderr_log]).flatten();
        let logs = paths().next().and_then(|path| path.parent()).ok_or("no process has a log")?;
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(Reads {
            proc: directory(Path::new("/proc"))?,
            memory: all.iter().filter_map(|status| Some(format!("{}/statm", status.pid?))).collect(),
            logs: directory(logs)?,
            names: paths().filter_map(|path| name(path)).collect(),
        })
    }

    pub(super) fn make(&self) -> Result<()> {
        for path in &self.memory {
            let file = openat(&self.proc, path.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
            read(&file, &mut [0; 256])?;
        }
        for name in &self.names {
            statat(&self.logs, name.as_str(), AtFlags::empty())?;
        }
        Ok(())
    }
}
