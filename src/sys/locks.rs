//! Which process holds a lock (flock(2)) that another process has to do without: `/proc/locks` (proc_locks(5)).
//!
//! The pids there are those of the pid namespace that /proc was mounted for. A holder outside of it, and of the
//! namespaces below, is left out; so is one that has ended while others still have its descriptor, except in the first
//! namespace of all.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

use super::identity::own_pid;
use super::stat;

/// A file by device and inode, as stat(2) says them.
pub(crate) type FileId = (u64, u64);

/// The pid of the process that has taken the exclusive lock of a file; it may have ended since. `None`: no process of
/// this pid namespace has.
///
/// # Errors
/// When /proc has no such list (it is mounted with subset=pid), or is not ours.
pub(crate) fn holder(of: FileId) -> io::Result<Option<i32>> {
    stat::check_mounted()?;
    let text = fs::read_to_string("/proc/locks")?;
    let same_inode: Vec<Entry> = exclusive(&text).filter(|entry| entry.inode == of.1).collect();
    let (major, minor) = (libc::major(of.0), libc::minor(of.0));
    let exact = same_inode.iter().find(|entry| entry.device == (major, minor));
    // Of a file on btrfs the list has another device than stat(2).
    let found = exact.or_else(|| same_inode.iter().find(|entry| has_open(entry.pid, of)));
    Ok(found.map(|entry| entry.pid))
}

/// Whether a process has the file open; false where that cannot be looked at.
pub(crate) fn has_open(pid: i32, file: FileId) -> bool {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let mut found = entries.filter_map(|entry| fs::metadata(entry.path()).ok());
    found.any(|found| (found.dev(), found.ino()) == file)
}

/// Whether any other process that can be seen has the file open.
pub(crate) fn is_open_elsewhere(file: FileId) -> bool {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut others = entries.filter_map(|entry| stat::integer::<i32>(entry.file_name().as_bytes()));
    others.any(|pid| pid != own_pid().as_raw() && has_open(pid, file))
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
        assert!(has_open(own, id));
        file::unlock(dir.as_fd());
        assert_eq!(holder(id).unwrap(), None);
        drop(dir);
        assert!(!has_open(own, id));
    }
}
