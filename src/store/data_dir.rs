// SPDX-License-Identifier: MPL-2.0
//! The data directory: opening it, checking it, and creating it again if it was removed.

use std::ffi::CStr;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender};

use super::data_dir_lock::{Lock, Patience, last_holder};
use super::directory_id::DirectoryId;
use super::id_directories::remove_temporaries;
use super::io_error_code::code_of;
use super::snapshot_names;
use super::subdirectories::{OpenSubdirectory, Subdirectories, Subdirectory};
use crate::error::{Error, ErrorCode, Result};
use crate::logging::{self, Level};
use crate::sys::fail;
use crate::sys::file::Dir;
use crate::sys::file::create_dir_all;
use crate::sys::pid::own_pid;

/// An open and locked data directory. It is used through a descriptor: moved while in use, it goes on working. Removed
/// while in use, it is made anew where it was.
#[derive(Debug)]
pub(crate) struct DataDir {
    /// As the user has named it.
    path: PathBuf,
    /// The same, wherever the host's working directory is by now.
    absolute: PathBuf,
    home: Mutex<Home>,
    renewed: (Sender<()>, Receiver<()>),
    owner_tag: Arc<str>,
}

#[derive(Debug)]
struct Home {
    root: Arc<Dir>,
    parts: Subdirectories,
    /// Until the manager has ended.
    lock: Option<Lock>,
    /// Why it could not be created again.
    trouble: Option<Error>,
}

impl DataDir {
    /// Opens a data directory, creating what is missing, and takes its lock.
    ///
    /// # Errors
    /// [`ErrorCode::Untrusted`] for one that is another user's or that others may write to, [`ErrorCode::Locked`],
    /// [`ErrorCode::Io`].
    pub(crate) fn open(path: &Path) -> Result<DataDir> {
        let io = |error| failed_at("find data directory", path, &error);
        let absolute = std::path::absolute(path).map_err(io)?;
        let home = Home::open(path, Patience::UntilDead)?;
        let id = DirectoryId::of(&home.root).map_err(|error| failed_at("stat data directory", path, &error))?;
        let owner_tag = id.to_string().into();
        let renewed = crossbeam_channel::bounded(1);
        let data_dir = DataDir { path: path.to_owned(), owner_tag, absolute, home: Mutex::new(home), renewed };
        let root = data_dir.root_as_it_is();
        let open = |part| {
            let (dir, _) = data_dir.open_part(&root, part)?;
            let io = |error| failed_at("open directory", &path.join(part.as_str()), &error);
            let inode = dir.make_private().map_err(io)?;
            Ok(data_dir.keep(part, OpenSubdirectory::new(dir, inode)))
        };
        let (_, pids, records) = (open(Subdirectory::Logs)?, open(Subdirectory::Pids)?, open(Subdirectory::Records)?);
        fail::point("data-dir:opened");
        // The agent that was writing one of these is dead, for we have the lock, and nothing else would ever remove it.
        let left = [root.remove(snapshot_names::TEMPORARY), remove_temporaries(&pids), remove_temporaries(&records)];
        for error in left.into_iter().filter_map(|removed| removed.err()) {
            let message = format_args!("remove temporary files in {}: {error}", path.display());
            logging::write(Level::Warn, message);
        }
        Ok(data_dir)
    }

    /// Where it was when it was opened.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What no other directory of this machine is called, now and for the next agent, however the path is written.
    pub(crate) fn owner_tag(&self) -> &Arc<str> {
        &self.owner_tag
    }

    /// Gives up the lock: nothing is written from here on. Not left to the destructor, for a thread may hold the last
    /// reference a little longer than the manager that was closed.
    pub(crate) fn unlock(&self) {
        self.home().lock.take();
    }

    /// The numbers of the lock's descriptors.
    pub(super) fn lock_descriptors(&self) -> Vec<RawFd> {
        self.home().lock.as_ref().map(Lock::descriptors).unwrap_or_default()
    }

    /// Called when something was removed and is created again: its content must be written again.
    pub(crate) fn renewed(&self) -> &Receiver<()> {
        &self.renewed.1
    }

    /// Creates again what was removed.
    ///
    /// # Errors
    /// Why that cannot be done; another manager may have come first.
    pub(crate) fn renew(&self) -> Result<()> {
        Subdirectory::ALL.into_iter().try_for_each(|part| self.part(part).map(drop))
    }

    /// What was removed and could not be created again, if anything, or why that cannot be determined now.
    pub(crate) fn removed(&self) -> Option<Error> {
        let home = self.home();
        match home.root.is_removed_from(&self.absolute) {
            Ok(false) => {}
            Ok(true) => {
                let removed = format!("data directory {} was removed", self.path.display());
                return Some(home.trouble.clone().unwrap_or_else(|| Error::new(ErrorCode::Io, removed)));
            }
            Err(error) => {
                let dead = failed_at("stat data directory", &self.path, &error);
                return Some(home.trouble.clone().filter(|_| has_died(&error)).unwrap_or(dead));
            }
        }
        let root = home.root.clone();
        drop(home);
        Subdirectory::ALL.into_iter().find_map(|part| {
            let path = self.path.join(part.as_str());
            match root.inode(part.name()) {
                Ok(Some(_)) => None,
                Ok(None) => Some(Error::new(ErrorCode::Io, format!("directory {} was removed", path.display()))),
                Err(error) => Some(failed_at("look for directory", &path, &error)),
            }
        })
    }

    /// The directory itself; if it was removed, and no other manager has made and taken it since, another one in its
    /// place; if its file system has died, the directory as it is mounted again.
    pub(super) fn root(&self) -> Result<Arc<Dir>> {
        let mut home = self.home();
        let make_anew =
            || Home::open(&self.absolute, Patience::None).and_then(|new| self.check_free(&new).map(|()| new));
        let (opened, what) = match home.root.is_removed_from(&self.absolute) {
            Ok(false) => return Ok(home.root.clone()),
            _ if home.lock.is_none() => return Ok(home.root.clone()),
            Ok(true) => (make_anew(), format!("data directory {} was removed", self.path.display())),
            Err(error) if has_died(&error) => {
                let again = Home::open_again(&self.absolute);
                // A file server says so also of a directory that was removed there.
                let again =
                    if error.raw_os_error() == Some(libc::ESTALE) { again.or_else(|_| make_anew()) } else { again };
                (again, failed_at("stat data directory", &self.path, &error).to_string())
            }
            Err(error) => return Err(failed_at("stat data directory", &self.path, &error)),
        };
        match opened {
            Ok(new) => *home = new,
            Err(error) => {
                let error = error.within(&what);
                home.trouble = Some(error.clone());
                return Err(error);
            }
        }
        let root = home.root.clone();
        drop(home);
        self.tell_renewed(&what);
        Ok(root)
    }

    /// The agent that took the place of a directory that was removed may have left processes for the next agent. That will have
    /// them restored; here they would be doubled.
    fn check_free(&self, home: &Home) -> Result<()> {
        let records = home.root.open_dir(Subdirectory::Records.name());
        let recorded = match records.and_then(|records| records.list()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            names => names.map_err(|error| self.failed("list", Subdirectory::Records.as_str(), &error))?,
        };
        if recorded.is_empty() {
            return Ok(());
        }
        Err(Error::new(ErrorCode::Locked, "the one in its place has the records of another agent"))
    }

    /// The directory that was opened, also when it is removed.
    pub(super) fn root_as_it_is(&self) -> Arc<Dir> {
        self.home().root.clone()
    }

    /// One of its subdirectories, created again if it was removed.
    pub(super) fn part(&self, part: Subdirectory) -> Result<Arc<Dir>> {
        if let Some(dir) = self.kept(part) {
            return Ok(dir);
        }
        let root = self.root()?;
        let (dir, made) = self.open_part(&root, part)?;
        if made {
            self.tell_renewed(&format!("{} was removed", self.path.join(part.as_str()).display()));
        }
        let checked = dir.check_private();
        let inode = checked.map_err(|error| failed_at("open directory", &self.path.join(part.as_str()), &error))?;
        Ok(self.keep(part, OpenSubdirectory::new(dir, inode)))
    }

    /// A directory of it, if it is there.
    pub(super) fn part_as_it_is(&self, part: Subdirectory) -> std::io::Result<Option<Arc<Dir>>> {
        if let Some(dir) = self.kept(part) {
            return Ok(Some(dir));
        }
        match self.root_as_it_is().open_dir(part.name()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(|dir| Some(Arc::new(dir))),
        }
    }

    /// A directory that is open, if nothing has happened to it.
    fn kept(&self, part: Subdirectory) -> Option<Arc<Dir>> {
        let home = self.home();
        let (root, kept) = (home.root.clone(), home.parts.get(part)?);
        drop(home);
        kept.in_place(&root, part)
    }

    fn keep(&self, part: Subdirectory, kept: OpenSubdirectory) -> Arc<Dir> {
        let dir = kept.dir();
        self.home().parts.keep(part, kept);
        dir
    }

    /// Opens a directory of it; and whether it had to be made.
    fn open_part(&self, root: &Dir, part: Subdirectory) -> Result<(Dir, bool)> {
        let opened = match root.open_dir(part.name()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                root.open_or_create_dir(part.name()).map(|dir| (dir, true))
            }
            opened => opened.map(|dir| (dir, false)),
        };
        opened.map_err(|error| {
            let failed = failed_at("open directory", &self.path.join(part.as_str()), &error);
            if root.is_link(part.name()) { failed.followed_by(NOT_FOLLOWED) } else { failed }
        })
    }

    fn tell_renewed(&self, what: &str) {
        logging::write(Level::Warn, format_args!("{what}: made or opened anew"));
        // A full channel has the news already.
        let _ = self.renewed.0.try_send(());
    }

    fn home(&self) -> MutexGuard<'_, Home> {
        // Nothing panics while it is held.
        self.home.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An error that names a file of the directory.
    pub(super) fn failed(&self, what: &str, object: &str, error: &std::io::Error) -> Error {
        failed_at(what, &self.path.join(object), error)
    }

    /// An error of [`Dir::replace`] that names what is in the way.
    pub(super) fn not_replaced(
        &self,
        what: &str,
        part: &str,
        temporary: &CStr,
        name: &CStr,
        error: &std::io::Error,
    ) -> Error {
        let name = if error.kind() == std::io::ErrorKind::AlreadyExists { temporary } else { name };
        failed_at(what, &self.path.join(part).join(name.to_string_lossy().as_ref()), error)
    }
}

impl Home {
    fn open(path: &Path, patience: Patience) -> Result<Home> {
        create_dir_all(path).map_err(|error| match error.kind() {
            // What is there by this name is something else, or a link that leads nowhere.
            std::io::ErrorKind::AlreadyExists => {
                let message = format!("data directory {} is not a directory", path.display());
                Error::os_text(ErrorCode::Io, message, Some(libc::ENOTDIR))
            }
            // The kernel refuses by itself to follow another user's link in a sticky directory (protected_symlinks), and
            // does not say so.
            std::io::ErrorKind::PermissionDenied => match Dir::open_unless_planted(path) {
                Err(planted) if planted.raw_os_error().is_none() => failed_at("open data directory", path, &planted),
                _ => failed_at("create data directory", path, &error),
            },
            _ => failed_at("create data directory", path, &error),
        })?;
        fail::point("data-dir:created");
        Home::lock(Home::open_root(path)?, path, patience)
    }

    /// Opens the directory again after its file system has died and was mounted again, from where it was. It is the same
    /// if the last manager that had its lock is this process: what was below the mount, or another file system, is not.
    fn open_again(path: &Path) -> Result<Home> {
        let root = Home::open_root(path)?;
        if last_holder(&root) != Some(own_pid().as_raw()) {
            let message = "another directory is in its place: mount its file system again, or restart the agent";
            return Err(Error::new(ErrorCode::Io, message));
        }
        Home::lock(root, path, Patience::None)
    }

    fn open_root(path: &Path) -> Result<Dir> {
        let root = Dir::open_unless_planted(path).map_err(|error| failed_at("open data directory", path, &error))?;
        root.make_private().map_err(|error| failed_at("data directory", path, &error))?;
        Ok(root)
    }

    fn lock(root: Dir, path: &Path, patience: Patience) -> Result<Home> {
        let lock = Lock::take(&root, path, patience)?;
        Ok(Home { root: Arc::new(root), parts: Subdirectories::default(), lock: Some(lock), trouble: None })
    }
}

/// What to do where a link is in the place of a file or directory.
pub(super) const NOT_FOLLOWED: &str = "it is a symbolic link, which is not followed; a bind mount is";

/// Whether an open directory says that its file system is gone: a FUSE server that ended, a file server that was
/// restarted, a device that was unplugged. What is mounted there later has to be opened anew.
fn has_died(error: &std::io::Error) -> bool {
    error.raw_os_error().is_some_and(is_of_dead_file_system)
}

/// Whether a file system says by this errno that it is gone, or cannot be reached now.
pub(crate) fn is_of_dead_file_system(errno: i32) -> bool {
    matches!(errno, libc::ENOTCONN | libc::ESTALE | libc::EIO | libc::ENODEV | libc::ESHUTDOWN)
}

fn failed_at(what: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::os(code_of(error), format_args!("{what} {}", path.display()), error)
}

#[cfg(test)]
#[path = "data_dir_tests.rs"]
mod tests;
