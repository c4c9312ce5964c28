// SPDX-License-Identifier: MPL-2.0
//! An open directory: no path is resolved twice, and no symbolic link is followed.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::at::{open_at, stat_at};
use super::outside::read_whole;
use super::owner::{self, check_owner, check_private, refused};
use crate::sys::pid::effective_uid;
use crate::sys::{check, fail};

/// An open directory.
#[derive(Debug)]
pub(crate) struct Dir(pub(super) OwnedFd);

impl Dir {
    /// Opens the directory at a path of the user's, following links: where the data live is the user's business.
    pub(crate) fn open(path: &Path) -> io::Result<Dir> {
        owner::open_dir(libc::AT_FDCWD, &CString::new(path.as_os_str().as_bytes())?, 0).map(Dir)
    }

    /// The same, but no link of another user's: in a directory like /tmp any user can make one that leads to a directory
    /// of ours, and have it used as what it is not.
    pub(crate) fn open_unless_planted(path: &Path) -> io::Result<Dir> {
        // Without the slashes at its end, behind which the link itself cannot be seen.
        let path = path.components().as_path();
        let found = stat_at(libc::AT_FDCWD, &CString::new(path.as_os_str().as_bytes())?, libc::AT_SYMLINK_NOFOLLOW)?;
        if found.st_mode & libc::S_IFMT == libc::S_IFLNK && ![0, effective_uid()].contains(&found.st_uid) {
            return refused(format!("a link of user {}, expected one of user {}", found.st_uid, effective_uid()));
        }
        Dir::open(path)
    }

    /// Opens a directory in this one, which must not be a link.
    pub(crate) fn open_dir(&self, name: &CStr) -> io::Result<Dir> {
        fail::failing("dir:open")?;
        owner::open_dir(self.raw(), name, libc::O_NOFOLLOW).map(Dir)
    }

    /// Opens a directory in this one, and creates it with mode 0700 when it is not there.
    pub(crate) fn open_or_create_dir(&self, name: &CStr) -> io::Result<Dir> {
        match self.open_dir(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        fail::failing("dir:make")?;
        owner::make_dir(self.raw(), name)?;
        self.open_dir(name)
    }

    /// Refuses a directory of another user or that others may write to.
    ///
    /// What others could write they may have prepared; what they could only read is no reason to refuse. Device and inode
    /// of any other.
    pub(crate) fn check_private(&self) -> io::Result<(u64, u64)> {
        let found = self.stat()?;
        check_private(&found).map(|()| (found.st_dev, found.st_ino))
    }

    /// Whether the directory in this one with this device and inode still has this name, and would not be refused. Where
    /// that cannot be known it is as good as gone.
    pub(crate) fn still_has(&self, name: &CStr, inode: (u64, u64)) -> bool {
        let found = fail::failing("dir:look").and_then(|()| stat_at(self.raw(), name, libc::AT_SYMLINK_NOFOLLOW));
        found.is_ok_and(|found| (found.st_dev, found.st_ino) == inode && check_private(&found).is_ok())
    }

    /// The same as [`Dir::check_private`], and takes read access from others.
    pub(crate) fn make_private(&self) -> io::Result<(u64, u64)> {
        let inode = self.check_private()?;
        let mode = self.stat()?.st_mode;
        if mode & 0o700 == 0o700 && mode & 0o077 == 0 {
            return Ok(inode);
        }
        // SAFETY: the descriptor is open for the time of the call.
        match check(i64::from(unsafe { libc::fchmod(self.raw(), 0o700) })) {
            // It cannot be changed now, which is no reason to do without what is in it.
            Err(error) if error.raw_os_error() == Some(libc::EROFS) => Ok(inode),
            result => result.map(|_| inode),
        }
    }

    /// Whether the directory, which was opened by this path, was removed: it has no name any more, and nothing can be
    /// made in it.
    pub(crate) fn is_removed_from(&self, path: &Path) -> io::Result<bool> {
        let found = self.stat()?;
        if found.st_nlink > 0 {
            return Ok(false);
        }
        // Some file systems count no names at all.
        let there = std::fs::metadata(path).map(|there| (there.dev(), there.ino()));
        Ok(there.ok() != Some((found.st_dev, found.st_ino)))
    }

    /// Opens a regular file of this user's, created with mode 0600; a link or anything else under that name is refused,
    /// and, for writing, a file that has another name elsewhere.
    pub(crate) fn open_file(&self, name: &CStr, flags: i32) -> io::Result<File> {
        self.open_checked(name, flags, |_, found| check_owner(found))
    }

    /// The same for writing, but the file of another user is made this user's again. Its content counts for nothing to
    /// the caller, and this directory is one that no other user may write to.
    ///
    /// # Errors
    /// EPERM where that is not permitted, EACCES where the file cannot even be opened.
    pub(crate) fn open_file_taken_back(&self, name: &CStr, flags: i32) -> io::Result<File> {
        self.open_checked(name, flags, |file, found| match check_owner(found) {
            Err(_) if found.st_nlink == 1 => owner::take_back(file),
            checked => checked,
        })
    }

    /// The same for writing, and the file is made one of this user and group, whosever it is; one with several names is
    /// refused.
    ///
    /// # Errors
    /// EPERM where that is not permitted.
    pub(crate) fn open_file_given_to(&self, name: &CStr, flags: i32, uid: u32, gid: u32) -> io::Result<File> {
        self.open_checked(name, flags, |file, found| match (found.st_uid, found.st_gid) == (uid, gid) {
            false if found.st_nlink == 1 => owner::give(file, uid, gid),
            _ => Ok(()),
        })
    }

    /// Opens a regular file for reading, whosever it is: for what is in a directory that is ours alone and counts for nothing.
    pub(crate) fn open_file_of_any_owner(&self, name: &CStr) -> io::Result<File> {
        self.open_checked(name, libc::O_RDONLY, |_, _| Ok(()))
    }

    fn open_checked(
        &self,
        name: &CStr,
        flags: i32,
        check_owner: impl FnOnce(&File, &libc::stat) -> io::Result<()>,
    ) -> io::Result<File> {
        // A named pipe would block without O_NONBLOCK; to a regular file it means nothing.
        // Nothing is cut off before it is known whose it is.
        let opened = flags & !libc::O_TRUNC | libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = File::from(open_at(self.raw(), name, opened, 0o600)?);
        let found = stat_at(file.as_raw_fd(), c"", libc::AT_EMPTY_PATH)?;
        if found.st_mode & libc::S_IFMT != libc::S_IFREG {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        check_owner(&file, &found)?;
        if flags & libc::O_ACCMODE != libc::O_RDONLY {
            if found.st_nlink > 1 {
                return refused(format!("a file with {} names, expected 1", found.st_nlink));
            }
            if found.st_mode & 0o777 != 0o600 {
                file.set_permissions(PermissionsExt::from_mode(0o600))?;
            }
            if flags & libc::O_TRUNC != 0 && found.st_size > 0 {
                file.set_len(0)?;
            }
        }
        Ok(file)
    }

    /// The content of a file of at most `limit` bytes.
    pub(crate) fn read(&self, name: &CStr, limit: u64) -> io::Result<Vec<u8>> {
        fail::failing("read:open")?;
        read_whole(self.open_file(name, libc::O_RDONLY)?, limit)
    }

    /// Gives a file another name as well, which nothing must have yet.
    pub(crate) fn link(&self, from: &CStr, to: &CStr) -> io::Result<()> {
        // SAFETY: both names are NUL-terminated and live through the call.
        let result = unsafe { libc::linkat(self.raw(), from.as_ptr(), self.raw(), to.as_ptr(), 0) };
        check(i64::from(result)).map(drop)
    }

    pub(crate) fn rename(&self, from: &CStr, to: &CStr) -> io::Result<()> {
        // SAFETY: both names are NUL-terminated and live through the call.
        let result = unsafe { libc::renameat(self.raw(), from.as_ptr(), self.raw(), to.as_ptr()) };
        check(i64::from(result)).map(drop)
    }

    /// Removes a file; one that is not there is as good as removed.
    pub(crate) fn remove(&self, name: &CStr) -> io::Result<()> {
        fail::failing("remove")?;
        // SAFETY: the name is NUL-terminated and lives through the call.
        match check(i64::from(unsafe { libc::unlinkat(self.raw(), name.as_ptr(), 0) })) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Device and inode of the directory itself.
    pub(crate) fn own_inode(&self) -> io::Result<(u64, u64)> {
        stat_at(self.raw(), c".", 0).map(|found| (found.st_dev, found.st_ino))
    }

    /// When the directory was made, in nanoseconds (statx(2), `STATX_BTIME`); `None` where the file system does not tell.
    pub(crate) fn born(&self) -> io::Result<Option<u64>> {
        let mut found = MaybeUninit::<libc::statx>::zeroed();
        // SAFETY: the name is NUL-terminated, `found` is writable memory of the right type, and both live through the call.
        let result = unsafe {
            libc::statx(self.raw(), c"".as_ptr(), libc::AT_EMPTY_PATH, libc::STATX_BTIME, found.as_mut_ptr())
        };
        match check(i64::from(result)) {
            // A sandbox that does not know the call.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => return Ok(None),
            result => result?,
        };
        // SAFETY: zeroed memory is a valid struct statx.
        let found = unsafe { found.assume_init() };
        let nanoseconds = || {
            let seconds = u64::try_from(found.stx_btime.tv_sec).ok()?;
            seconds.checked_mul(1_000_000_000)?.checked_add(found.stx_btime.tv_nsec.into())
        };
        Ok(if found.stx_mask & libc::STATX_BTIME != 0 { nanoseconds() } else { None })
    }

    /// Whether there is a symbolic link under a name, as far as that can be known.
    pub(crate) fn is_link(&self, name: &CStr) -> bool {
        let found = stat_at(self.raw(), name, libc::AT_SYMLINK_NOFOLLOW);
        found.is_ok_and(|found| found.st_mode & libc::S_IFMT == libc::S_IFLNK)
    }

    /// Whether there is a regular file of another user under a name, as far as that can be known.
    pub(crate) fn is_foreign_file(&self, name: &CStr) -> bool {
        let found = stat_at(self.raw(), name, libc::AT_SYMLINK_NOFOLLOW);
        found.is_ok_and(|found| found.st_mode & libc::S_IFMT == libc::S_IFREG && check_owner(&found).is_err())
    }

    fn stat(&self) -> io::Result<libc::stat> {
        stat_at(self.raw(), c"", libc::AT_EMPTY_PATH)
    }

    /// The names in the directory.
    pub(crate) fn list(&self) -> io::Result<Vec<std::ffi::OsString>> {
        fail::failing("dir:list")?;
        std::fs::read_dir(format!("/proc/self/fd/{}", self.raw()))?.map(|entry| Ok(entry?.file_name())).collect()
    }

    pub(super) fn raw(&self) -> i32 {
        self.0.as_raw_fd()
    }
}

impl From<Dir> for OwnedFd {
    fn from(dir: Dir) -> OwnedFd {
        dir.0
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
