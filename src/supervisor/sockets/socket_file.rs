// SPDX-License-Identifier: MPL-2.0
//! The path of a unix socket: replaced only if a dead socket is there, and removed only while it is our own.

use std::fs::{self, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::declaration::ListenAddress;
use crate::store::{RecordedSocket, SocketFileNumber};
use crate::sys::connect::Connecting;
use crate::sys::socket::{self, BindOptions, SocketKind};
use crate::sys::socket_address::RawAddress;

/// A socket in the file system, as it was found there when it had just been bound.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device, inode and time of creation, which nothing changes of a socket: an inode is used again.
    file: SocketFileNumber,
}

fn number(found: &Metadata) -> SocketFileNumber {
    (found.dev(), found.ino(), (found.mtime(), found.mtime_nsec()))
}

/// A stream socket that is bound to a path. A dead one that is there is replaced.
///
/// # Errors
/// Those of bind(2). EADDRINUSE: something is there that is no dead socket.
pub(super) fn bind(path: &Path, options: BindOptions) -> io::Result<(OwnedFd, SocketFile)> {
    let address = RawAddress::of_path(path)?;
    let bind = || socket::bound(SocketKind::Stream, &address, options);
    let socket = match bind() {
        Err(error) if error.raw_os_error() == Some(libc::EADDRINUSE) && remove_dead(path)? => bind()?,
        bound => bound?,
    };
    let file = SocketFile::find(path)?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    Ok((socket, file))
}

/// Removes a socket at which no process listens; false if there is anything else.
fn remove_dead(path: &Path) -> io::Result<bool> {
    let Some(file) = SocketFile::find(path)? else { return Ok(false) };
    let is_dead = |error: &io::Error| error.raw_os_error() == Some(libc::ECONNREFUSED);
    if !Connecting::to_unix(path).is_err_and(|error| is_dead(&error)) {
        return Ok(false);
    }
    file.remove().map(|()| true)
}

impl SocketFile {
    /// The socket at a path; `None` if there is none, or something else.
    fn find(path: &Path) -> io::Result<Option<SocketFile>> {
        match fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => {
                Ok(Some(SocketFile { path: path.to_owned(), file: number(&found) }))
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(None),
        }
    }

    /// That of a socket which another agent has bound; `None` if it is no unix socket.
    pub(super) fn of_recorded(recorded: &RecordedSocket) -> Option<SocketFile> {
        match (&recorded.declared.address, recorded.file) {
            (ListenAddress::Unix(path), Some(file)) => Some(SocketFile { path: path.clone(), file }),
            (ListenAddress::Unix(_) | ListenAddress::Tcp(_) | ListenAddress::Udp(_), _) => None,
        }
    }

    /// What tells it from another socket at its path.
    pub(super) fn number(&self) -> SocketFileNumber {
        self.file
    }

    fn is_there(&self) -> io::Result<bool> {
        Ok(SocketFile::find(&self.path)?.is_some_and(|found| found.file == self.file))
    }

    /// Sets its permissions, unless it was removed or replaced.
    pub(super) fn set_mode(&self, mode: u32) -> io::Result<()> {
        // By a descriptor, for the name may lead elsewhere a moment later.
        let held = OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_NOFOLLOW).open(&self.path);
        let held = match held {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            held => held?,
        };
        if number(&held.metadata()?) != self.file {
            return Ok(());
        }
        fs::set_permissions(format!("/proc/self/fd/{}", held.as_raw_fd()), Permissions::from_mode(mode))
    }

    /// Removes it, unless that was done already or something else is there.
    pub(super) fn remove(self) -> io::Result<()> {
        if !self.is_there()? {
            return Ok(());
        }
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
