// SPDX-License-Identifier: MPL-2.0
//! inotify(7): which of many files is written to next.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::{check, fd};

/// A file that is watched.
pub(crate) type Watch = i32;

/// An inotify instance.
#[derive(Debug)]
pub(crate) struct Inotify(OwnedFd);

/// struct inotify_event: watch, mask, cookie, length of the name, 4 bytes each.
const EVENT: usize = 16;

impl Inotify {
    pub(crate) fn new() -> io::Result<Inotify> {
        // SAFETY: no pointers are passed.
        let raw = unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) };
        Ok(Inotify(fd::own(check(i64::from(raw))?)?))
    }

    /// Watches an open file for the next time that it is written to, and no longer. All watches of one file are one.
    ///
    /// # Errors
    /// ENOSPC: fs.inotify.max_user_watches.
    pub(crate) fn watch_once(&self, file: BorrowedFd<'_>) -> io::Result<Watch> {
        let path = std::ffi::CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
        let mask = libc::IN_MODIFY | libc::IN_ONESHOT;
        // SAFETY: the path is NUL-terminated and lives through the call.
        let watch = unsafe { libc::inotify_add_watch(self.0.as_raw_fd(), path.as_ptr(), mask) };
        check(i64::from(watch)).map(|_| watch)
    }

    pub(crate) fn forget(&self, watch: Watch) {
        // SAFETY: no pointers are passed. It fails when the file was written to meanwhile, or removed.
        unsafe { libc::inotify_rm_watch(self.0.as_raw_fd(), watch) };
    }

    /// The files that were written to. False when some of them are not known, for there were too many.
    pub(crate) fn written(&self, written: &mut Vec<Watch>) -> bool {
        let mut complete = true;
        let mut buffer = [0u8; 256 * EVENT];
        loop {
            // SAFETY: the pointer and length are of one live array.
            let read = unsafe { libc::read(self.0.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
            // EAGAIN: that was all.
            let Ok(read @ 1..) = usize::try_from(read) else { return complete };
            // Files have no names in their own events.
            for event in buffer[..read].chunks_exact(EVENT) {
                let field = |at: usize| [event[at], event[at + 1], event[at + 2], event[at + 3]];
                let (watch, mask) = (i32::from_ne_bytes(field(0)), u32::from_ne_bytes(field(4)));
                complete &= mask & libc::IN_Q_OVERFLOW == 0;
                if mask & libc::IN_MODIFY != 0 {
                    written.push(watch);
                }
            }
        }
    }
}

impl AsFd for Inotify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_watched_file_is_reported_once() {
        let path = std::env::temp_dir().join(format!("proxyprocess-inotify-{}", crate::sys::random::uuid().unwrap()));
        let mut file = std::fs::File::options().append(true).create_new(true).open(&path).unwrap();
        let inotify = Inotify::new().unwrap();
        let mut written = Vec::new();
        let watch = inotify.watch_once(file.as_fd()).unwrap();
        assert!(inotify.written(&mut written) && written.is_empty());
        for _ in 0..3 {
            file.write_all(b"line\n").unwrap();
            assert!(inotify.written(&mut written));
        }
        assert_eq!(written, [watch]);
        std::fs::remove_file(&path).unwrap();
    }
}
