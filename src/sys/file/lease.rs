// SPDX-License-Identifier: MPL-2.0
//! Whether any process has a file open for writing, known by a lease on it (fcntl(2), F_SETLEASE).

use std::ffi::CStr;
use std::io;
use std::os::fd::AsRawFd;

use super::at::open_at;
use super::dir::Dir;
use crate::sys::{check, fail};

/// fcntl(2); the number is the same on all machines, and libc has it for some.
const F_SETSIG: libc::c_int = 10;

impl Dir {
    /// Whether any process has a regular file open for writing. A file that is not there is not written to.
    ///
    /// # Errors
    /// Also where the file system has no leases (EINVAL), and without CAP_LEASE for a file of another user (EACCES).
    pub(crate) fn is_written_to(&self, name: &CStr) -> io::Result<bool> {
        // ORDER: before it is opened, for a pipe would notice.
        if self.regular_file(name)?.is_none() {
            return Ok(false);
        }
        fail::failing("log:lease")?;
        let flags = libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
        let file = open_at(self.raw(), name, flags, 0)?;
        let ask = |command: libc::c_int, value: libc::c_int| {
            // SAFETY: the descriptor is open for the time of the call, which takes no pointer.
            check(i64::from(unsafe { libc::fcntl(file.as_raw_fd(), command, value) }))
        };
        // ORDER: before the lease. When the file is opened while we have that, the kernel sends this process a signal: by default
        // SIGIO, which would end the host; SIGURG is ignored unless it is handled.
        ask(F_SETSIG, libc::SIGURG)?;
        match ask(libc::F_SETLEASE, libc::F_RDLCK) {
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Ok(true),
            Err(error) => Err(error),
            Ok(_) => ask(libc::F_SETLEASE, libc::F_UNLCK).map(|_| false),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::sys::until_closed::until_closed;

    #[test]
    fn file_is_written_to_while_it_is_open_for_writing() {
        let place = std::env::temp_dir().join(format!("proxyprocess-lease-{}", crate::sys::random::uuid().unwrap()));
        std::fs::create_dir(&place).unwrap();
        let dir = Dir::open(&place).unwrap();
        assert!(!dir.is_written_to(c"log").unwrap());
        let writer = File::create(place.join("log")).unwrap();
        let Ok(is_written_to) = dir.is_written_to(c"log") else {
            std::fs::remove_dir_all(place).unwrap();
            return; // a file system without leases
        };
        assert!(is_written_to);
        drop(writer);
        let reader = File::open(place.join("log")).unwrap();
        until_closed(|| (!dir.is_written_to(c"log").unwrap()).then_some(()));
        // It is not left with us.
        let writer = File::options().append(true).open(place.join("log")).unwrap();
        assert!(dir.is_written_to(c"log").unwrap());
        drop((reader, writer));
        std::os::unix::fs::symlink("log", place.join("link")).unwrap();
        assert!(dir.is_written_to(c"link").is_err() && dir.is_written_to(c".").is_err());
        std::fs::remove_dir_all(place).unwrap();
    }
}
