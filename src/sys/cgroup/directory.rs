// SPDX-License-Identifier: MPL-2.0
//! One cgroup of version 2, by the path of its directory. No descriptor is kept, because there may be ten thousand.
//!
//! Everything here includes the cgroups that its processes have created below it.

use std::ffi::{CString, OsStr};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::control;
use crate::sys::pid::{Pid, effective_uid};
use crate::sys::proc::stat;
use crate::sys::signal::{Signal, kill_process};
use crate::sys::{fail, pidfd};

/// How deep cgroups of a process's own are looked through, and removed. The kernel has a limit as well (`cgroup.max.depth`).
const DEPTH: usize = 32;

/// What a child needs to enter a cgroup.
#[derive(Debug)]
pub(crate) struct Entrance {
    /// The directory, for `CLONE_INTO_CGROUP`.
    pub(crate) directory: File,
    /// Its `cgroup.procs`, for a child that moves itself.
    pub(crate) procs: File,
}

/// Makes a cgroup, unless it is there.
pub(crate) fn make(path: &Path) -> io::Result<()> {
    fail::failing("cgroup:make")?;
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Opens a cgroup for a child, and makes it if it is not there.
pub(crate) fn open(path: &Path) -> io::Result<Entrance> {
    match open_made(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make(path)?;
            open_made(path)
        }
        opened => opened,
    }
}

fn open_made(path: &Path) -> io::Result<Entrance> {
    fail::failing("cgroup:open")?;
    let directory = OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(path)?;
    let procs = OpenOptions::new().write(true).open(path.join("cgroup.procs"))?;
    Ok(Entrance { directory, procs })
}

/// What `cgroup.events` says of one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CgroupState {
    /// Whether any process is in it. One that has ended may count for a moment longer, and until it is reaped it does not.
    pub(crate) is_populated: bool,
    /// Whether what is in it, or enters it, stands still.
    pub(crate) is_frozen: bool,
}

/// What one is in. One that was removed is in neither.
pub(crate) fn state(path: &Path) -> io::Result<CgroupState> {
    fail::failing("cgroup:read")?;
    let events = if_there(fs::read(path.join("cgroup.events")))?.unwrap_or_default();
    let says = |wanted: &[u8]| events.split(|byte| *byte == b'\n').any(|line| line == wanted);
    Ok(CgroupState { is_populated: says(b"populated 1"), is_frozen: says(b"frozen 1") })
}

/// Whether any process is in it.
pub(crate) fn is_populated(path: &Path) -> io::Result<bool> {
    state(path).map(|state| state.is_populated)
}

/// The processes in it that have not ended. Those of another pid namespace have no number here and are left out.
pub(crate) fn processes(path: &Path) -> io::Result<Vec<Pid>> {
    fail::failing("cgroup:read")?;
    let mut found = Vec::new();
    each(path, DEPTH, &mut |path| {
        let listed = match if_there(fs::read(path.join("cgroup.procs"))) {
            // A threaded cgroup lists its processes in the cgroup above it.
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => None,
            listed => listed?,
        };
        let listed = listed.unwrap_or_default();
        let numbers =
            listed.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok()?.parse().ok());
        found.extend(numbers.filter_map(Pid::from_raw));
        Ok(())
    })?;
    found.sort_unstable_by_key(|pid| pid.as_raw());
    found.dedup();
    Ok(found)
}

/// Ends all processes in it with SIGKILL, those included that are being forked, and frozen ones. One that was removed has none.
/// It is thawed, or what enters it later would stand still.
pub(crate) fn kill_all(path: &Path) -> io::Result<()> {
    fail::failing("cgroup:kill")?;
    match control::set(path, "cgroup.kill", "1") {
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_cgroup(path) => kill_frozen(path),
        Ok(()) => {
            // What cannot be signalled now the caller finds alive.
            let _ = kill_without_first_thread(path);
            freeze(path, "0")
        }
        killed => if_there(killed).map(drop),
    }
}

/// Ends those whose first thread has ended: Linux 6.18 passes over them at `cgroup.kill`
/// (`findings/cgroup-kill-misses-process-without-main-thread.sh`).
fn kill_without_first_thread(path: &Path) -> io::Result<()> {
    for pid in processes(path)? {
        if !stat::read(pid.as_raw())?.is_some_and(|stat| stat.outlives_first_thread()) {
            continue;
        }
        let Ok(process) = pidfd::open(pid) else { continue };
        // ORDER: listed once more after it was opened: a process with the recycled pid is not in the cgroup.
        if processes(path)?.contains(&pid) {
            pidfd::signal(process.as_fd(), Signal::KILL)?;
        }
    }
    Ok(())
}

/// Has the processes in it stand still or go on (Linux 5.2).
fn freeze(path: &Path, state: &str) -> io::Result<()> {
    if_there(control::set(path, "cgroup.freeze", state)).map(drop)
}

/// Before Linux 5.14: one by one, while they are frozen and so cannot fork (Linux 5.2). SIGKILL ends a frozen process.
fn kill_frozen(path: &Path) -> io::Result<()> {
    let frozen = freeze(path, "1");
    kill_each(path).and(frozen).and(freeze(path, "0"))
}

/// A pid that was listed can be recycled only once its process was ended by another one, in between.
fn kill_each(path: &Path) -> io::Result<()> {
    let kills = processes(path)?.into_iter().map(|pid| match kill_process(pid, Signal::KILL) {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        sent => sent,
    });
    kills.fold(Ok(()), Result::and)
}

/// Whether a path is that of a directory of the hierarchy.
pub(crate) fn is_cgroup(path: &Path) -> bool {
    path.join("cgroup.procs").exists()
}

/// Removes it, if it is there and neither a process nor another cgroup is in it.
///
/// # Errors
/// EBUSY or ENOTEMPTY where there is one.
pub(crate) fn remove_empty(path: &Path) -> io::Result<()> {
    if_there(fs::remove_dir(path)).map(drop)
}

/// Removes those right below it that no process is in, and says of the first that could not be why.
pub(crate) fn remove_children(path: &Path) -> io::Result<()> {
    let mut result: io::Result<()> = Ok(());
    for below in below(path)? {
        // What is in use says least.
        result = match (result, remove(&below)) {
            (Err(error), _) if error.raw_os_error() != Some(libc::EBUSY) => Err(error),
            (_, Err(error)) => Err(error),
            (result, Ok(())) => result,
        };
    }
    result
}

/// Removes it with those below it, if it is there.
///
/// # Errors
/// EBUSY while a process is in it.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    fail::failing("cgroup:remove")?;
    match if_there(fs::remove_dir(path)) {
        // Its processes have made some below it.
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) && !is_populated(path)? => {
            each(path, DEPTH, &mut |path| if_there(fs::remove_dir(path)).map(drop))
        }
        removed => removed.map(drop),
    }
}

/// Whether the systemd of the machine has given it away to this process, with all below it: it says so in an attribute
/// (`Delegate=`, systemd 238; for other users than root 251). The systemd of a user says nothing of its units
/// (`findings/user-unit-without-delegate-mark.sh`): see [`is_given`].
pub(crate) fn is_marked_delegated(path: &Path) -> bool {
    ["trusted.delegate", "user.delegate"].iter().any(|name| attribute(path, name) == Some(b'1'))
}

/// Whether it was given to the user of this process, who is not root: a cgroup is its maker's, unless that gives it away
/// (cgroups(7), "Delegating a hierarchy").
pub(crate) fn is_given(path: &Path) -> bool {
    let user = effective_uid();
    user != 0 && fs::metadata(path).is_ok_and(|directory| directory.uid() == user)
}

/// The only byte of an extended attribute.
fn attribute(path: &Path, name: &str) -> Option<u8> {
    let c_string = |text: &[u8]| CString::new(text).ok();
    let (path, name) = (c_string(path.as_os_str().as_bytes())?, c_string(name.as_bytes())?);
    let mut value = 0u8;
    // SAFETY: two NUL-terminated strings and a buffer of the size that is passed, which live through the call.
    let length = unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), (&raw mut value).cast(), 1) };
    (length == 1).then_some(value)
}

/// Does something for those below one, and then for itself. It needs one descriptor at a time.
fn each(path: &Path, depth: usize, action: &mut dyn FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    let below = if depth > 0 { below(path)? } else { Vec::new() };
    for below in below {
        each(&below, depth - 1, action)?;
    }
    action(path)
}

/// Those of this name anywhere below one, of so many that are looked at; nothing is looked for in them.
pub(crate) fn search(top: &Path, name: &OsStr, most: usize) -> Vec<PathBuf> {
    let (mut found, mut looked_at, mut left) = (Vec::new(), 0, vec![top.to_owned()]);
    while let Some(path) = left.pop() {
        // What cannot be read cannot be ours, or is gone.
        for below in below(&path).unwrap_or_default() {
            looked_at += 1;
            if looked_at > most {
                return found;
            }
            match below.file_name() == Some(name) {
                true => found.push(below),
                false if may_have_others(&below) => left.push(below),
                false => {}
            }
        }
    }
    found
}

/// Whether there may be any below one: most have none, which their number of links tells without a look at their files.
fn may_have_others(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|directory| directory.nlink() != 2)
}

/// Those right below one; none if it is not there.
pub(crate) fn below(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in if_there(fs::read_dir(path))?.into_iter().flatten() {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// `None` where it is not there, or was removed while it was open.
fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV)) => Ok(None),
        result => result.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::sys::cgroup::hierarchy::{Whose, directory_of};
    use crate::sys::proc::without_first_thread::WithoutFirstThread;
    use crate::sys::random::uuid;

    #[test]
    fn process_without_its_first_thread_is_ended_with_its_cgroup() {
        let Some(own) = directory_of(Whose::Own).unwrap() else { return };
        let path = own.join(format!("proxyprocess-test-{}", uuid().unwrap()));
        if make(&path).is_err() {
            return; // not as this user
        }
        let enter = |pid: i32| fs::write(path.join("cgroup.procs"), pid.to_string()).unwrap();
        let process = WithoutFirstThread::start_when(enter);
        assert_eq!(processes(&path).unwrap().len(), 1);
        kill_all(&path).unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while stat::is_alive(process.pid) {
            assert!(Instant::now() < deadline, "it lives");
            std::thread::yield_now();
        }
        drop(process);
        remove(&path).unwrap();
    }

    /// As before Linux 5.14.
    #[test]
    fn processes_of_a_cgroup_are_ended_one_by_one_where_it_cannot_be_killed() {
        let Some(own) = directory_of(Whose::Own).unwrap() else { return };
        let path = own.join(format!("proxyprocess-test-{}", uuid().unwrap()));
        if make(&path).is_err() {
            return; // not as this user
        }
        let mut children = Vec::from([(), (), ()].map(|()| {
            let child = Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap();
            fs::write(path.join("cgroup.procs"), child.id().to_string()).unwrap();
            child
        }));
        assert_eq!(processes(&path).unwrap().len(), 3);
        kill_frozen(&path).unwrap();
        for child in &mut children {
            assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
        }
        assert_eq!(state(&path).unwrap(), CgroupState::default());
        remove(&path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn cgroups_of_a_name_are_found_however_deep_and_as_far_as_is_looked() {
        let Some(own) = directory_of(Whose::Own).unwrap() else { return };
        let top = own.join(format!("proxyprocess-test-{}", uuid().unwrap()));
        if make(&top).is_err() {
            return; // not as this user
        }
        let wanted = ["a/it", "a/b/c/it", "it"].map(|path| top.join(path));
        for path in ["a", "a/b", "a/b/c", "a/it", "a/b/c/it", "it", "it/it", "other"].map(|path| top.join(path)) {
            make(&path).unwrap();
        }
        let found = |most| {
            let mut found = search(&top, "it".as_ref(), most);
            found.sort();
            found
        };
        let mut all = wanted.to_vec();
        all.sort();
        assert_eq!(found(100), all, "and not what is in one of them");
        assert!(found(2).len() < 3 && found(0).is_empty());
        assert!(search(&top.join("nosuch"), "it".as_ref(), 100).is_empty());
        remove(&top).unwrap();
    }
}
