// SPDX-License-Identifier: MPL-2.0
//! Finding the process of a proxy without a record, by the log that it writes to.
//!
//! This scans every process group, so it is only done if a record is damaged or lost. It is strict: a process that only
//! reads the log does not count.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt;

use crate::defaults;
use crate::error::{Error, ErrorCode, Result};
use crate::sys::pid::Pid;
use crate::sys::proc::{environ, fdinfo, stat};

/// Where a process that we started has its logs.
const STANDARD: [&str; 2] = ["1", "2"];

/// The live processes that lead their group, write to the log of one of these ids, and have that id in their
/// environment. An id for which there are several is left out: none is then proven. `log_files`: device and inode of the
/// logs of an id.
pub(crate) fn find_by_log(
    log_files: impl Fn(&str) -> io::Result<Vec<(u64, u64)>>,
    ids: &[String],
) -> Result<Vec<(String, Pid)>> {
    let failed = |error| Error::os(ErrorCode::Io, "look for processes without a record", &error);
    let wanted = ids.iter().map(|id| Ok((id.as_str(), log_files(id)?))).collect::<io::Result<Vec<_>>>();
    let wanted = wanted.map_err(failed)?;
    let mut found: Vec<(String, Pid)> = Vec::new();
    for leader in stat::groups().map_err(failed)?.into_keys().filter_map(Pid::from_raw) {
        let writes = wanted.iter().filter(|(_, logs)| writes_to(leader, logs)).map(|(id, _)| *id);
        found.extend(writes.filter(|id| is_named(leader, id)).map(|id| (id.to_owned(), leader)));
    }
    let times = |id: &str| found.iter().filter(|(other, _)| other == id).count();
    Ok(found.iter().filter(|(id, _)| times(id) == 1).cloned().collect())
}

/// A process that cannot be read is not ours, or gone.
fn writes_to(pid: Pid, logs: &[(u64, u64)]) -> bool {
    STANDARD.iter().any(|fd| {
        let is_log = std::fs::metadata(format!("/proc/{pid}/fd/{fd}"));
        is_log.is_ok_and(|file| logs.contains(&(file.dev(), file.ino()))) && is_writable(pid, fd)
    })
}

fn is_writable(pid: Pid, fd: &str) -> bool {
    let mode = fdinfo::access_mode(pid.as_raw(), OsStr::new(fd));
    mode.is_ok_and(|mode| mode.is_some_and(|mode| mode != libc::O_RDONLY))
}

fn is_named(pid: Pid, id: &str) -> bool {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environ::has(&environment, defaults::ENV_PROXY_ID, id)
}
