//! One manager a data directory: an flock(2) for the manager's life.
//!
//! The descriptor is inherited by our children until they execute, so a child in flight keeps the lock of an agent
//! that was killed until it has recorded itself: the next manager finds the record, or no process.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::defaults;
use crate::error::{Error, ErrorCode, Result};
use crate::sys::file::{self, Dir};
use crate::sys::fork::NotInWorkers;
use crate::sys::{fail, identity, stat};

/// The lock, released when dropped: of the file, which says who has it, and of the directory, whose lock cannot be
/// removed as the file's can.
#[derive(Debug)]
pub(super) struct Lock([NotInWorkers; 2]);

impl Lock {
    /// Takes the lock, waiting a short, bounded time.
    ///
    /// # Errors
    /// [`ErrorCode::Locked`] with the pid of the holder; [`ErrorCode::Io`].
    pub(super) fn take(dir: &Dir, path: &Path) -> Result<Lock> {
        let io = |error| Error::os(ErrorCode::Io, format_args!("lock {}/lock", path.display()), &error);
        let mut file = dir.open_file(c"lock", libc::O_RDWR | libc::O_CREAT).map_err(io)?;
        let place = dir.open_dir(c".").map_err(io)?;
        let since = Instant::now();
        while !(file::try_lock(file.as_fd()).map_err(io)? && file::try_lock(place.as_fd()).map_err(io)?) {
            // A holder that was just killed may still be dying; one that is gone has left a child in flight, which is
            // certain to let go, however slow the disk is that it executes from.
            fail::point("lock:busy");
            let alive = holder_is_alive(&mut file);
            let patience = if alive { defaults::LOCK_PATIENCE } else { defaults::ORPHANED_LOCK_PATIENCE };
            if since.elapsed() >= patience {
                let holder = read_holder(&mut file).map(|pid| format!("process {pid}"));
                let holder = holder.unwrap_or_else(|| "a process that does not say its pid".to_owned());
                let message = format!("data directory {} is in use by {holder}", path.display());
                return Err(Error::new(ErrorCode::Locked, message));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        fail::point("lock:taken");
        write_holder(&mut file).map_err(io)?;
        fail::point("lock:told");
        Ok(Lock([OwnedFd::from(file), place.into()].map(NotInWorkers::new)))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Released at once and not only by closing: a child in flight has a copy of the descriptor.
        for lock in self.0.iter().filter_map(NotInWorkers::get) {
            file::unlock(lock.as_fd());
        }
    }
}

fn holder_is_alive(file: &mut File) -> bool {
    read_holder(file).is_some_and(|pid| matches!(stat::read(pid), Ok(Some(stat)) if !stat.is_dead()))
}

fn read_holder(file: &mut File) -> Option<i32> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_holder(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    fail::failing("lock:write")?;
    file::write_all(file, format!("{}\n", identity::own_pid()).as_bytes())
}
