// SPDX-License-Identifier: MPL-2.0
//! Where the kernel shows what a process executes and has open. When its first thread has ended and others run, as after
//! pthread_exit(3) in main, that is in the directories of these alone.

use std::io;
use std::path::PathBuf;

use super::stat;

/// The directory of a process, or of a thread of it that has not ended if its first one has.
///
/// # Errors
/// ESRCH when no thread of it runs any more.
pub(crate) fn directory(pid: i32) -> io::Result<PathBuf> {
    let own = PathBuf::from(format!("/proc/{pid}"));
    match stat::read(pid)? {
        Some(stat) if stat.outlives_first_thread() => {}
        _ => return Ok(own),
    }
    for thread in stat::threads(pid)? {
        if stat::runs(&thread)? {
            return Ok(thread);
        }
    }
    Err(io::Error::from_raw_os_error(libc::ESRCH))
}
