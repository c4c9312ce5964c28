// SPDX-License-Identifier: MPL-2.0
//! Whether another agent supervises a process that is claimed here: then it is left alone.
//!
//! A copied data directory (a backup, a staging copy) names the processes of the original. Two things show that another
//! agent has them. First, the owner tag of a process names the data directory from which it was started, and the
//! manager of that directory holds its lock while it is alive. Second, an agent that adopts a process of another
//! directory locks (flock(2)) the pidfd of the process, which is the same file for all agents since processes have
//! inodes (Linux 6.9). So if the agent of the original is gone and several agents have copies, only one gets the
//! process. Before Linux 6.9 nothing tells these agents apart.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::logging::{self, Level};
use crate::store::DirectoryId;
use crate::sys::file::Dir;
use crate::sys::fork_safe::PerProcess;
use crate::sys::pid::{Pid, effective_uid};
use crate::sys::proc::lock_holder::{self, FileId};
use crate::sys::proc::stat;
use crate::sys::{file, is_exhausted, pidfd};

/// How long an agent that is in the way may be about to end, killed just now. Short of what makes a spawner count as stuck.
const PATIENCE: Duration = Duration::from_millis(500);

/// Between two checks of it.
const PAUSE: Duration = Duration::from_millis(5);

/// After so long it is another occasion, at which the agent may be about to end.
const OCCASION: Duration = Duration::from_secs(10);

/// Since when each agent is in the way. All processes of a copied directory are refused for one and the same, and must not
/// each wait for its end.
static IN_THE_WAY: PerProcess<Mutex<HashMap<i32, Instant>>> = PerProcess::new(Mutex::default);

/// Why a process is left alone, if the manager of the directory that it was started from lives and has it locked. `own`:
/// the owner tag of the processes that are started here.
///
/// # Errors
/// When it cannot be known now.
pub(super) fn starter(pid: Pid, owner_tag: Option<&str>, own: &str) -> io::Result<Option<String>> {
    patiently(|| starter_now(pid, owner_tag, own))
}

/// Claims a process, which must have been proven to be the right one; or says why it is left alone. Of another directory it
/// stays claimed until [`release`].
///
/// # Errors
/// When it cannot be known now.
pub(super) fn claim(
    pid: Pid,
    process: Option<BorrowedFd<'_>>,
    owner_tag: Option<&str>,
    own: &str,
) -> io::Result<Option<String>> {
    let foreign = is_foreign(owner_tag, own);
    patiently(|| {
        if let Some(process) = process.filter(|_| pidfd::has_inodes()) {
            if let Some(rival) = try_lock(process)? {
                let reason = format!("pid {pid} is supervised by the agent of process {rival}: it is left alone");
                return Ok(Some((rival, reason)));
            }
        }
        // ORDER: the process is locked before the holder of its directory is read; the agent of that has locked
        // it before it tries to lock the process. So one of the two sees the other.
        let found = if foreign { starter_now(pid, owner_tag, own)? } else { None };
        if !foreign || found.is_some() {
            process.into_iter().for_each(release);
        }
        Ok(found)
    })
}

/// Whether another agent has claimed a process.
///
/// # Errors
/// When it cannot be known now.
pub(super) fn is_claimed(process: BorrowedFd<'_>) -> io::Result<bool> {
    if !pidfd::has_inodes() {
        return Ok(false);
    }
    let rival = try_lock(process)?;
    if rival.is_none() {
        release(process);
    }
    Ok(rival.is_some())
}

/// Another agent may claim the process from now on. Not left to the closing of the descriptor, of which a child in flight or
/// a worker of the host can have a copy.
pub(super) fn release(process: BorrowedFd<'_>) {
    if pidfd::has_inodes() {
        file::unlock(process);
    }
}

fn is_foreign(owner_tag: Option<&str>, own: &str) -> bool {
    let same_directory = |owner_tag| {
        DirectoryId::parse(owner_tag).zip(DirectoryId::parse(own)).is_some_and(|(one, other)| one.is(other))
    };
    owner_tag.is_some_and(|owner_tag| owner_tag != own && !same_directory(owner_tag))
}

type InTheWay = Option<(i32, String)>;

fn starter_now(pid: Pid, owner_tag: Option<&str>, own: &str) -> io::Result<InTheWay> {
    let directory = owner_tag.filter(|_| is_foreign(owner_tag, own)).and_then(DirectoryId::parse);
    let Some(directory) = directory else { return Ok(None) };
    let Some(holder) = living_holder(directory.file_id())? else { return Ok(None) };
    let opened = lock_holder::descriptor_in(holder, directory.file_id());
    if opened.as_deref().is_some_and(|opened| !is_open_at(opened, directory)) {
        return Ok(None);
    }
    let path = opened.and_then(|opened| fs::read_link(opened).ok());
    let path = path.map(|path| format!(" {}", path.display())).unwrap_or_default();
    let reason = format!(
        "pid {pid} was started from another data directory{path}, which process {holder} has: it is left alone \
         (is this one a copy?)"
    );
    Ok(Some((holder, reason)))
}

/// Whether what a process has open under the device and inode of a directory is that directory: the inode of one that was
/// removed may be another file's by now. Where that cannot be read, it counts as the directory.
fn is_open_at(opened: &Path, directory: DirectoryId) -> bool {
    match Dir::open(opened).and_then(|dir| DirectoryId::of(&dir)) {
        Ok(found) => found.is(directory),
        Err(error) => error.raw_os_error() != Some(libc::ENOTDIR),
    }
}

/// Takes the lock of a process; or says which other agent has it.
fn try_lock(process: BorrowedFd<'_>) -> io::Result<Option<i32>> {
    match file::try_lock(process) {
        Ok(true) => return Ok(None),
        Ok(false) => {}
        Err(error) => {
            // Where it cannot be locked, no other agent has locked it either.
            logging::write(Level::Warn, format_args!("lock pidfd: {error}"));
            return Ok(None);
        }
    }
    let holder = living_holder(lock_holder::file_id(process)?)?;
    // Anybody may open a process and lock it. An agent that could supervise it is of our user, or root's.
    let owner = |holder: &i32| fs::metadata(format!("/proc/{holder}")).map(|found| found.uid());
    Ok(holder.filter(|holder| owner(holder).is_ok_and(|owner| owner == 0 || owner == effective_uid())))
}

/// The process that has locked a file, unless it has ended or is just ending.
fn living_holder(file: FileId) -> io::Result<Option<i32>> {
    match lock_holder::holder(file) {
        Ok(Some(holder)) => {
            let stat = stat::read(holder)?;
            Ok(stat.filter(|stat| !stat.is_dead() && !stat.is_exiting).map(|_| holder))
        }
        Err(error) if is_exhausted(&error) => Err(error),
        // No holder, or none that can be seen from here, nor its processes.
        Ok(None) | Err(_) => Ok(None),
    }
}

/// Asks again for a while: an agent that is in the way may have been killed just now.
fn patiently(ask: impl Fn() -> io::Result<InTheWay>) -> io::Result<Option<String>> {
    loop {
        match ask()? {
            None => return Ok(None),
            Some((rival, reason)) if !may_be_about_to_end(rival) => return Ok(Some(reason)),
            Some(_) => std::thread::sleep(PAUSE),
        }
    }
}

fn may_be_about_to_end(rival: i32) -> bool {
    let mut all = IN_THE_WAY.get().lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    all.retain(|_, since| now.duration_since(*since) < OCCASION);
    now.duration_since(*all.entry(rival).or_insert(now)) < PATIENCE
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn only_another_directory_or_a_drawn_origin_is_foreign() {
        assert!(!is_foreign(None, "1-2-3"));
        assert!(!is_foreign(Some("1-2-3"), "1-2-3"));
        assert!(!is_foreign(Some("1-2"), "1-2-3"), "as an earlier version has named it");
        assert!(is_foreign(Some("1-2-4"), "1-2-3"));
        assert!(is_foreign(Some("1-3-3"), "1-2-3"));
        assert!(is_foreign(Some("drawn"), "1-2-3"));
        assert!(!is_foreign(Some("drawn"), "drawn"));
    }

    #[test]
    fn claimed_process_is_seen_through_another_pidfd_until_it_is_released() {
        if !pidfd::has_inodes() {
            return; // nothing to lock then
        }
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = Pid::from_raw(child.id() as i32).unwrap();
        let [one, other] = [pidfd::open(pid).unwrap(), pidfd::open(pid).unwrap()];
        let claim = |fd: &std::os::fd::OwnedFd, owner_tag: &str| {
            claim(pid, Some(fd.as_fd()), Some(owner_tag), "1-2-3").unwrap()
        };
        assert_eq!(claim(&one, "1-2-3"), None);
        assert!(!is_claimed(other.as_fd()).unwrap(), "of the own directory it need not be kept");
        assert_eq!(claim(&one, "1-3-3"), None);
        assert!(is_claimed(other.as_fd()).unwrap());
        for owner_tag in ["1-2-3", "1-3-3"] {
            let reason = claim(&other, owner_tag).unwrap();
            assert!(reason.contains(&format!("supervised by the agent of process {}", std::process::id())), "{reason}");
        }
        release(one.as_fd());
        assert!(!is_claimed(other.as_fd()).unwrap());
        assert_eq!(claim(&other, "1-3-3"), None);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn process_of_a_directory_whose_manager_lives_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let dir = fs::File::open(place.path()).unwrap();
        let id = dir.metadata().unwrap();
        let owner_tag = format!("{:x}-{:x}", id.dev(), id.ino());
        let starter = |own: &str| starter(Pid::from_raw(7).unwrap(), Some(&owner_tag), own).unwrap();
        assert_eq!(starter("1-2-3"), None);
        assert!(file::try_lock(dir.as_fd()).unwrap());
        let reason = starter("1-2-3").unwrap();
        let path = fs::canonicalize(place.path()).unwrap();
        let told = format!("data directory {}, which process {} has", path.display(), std::process::id());
        assert!(reason.contains(&told), "{reason}");
        assert_eq!(starter(&owner_tag), None, "it is this one");
        file::unlock(dir.as_fd());
        assert_eq!(starter("1-2-3"), None);
    }
}
