// SPDX-License-Identifier: MPL-2.0
//! Which files and directories are used: only those of this user, and only directories that no other user may write to.
//! If a file of ours has a changed owner or mode, and is provably ours, the owner and mode are restored.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::at::{open_at, stat_at};
use crate::sys::check;
use crate::sys::pid::effective_uid;

pub(super) fn check_owner(found: &libc::stat) -> io::Result<()> {
    if found.st_uid == effective_uid() {
        return Ok(());
    }
    refused(format!("owned by user {}, expected {}", found.st_uid, effective_uid()))
}

pub(super) fn check_private(found: &libc::stat) -> io::Result<()> {
    check_owner(found)?;
    match found.st_mode & 0o7777 {
        mode if mode & 0o022 == 0 => Ok(()),
        mode => refused(format!("others may write to it (mode {mode:04o}), expected 0700")),
    }
}

/// What we refuse ourselves has no errno.
pub(super) fn refused<T>(why: String) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
}

/// Makes an open file this user's again. The caller has found it in a directory that no other user may write to, under
/// its only name: then it was ours and a privileged process has changed its owner, as nginx does with its logs.
///
/// # Errors
/// EPERM without CAP_CHOWN (chown(2)).
pub(super) fn take_back(file: &File) -> io::Result<()> {
    // SAFETY: getegid has no preconditions and cannot fail.
    let group = unsafe { libc::getegid() };
    give(file, effective_uid(), group)
}

/// Makes an open file one of this user and group.
///
/// # Errors
/// EPERM without CAP_CHOWN (chown(2)).
pub(super) fn give(file: &File, uid: u32, gid: u32) -> io::Result<()> {
    // SAFETY: the descriptor is open for the time of the call.
    check(i64::from(unsafe { libc::fchown(file.as_raw_fd(), uid, gid) })).map(drop)
}

/// Opens a directory. One of this user's whose mode shuts its owner out gets mode 0700 first: mkdir(2) makes it so under
/// a umask of 0777, and no later agent could open it.
pub(super) fn open_dir(parent: i32, name: &CStr, flags: i32) -> io::Result<OwnedFd> {
    let open = || open_at(parent, name, flags | libc::O_RDONLY | libc::O_DIRECTORY, 0);
    match open() {
        Err(error) if error.raw_os_error() == Some(libc::EACCES) => match admit_owner(parent, name, flags) {
            Ok(true) => open(),
            _ => Err(error),
        },
        opened => opened,
    }
}

/// Gives the owner of a directory its rights; false when it is not this user's, or has them.
fn admit_owner(parent: i32, name: &CStr, flags: i32) -> io::Result<bool> {
    // Opening a place needs no right to read it (open(2), O_PATH).
    let place = open_at(parent, name, flags | libc::O_PATH | libc::O_DIRECTORY, 0)?;
    let found = stat_at(place.as_raw_fd(), c"", libc::AT_EMPTY_PATH)?;
    if found.st_uid != effective_uid() || found.st_mode & 0o700 == 0o700 {
        return Ok(false);
    }
    // fchmod(2) takes no such descriptor; fchmodat2(2), which does, is new (Linux 6.6).
    let path = CString::new(format!("/proc/self/fd/{}", place.as_raw_fd()))?;
    // SAFETY: the path is NUL-terminated and lives through the call.
    check(i64::from(unsafe { libc::chmod(path.as_ptr(), 0o700) })).map(|_| true)
}

/// Makes a directory of this user's with mode 0700, whatever the umask is; one that is there already is good.
pub(super) fn make_dir(parent: i32, name: &CStr) -> io::Result<()> {
    // SAFETY: the name is NUL-terminated and lives through the call.
    match check(i64::from(unsafe { libc::mkdirat(parent, name.as_ptr(), 0o700) })) {
        // Its mode is seen to when it is opened, if that fails here.
        Ok(_) => admit_owner(parent, name, libc::O_NOFOLLOW).map(drop).or(Ok(())),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes a directory, and those that it is in, each with mode 0700, whatever the umask is.
///
/// # Errors
/// EEXIST when something else than a directory has the name; and as mkdir(2).
pub(crate) fn create_dir_all(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        create_dir_all(parent)?;
    }
    make_dir(libc::AT_FDCWD, &CString::new(path.as_os_str().as_bytes())?)?;
    // Another process may have made it meanwhile, or something else. A link may be one that may not be followed.
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        _ => Err(io::ErrorKind::AlreadyExists.into()),
    }
}
