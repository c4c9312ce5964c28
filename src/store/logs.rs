//! The logs of the proxies.

use std::os::fd::OwnedFd;

use super::data_dir::DataDir;
use super::encode::FileName;
use super::parts::Part;
use super::place::{descend, descend_existing};
use crate::error::Result;
use crate::sys::fail;

/// How the two logs of a proxy end.
const SUFFIXES: [&str; 2] = ["-stdout.log", "-stderr.log"];

impl DataDir {
    /// Opens the two logs of a proxy for appending.
    pub(crate) fn open_logs(&self, id: &str) -> Result<[OwnedFd; 2]> {
        let name = FileName::of(id);
        let place = descend(self.part(Part::Logs)?, &name);
        let place = place.map_err(|error| self.failed("open logs directory", "logs", &error))?;
        let open = |suffix: &str| -> Result<OwnedFd> {
            let leaf = name.leaf("", suffix);
            let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT;
            let file = fail::failing("logs:open").and_then(|()| place.open_file(&leaf, flags));
            file.map(OwnedFd::from)
                .map_err(|error| self.failed("open log file", &format!("logs/{}", leaf.to_string_lossy()), &error))
        };
        Ok([open(SUFFIXES[0])?, open(SUFFIXES[1])?])
    }

    /// Device and inode of the logs of a proxy, as far as they are there.
    pub(crate) fn log_files(&self, id: &str) -> std::io::Result<Vec<(u64, u64)>> {
        let name = FileName::of(id);
        let Some(place) = descend_existing(self.part_as_it_is(Part::Logs)?, &name)? else { return Ok(Vec::new()) };
        SUFFIXES.iter().filter_map(|suffix| place.inode(&name.leaf("", suffix)).transpose()).collect()
    }
}
