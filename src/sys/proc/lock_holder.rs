// SPDX-License-Identifier: MPL-2.0
//! Which process holds a lock (flock(2)) that another process cannot get: `/proc/locks` (proc_locks(5)).
//!
//! The pids there belong to the pid namespace for which /proc was mounted. A holder outside of it and its child
//! namespaces is missing; so is a holder that has ended while other processes still have its descriptor, except in the
//! initial namespace.

use std::fs;
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::stat;
use crate::sys::file::stat_at;
use crate::sys::is_exhausted;
use crate::sys::pid::own_pid;

/// A file by device and inode, as stat(2) says them.
pub(crate) type FileId = (u64, u64);

/// The file that is open.
pub(crate) fn file_id(open: BorrowedFd<'_>) -> io::Result<FileId> {
    stat_at(open.as_raw_fd(), c"", libc::AT_EMPTY_PATH).map(|found| (found.st_dev, found.st_ino))
}

/// The pid of the process that has taken the exclusive lock of a file; it may have ended since. `None`: no process of
/// this pid namespace has.
///
/// # Errors
/// When /proc cannot be read now, or is not ours; of kind Unsupported where it has no list of locks and no process whose
/// descriptors can be read has this one.
pub(crate) fn holder(of: FileId) -> io::Result<Option<i32>> {
    stat::check_mounted()?;
    for _ in 0..READINGS {
        let list = match read_list() {
            Ok(list) => list,
            Err(error) if is_exhausted(&error) => return Err(error),
            // Mounted with subset=pid, /proc has no such list; then each process has to be asked.
            Err(_) => {
                let found = processes()?.find(|pid| has_locked(*pid, of));
                return found.map(Some).ok_or_else(|| io::ErrorKind::Unsupported.into());
            }
        };
        let found = holder_in(&list, of);
        if found.is_some() || list.len() < SURELY_WHOLE {
            return Ok(found);
        }
    }
    Ok(None)
}

/// How often a list that may lack an entry is read before the lock counts as free. An entry is lost to a few readings in
/// ten thousand while a hundred locks are taken and released without a pause.
const READINGS: usize = 5;

/// Half of the smallest page, in bytes. A list that is no longer was read by one call.
const SURELY_WHOLE: usize = 2048;

/// The list of locks. One read(2) returns a page at most, and the kernel finds the place where the next one goes on by
/// counting entries: once a lock in front of that place is released, an entry that stays is skipped. So each read gets room
/// for all that it may return; `fs::read_to_string` begins with 32 bytes.
fn read_list() -> io::Result<String> {
    let mut text = Vec::with_capacity(1 << 16);
    fs::File::open("/proc/locks")?.read_to_end(&mut text)?;
    String::from_utf8(text).map_err(|_| io::ErrorKind::InvalidData.into())
}

fn holder_in(list: &str, of: FileId) -> Option<i32> {
    let same_inode: Vec<Entry> = exclusive(list).filter(|entry| entry.inode == of.1).collect();
    let (major, minor) = (libc::major(of.0), libc::minor(of.0));
    let exact = same_inode.iter().find(|entry| entry.device == (major, minor));
    // Of a file on btrfs the list has another device than stat(2).
    let found = exact.or_else(|| same_inode.iter().find(|entry| has_locked(entry.pid, of)));
    found.map(|entry| entry.pid)
}

/// The name in /proc of the descriptor by which a process has the file open; `None` where that cannot be read.
pub(crate) fn descriptor_in(pid: i32, file: FileId) -> Option<PathBuf> {
    descriptors_of(pid, file).next().map(|entry| entry.path())
}

/// Whether any other process that can be seen has the file open.
pub(crate) fn is_open_elsewhere(file: FileId) -> bool {
    let others = processes().into_iter().flatten().filter(|pid| *pid != own_pid().as_raw());
    others.into_iter().any(|pid| descriptors_of(pid, file).next().is_some())
}

/// Whether a process has the file locked through one of its descriptors, which it may have inherited.
fn has_locked(pid: i32, file: FileId) -> bool {
    descriptors_of(pid, file).any(|entry| {
        let info = fs::read_to_string(Path::new(&format!("/proc/{pid}/fdinfo")).join(entry.file_name()));
        let locks = info.unwrap_or_default();
        locks.lines().filter_map(|line| line.strip_prefix("lock:")).any(|lock| exclusive(lock).next().is_some())
    })
}

/// The descriptors by which a process has a file open.
fn descriptors_of(pid: i32, file: FileId) -> impl Iterator<Item = fs::DirEntry> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries.filter(move |entry| fs::metadata(entry.path()).is_ok_and(|found| (found.dev(), found.ino()) == file))
}

fn processes() -> io::Result<impl Iterator<Item = i32>> {
    let entries = fs::read_dir("/proc")?.flatten();
    Ok(entries.filter_map(|entry| stat::integer::<i32>(entry.file_name().as_bytes())))
}

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    pid: i32,
    device: (u32, u32),
    inode: u64,
}

/// The exclusive locks of flock(2) in the text of the list, such as `1: FLOCK  ADVISORY  WRITE 4711 fe:00:42 0 EOF`. One
/// that waits has an arrow in front of its kind; a holder on another machine has no pid.
fn exclusive(text: &str) -> impl Iterator<Item = Entry> + '_ {
    text.lines().filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let kind = [words.next()?, words.next()?, words.next()?];
        if kind[0] != "FLOCK" || kind[2] != "WRITE" {
            return None;
        }
        let pid = words.next()?.parse().ok().filter(|pid| *pid > 0)?;
        let mut place = words.next()?.split(':');
        let mut hexadecimal = || u32::from_str_radix(place.next()?, 16).ok();
        let device = (hexadecimal()?, hexadecimal()?);
        Some(Entry { pid, device, inode: place.next()?.parse().ok()? })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::file;
    use std::os::fd::AsFd;

    #[test]
    fn only_exclusive_flocks_with_a_pid_are_taken_from_the_list() {
        let text = "1: FLOCK  ADVISORY  WRITE 4711 fe:1f:42 0 EOF\n1: -> FLOCK  ADVISORY  WRITE 12 fe:1f:42 0 EOF\n\
            2: FLOCK  ADVISORY  READ 13 fe:1f:42 0 EOF\n3: POSIX  ADVISORY  WRITE 14 fe:1f:42 0 EOF\n\
            4: FLOCK  ADVISORY  WRITE -1 fe:1f:42 0 EOF\n5: OFDLCK ADVISORY  WRITE -1 fe:1f:42 0 EOF\n\
            6: FLOCK  ADVISORY  WRITE 15 <none>:0 0 EOF\n7: FLOCK\n\n8: FLOCK  ADVISORY  WRITE 16 00:05:18446744073709551615 0 EOF\n";
        let entry = |pid, device, inode| Entry { pid, device, inode };
        let found: Vec<Entry> = exclusive(text).collect();
        assert_eq!(found, [entry(4711, (0xfe, 0x1f), 42), entry(16, (0, 5), u64::MAX)]);
    }

    #[test]
    fn holder_of_a_lock_is_named_until_it_is_released() {
        let place = tempfile::tempdir().unwrap();
        let found = fs::metadata(place.path()).unwrap();
        let id = (found.dev(), found.ino());
        let dir = fs::File::open(place.path()).unwrap();
        assert_eq!(holder(id).unwrap(), None);
        assert!(file::try_lock(dir.as_fd()).unwrap());
        let own = std::process::id() as i32;
        assert_eq!(holder(id).unwrap(), Some(own));
        assert!(has_locked(own, id));
        let path = || fs::read_link(descriptor_in(own, id)?).ok();
        assert_eq!(path().as_deref(), Some(fs::canonicalize(place.path()).unwrap().as_path()));
        file::unlock(dir.as_fd());
        assert_eq!(holder(id).unwrap(), None);
        assert!(!has_locked(own, id));
        drop(dir);
        assert_eq!(path(), None);
    }

    #[test]
    fn holder_is_found_while_locks_before_it_in_the_list_come_and_go() {
        use std::sync::atomic::{AtomicBool, Ordering};

        let place = tempfile::tempdir().unwrap();
        let locked = |name: &str| {
            let file = fs::File::create(place.path().join(name)).unwrap();
            assert!(file::try_lock(file.as_fd()).unwrap());
            file
        };
        let held = locked("held");
        let id = file_id(held.as_fd()).unwrap();
        // More than a page of them.
        let others: Vec<fs::File> = (0..100).map(|number| locked(&number.to_string())).collect();
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    others.iter().for_each(|other| file::unlock(other.as_fd()));
                    assert!(others.iter().all(|other| file::try_lock(other.as_fd()).unwrap()));
                }
            });
            let holders: Vec<_> = (0..2000).map(|_| holder(id)).collect();
            // Before anything here may panic: the other thread would go on for ever.
            ended.store(true, Ordering::Relaxed);
            assert!(holders.into_iter().all(|holder| holder.unwrap().is_some()));
        });
    }
}
