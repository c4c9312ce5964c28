//! Files below a directory that is open: no path is walked twice, and no symbolic link is followed.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::file_owner::{self, check_owner, check_private, refused};
use super::pid::effective_uid;
use super::{check, fail, fd, signal};

/// An open directory.
#[derive(Debug)]
pub(crate) struct Dir(OwnedFd);

impl Dir {
    /// Opens the directory at a path of the user's, following links: where the data live is the user's business.
    pub(crate) fn open(path: &Path) -> io::Result<Dir> {
        file_owner::open_dir(libc::AT_FDCWD, &CString::new(path.as_os_str().as_bytes())?, 0).map(Dir)
    }

    /// The same, but no link of somebody else's: in a directory like /tmp anybody can make one that leads to a directory
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
        file_owner::open_dir(self.raw(), name, libc::O_NOFOLLOW).map(Dir)
    }

    /// Opens a directory in this one, and creates it with mode 0700 when it is not there.
    pub(crate) fn open_or_create_dir(&self, name: &CStr) -> io::Result<Dir> {
        match self.open_dir(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        fail::failing("dir:make")?;
        file_owner::make_dir(self.raw(), name)?;
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
            // Nobody can change it now, which is no reason to do without what is in it.
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
            Err(_) if found.st_nlink == 1 => file_owner::take_back(file),
            checked => checked,
        })
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

    /// Replaces a file's content: readers see the old or the new, whole. No fsync: see `DESIGN` in the README.
    ///
    /// # Errors
    /// EEXIST when something that cannot be removed has the temporary name.
    pub(crate) fn replace(&self, temporary: &CStr, name: &CStr, content: &[u8]) -> io::Result<()> {
        self.replace_by(temporary, name, |file| file.write_all(content))
    }

    /// The same, with a content that never is in memory as a whole.
    pub(crate) fn replace_by(
        &self,
        temporary: &CStr,
        name: &CStr,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<()> {
        let file = fail::failing("replace:open").and_then(|()| self.create_file(temporary))?;
        self.put(file, temporary, name, write)
    }

    /// Replaces the content of a file whose old content nobody needs any more: meanwhile there is no file. Where one of
    /// ours of the same length is there it is written to, for making a new one, and replacing one with it, takes a file
    /// system longer than all the rest (ext4, btrfs).
    ///
    /// # Errors
    /// As with [`Dir::replace`].
    pub(crate) fn rewrite(&self, temporary: &CStr, name: &CStr, content: &[u8]) -> io::Result<()> {
        let old = self.open_file(name, libc::O_WRONLY).ok();
        let length = old.as_ref().and_then(|file| file.metadata().ok()).map(|found| found.len());
        match old {
            // Another length would be changed by itself, and who has the file open already would see some of both.
            Some(mut file) if length == Some(content.len() as u64) => {
                fail::failing("replace:open")?;
                match self.rename(name, temporary) {
                    Ok(()) => self.put(file, temporary, name, |file| file.write_all(content)),
                    // In a directory that cannot be written to.
                    Err(_) => write_all(&mut file, content),
                }
            }
            old => self.replace(temporary, name, content).inspect_err(|_| {
                // What it says is not true any more, and nothing is better than that; the failure is returned.
                let _ = old.map(|file| file.set_len(0));
            }),
        }
    }

    /// Writes a file that has a temporary name, and gives it its own.
    fn put(
        &self,
        mut file: File,
        temporary: &CStr,
        name: &CStr,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<()> {
        fail::failing("replace:write")
            .and_then(|()| signal::without_file_size_signal(|| write(&mut file)))
            .and_then(|()| fail::failing("replace:rename"))
            .and_then(|()| self.rename(temporary, name))
            .inspect(|()| fail::point("replace:renamed"))
            .inspect_err(|_| {
                // A failure to tidy up must not hide the failure that is returned; the next write removes it anyway.
                let _ = self.remove(temporary);
            })
    }

    /// Creates a file in the place of one that was left under this name. What was planted there, a link or a pipe or
    /// another name of somebody's file, is removed and never opened.
    fn create_file(&self, name: &CStr) -> io::Result<File> {
        let create = || open_at(self.raw(), name, libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL, 0o600).map(File::from);
        let file = match create() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // Whether it could be removed is seen when the file is created.
                let _ = self.remove(name);
                create()?
            }
            created => created?,
        };
        // The host's umask must not take away the owner's rights.
        if file.metadata()?.mode() & 0o777 != 0o600 {
            file.set_permissions(PermissionsExt::from_mode(0o600))?;
        }
        Ok(file)
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

    /// Device and inode of what is under a name, whatever it is; `None` when nothing is. It needs no descriptor.
    pub(crate) fn inode(&self, name: &CStr) -> io::Result<Option<(u64, u64)>> {
        fail::failing("inode")?;
        match stat_at(self.raw(), name, libc::AT_SYMLINK_NOFOLLOW) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            found => found.map(|found| Some((found.st_dev, found.st_ino))),
        }
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

    fn raw(&self) -> i32 {
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

pub(super) fn open_at(dir: i32, name: &CStr, flags: i32, mode: u32) -> io::Result<OwnedFd> {
    // SAFETY: the name is NUL-terminated and lives through the call.
    let raw = unsafe { libc::openat(dir, name.as_ptr(), flags | libc::O_CLOEXEC, mode) };
    fd::own(check(i64::from(raw))?)
}

/// Writes to a file. One that would become larger than the host may make it is an error as any other.
pub(crate) fn write_all(file: &mut File, content: &[u8]) -> io::Result<()> {
    signal::without_file_size_signal(|| file.write_all(content))
}

/// What is larger is not read: only its size is asked for, and that again while it is read, for it may grow.
fn read_whole(file: File, limit: u64) -> io::Result<Vec<u8>> {
    let too_large = || Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {limit} bytes")));
    if file.metadata()?.len() > limit {
        return too_large();
    }
    let mut content = Vec::new();
    file.take(limit + 1).read_to_end(&mut content)?;
    if content.len() as u64 > limit { too_large() } else { Ok(content) }
}

/// Reads a regular file of at most `limit` bytes at a path of the user's, following links. Anything else could block, or
/// never end.
pub(crate) fn read_regular(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let file = File::from(open_at(libc::AT_FDCWD, &path, libc::O_RDONLY | libc::O_NONBLOCK, 0)?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    read_whole(file, limit)
}

/// A system call and no more: a child makes it as well.
pub(super) fn stat_at(dir: i32, name: &CStr, flags: i32) -> io::Result<libc::stat> {
    let mut found = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `name` is NUL-terminated, `found` is writable memory of the right type, and both live through the call.
    check(i64::from(unsafe { libc::fstatat(dir, name.as_ptr(), found.as_mut_ptr(), flags) }))?;
    // SAFETY: fstatat succeeded and has written the whole struct.
    Ok(unsafe { found.assume_init() })
}

/// Opens a file outside a data directory, for appending, created with mode 0600. It may be a pipe or a terminal: opened
/// without waiting for a reader, which is ENXIO, and without becoming the terminal of this session.
pub(crate) fn open_append(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT | libc::O_NOCTTY;
    let file = open_at(libc::AT_FDCWD, &path, flags | libc::O_NONBLOCK, 0o600)?;
    // Who writes to it wants to wait.
    // SAFETY: the descriptor is open for the time of the call, which takes no pointer.
    check(i64::from(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, libc::O_APPEND) }))?;
    Ok(file)
}

/// Tries to take the exclusive lock of an open file (flock(2)), without waiting; false when another has it.
pub(crate) fn try_lock(file: BorrowedFd<'_>) -> io::Result<bool> {
    fail::failing("lock:try")?;
    // SAFETY: the descriptor is open for the time of the call.
    match check(i64::from(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) })) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// Releases the lock of an open file, also for those who inherited the descriptor.
pub(crate) fn unlock(file: BorrowedFd<'_>) {
    // SAFETY: the descriptor is open for the time of the call; unlocking an open file cannot fail.
    unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_UN) };
}

#[cfg(test)]
mod tests;
