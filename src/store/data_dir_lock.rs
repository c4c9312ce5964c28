// SPDX-License-Identifier: MPL-2.0
//! One manager for each data directory: an flock(2) for the lifetime of the manager.
//!
//! Children inherit the descriptor until they execute, so if an agent is killed, a child that it was starting keeps the
//! lock until the child has recorded itself: the next manager finds the record, or no process.

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::io_error_code::code_of;
use crate::defaults;
use crate::error::{Error, ErrorCode, Result};
use crate::logging::{self, Level};
use crate::sys::closed_on_fork::ClosedOnFork;
use crate::sys::fail;
use crate::sys::file::{self, Dir};
use crate::sys::pid;
use crate::sys::proc::{lock_holder, stat};

/// The lock, released when dropped: of the file, which says who has it, and of the directory, whose lock cannot be
/// removed as the file's can.
#[derive(Debug)]
pub(super) struct Lock(Vec<ClosedOnFork>);

/// How long to wait for a lock that is held.
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
        let place = Lock::wait(dir, path, file.as_mut(), patience)?;
        fail::point("lock:taken");
        if let Err(error) = file.as_mut().map_or(Ok(()), write_holder) {
            // It is what others are told, and not the lock.
            logging::write(Level::Warn, format_args!("write {}/lock: {error}", path.display()));
        }
        fail::point("lock:told");
        Ok(Lock::of(file, place))
    }

    /// The same without a word in the lock file, in a directory in which nothing is to be changed.
    pub(super) fn take_without_writing(dir: &Dir, path: &Path) -> Result<Lock> {
        // Whatever else is there by its name, or another user's, is no lock file.
        let mut file = dir.open_file(c"lock", libc::O_RDONLY).ok();
        let place = Lock::wait(dir, path, file.as_mut(), Patience::UntilDead)?;
        Ok(Lock::of(file, place))
    }

    fn of(file: Option<File>, place: Dir) -> Lock {
        let locked = file.map(OwnedFd::from).into_iter().chain([place.into()]);
        Lock(locked.map(ClosedOnFork::new).collect())
    }

    /// Waits for the lock of an open lock file, and of the directory, which is returned.
    fn wait(dir: &Dir, path: &Path, mut file: Option<&mut File>, patience: Patience) -> Result<Dir> {
        let io = |error| Error::os(code_of(&error), format_args!("lock {}/lock", path.display()), &error);
        let place = dir.open_dir(c".").map_err(io)?;
        let since = Instant::now();
        let mut unseen = false;
        while !(try_lock_file(file.as_deref()).map_err(io)? && file::try_lock(place.as_fd()).map_err(io)?) {
            fail::point("lock:busy");
            let holder = Holder::find(file.as_deref_mut(), &place);
            // It may just have let go: before it is said where the holder is, the lock has to be missed once more.
            if matches!(holder, Holder::Unseen) && !std::mem::replace(&mut unseen, true) {
                continue;
            }
            if patience == Patience::None || holder.is_to_stay(since.elapsed(), &place) {
                let message = format!("data directory {} is in use by {holder}", path.display());
                return Err(Error::new(ErrorCode::Locked, message));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(place)
    }

    /// The numbers of its descriptors, for children that have to keep it until they execute.
    pub(super) fn descriptors(&self) -> Vec<RawFd> {
        self.0.iter().filter_map(ClosedOnFork::get).map(AsRawFd::as_raw_fd).collect()
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
        for lock in self.0.iter().filter_map(ClosedOnFork::get) {
            file::unlock(lock.as_fd());
        }
    }
}

/// What is known of the process that has the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    /// The kernel says so; by its pid here, whatever its own pid namespace is.
    Process(i32),
    /// The lock file says so, which has the pid that the holder has for itself, and the kernel cannot be asked.
    Named(i32),
    /// The kernel shows no holder to this pid namespace.
    Unseen,
    Unknown,
}

impl Holder {
    fn find(file: Option<&mut File>, dir: &Dir) -> Holder {
        let Ok(place) = dir.own_inode() else { return Holder::Unknown };
        let metadata = file.as_deref().and_then(|file| file.metadata().ok());
        let file_id = metadata.map(|found| (found.dev(), found.ino()));
        let listed = lock_holder::holder(place).and_then(|holder| match (holder, file_id) {
            // It takes the lock of the file first.
            (None, Some(file)) => lock_holder::holder(file),
            (holder, _) => Ok(holder),
        });
        let named = file.and_then(read_holder);
        match (listed, named) {
            (Ok(Some(pid)), _) => Holder::Process(pid),
            (Ok(None), _) => Holder::Unseen,
            (Err(_), Some(pid)) => Holder::Named(pid),
            (Err(_), None) => Holder::Unknown,
        }
    }

    /// Whether it is not to be expected any more, after this time, that the lock becomes free: a holder that lives may have
    /// been about to end; one that has ended has left a child in flight, which lets go as soon as it executes.
    fn is_to_stay(self, waited: Duration, dir: &Dir) -> bool {
        if waited < defaults::LOCK_PATIENCE || waited >= defaults::ORPHANED_LOCK_PATIENCE {
            return waited >= defaults::LOCK_PATIENCE;
        }
        match self {
            Holder::Process(pid) | Holder::Named(pid) => is_alive(pid),
            // One of another pid namespace has no child here.
            Holder::Unseen => dir.own_inode().is_ok_and(|place| !lock_holder::is_open_elsewhere(place)),
            Holder::Unknown => false,
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Holder::Process(pid) if is_alive(*pid) => write!(f, "process {pid}"),
            Holder::Process(pid) => write!(f, "a child of process {pid}, which has ended"),
            Holder::Named(pid) => {
                write!(f, "process {pid}, as its lock file says (/proc/locks cannot be read to be sure)")
            }
            Holder::Unseen => f.write_str(
                "a process that cannot be seen from here: of another pid namespace, or the child of one that has ended",
            ),
            Holder::Unknown => f.write_str("a process that does not say its pid"),
        }
    }
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
    let text = format!("{}\n", pid::own_pid());
    file.seek(SeekFrom::Start(0))?;
    fail::failing("lock:write")?;
    file::write_all(file, text.as_bytes())?;
    file.set_len(text.len() as u64)
}
