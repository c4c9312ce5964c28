//! One manager a data directory: an flock(2) for the manager's life.
//!
//! The descriptor is inherited by our children until they execute, so a child in flight keeps the lock of an agent
//! that was killed until it has recorded itself: the next manager finds the record, or no process.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::{Duration, Instant};

use super::data_dir::code_of;
use crate::defaults;
use crate::error::{Error, ErrorCode, Result};
use crate::logging::{self, Level};
use crate::sys::file::{self, Dir};
use crate::sys::fork::NotInWorkers;
use crate::sys::{fail, identity, stat};

/// The lock, released when dropped: of the file, which says who has it, and of the directory, whose lock cannot be
/// removed as the file's can.
#[derive(Debug)]
pub(super) struct Lock(Vec<NotInWorkers>);

/// How long to wait for a lock that somebody has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    None,
    /// A holder that was just killed may still be dying; one that is gone has left a child in flight, which is certain
    /// to let go, however slow the disk is that it executes from.
    UntilDead,
}

impl Lock {
    /// Takes the lock, waiting a short, bounded time.
    ///
    /// # Errors
    /// [`ErrorCode::Locked`] with the pid of the holder; [`ErrorCode::Untrusted`], [`ErrorCode::Io`].
    pub(super) fn take(dir: &Dir, path: &Path, patience: Patience) -> Result<Lock> {
        let io = |error| Error::os(code_of(&error), format_args!("lock {}/lock", path.display()), &error);
        let mut file = open(dir).map_err(io)?;
        let place = dir.open_dir(c".").map_err(io)?;
        let since = Instant::now();
        while !(try_lock_file(file.as_ref()).map_err(io)? && file::try_lock(place.as_fd()).map_err(io)?) {
            fail::point("lock:busy");
            let holder = holder(file.as_mut(), dir);
            let patience = match (patience, holder) {
                (Patience::None, _) => Duration::ZERO,
                (Patience::UntilDead, Some(pid)) if is_alive(pid) => defaults::LOCK_PATIENCE,
                (Patience::UntilDead, _) => defaults::ORPHANED_LOCK_PATIENCE,
            };
            if since.elapsed() >= patience {
                let holder = holder.map(|pid| format!("process {pid}"));
                let holder = holder.unwrap_or_else(|| "a process that does not say its pid".to_owned());
                let message = format!("data directory {} is in use by {holder}", path.display());
                return Err(Error::new(ErrorCode::Locked, message));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        fail::point("lock:taken");
        if let Err(error) = file.as_mut().map_or(Ok(()), write_holder) {
            // It is what others are told, and not the lock.
            logging::write(Level::Warn, format_args!("write {}/lock: {error}", path.display()));
        }
        fail::point("lock:told");
        let locked = file.map(OwnedFd::from).into_iter().chain([place.into()]);
        Ok(Lock(locked.map(NotInWorkers::new).collect()))
    }

    /// The numbers of its descriptors, for those who have to keep it until they execute.
    pub(super) fn descriptors(&self) -> Vec<RawFd> {
        self.0.iter().filter_map(NotInWorkers::get).map(AsRawFd::as_raw_fd).collect()
    }
}

/// The lock file; `None` where none can be made, on a disk that is full or cannot be written to: what is there can be
/// taken over nevertheless, and the lock of the directory excludes others by itself.
fn open(dir: &Dir) -> std::io::Result<Option<File>> {
    use libc::{EACCES, EDQUOT, ENOSPC, EPERM, EROFS};
    // What it says counts for nothing before the lock is taken, so it does not matter whose it was.
    match dir.open_file_taken_back(c"lock", libc::O_RDWR | libc::O_CREAT) {
        Err(error) if matches!(error.raw_os_error(), Some(ENOSPC | EDQUOT | EROFS | EACCES | EPERM)) => Ok(None),
        opened => opened.map(Some),
    }
}

/// The pid of the manager that last had the lock of a directory, as its lock file says.
pub(super) fn last_holder(dir: &Dir) -> Option<i32> {
    read_holder(&mut dir.open_file(c"lock", libc::O_RDONLY).ok()?)
}

fn try_lock_file(file: Option<&File>) -> std::io::Result<bool> {
    file.map_or(Ok(true), |file| file::try_lock(file.as_fd()))
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Released at once and not only by closing: a child in flight has a copy of the descriptor.
        for lock in self.0.iter().filter_map(NotInWorkers::get) {
            file::unlock(lock.as_fd());
        }
    }
}

/// Who has the lock: as the file says, or, if that was removed, as the kernel knows of the directory.
fn holder(file: Option<&mut File>, dir: &Dir) -> Option<i32> {
    file.and_then(read_holder).or_else(|| dir.lock_holder().ok().flatten())
}

fn is_alive(pid: i32) -> bool {
    matches!(stat::read(pid), Ok(Some(stat)) if !stat.is_dead())
}

fn read_holder(file: &mut File) -> Option<i32> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// ORDER: overwritten and then cut, for on a full disk what was cut off first may not come back.
fn write_holder(file: &mut File) -> std::io::Result<()> {
    let text = format!("{}\n", identity::own_pid());
    file.seek(SeekFrom::Start(0))?;
    fail::failing("lock:write")?;
    file::write_all(file, text.as_bytes())?;
    file.set_len(text.len() as u64)
}
