// SPDX-License-Identifier: MPL-2.0
//! epoll and eventfd: how one thread waits for every process.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use super::{check, fail, fd};

/// An epoll instance; each descriptor in it carries a number of the caller's.
#[derive(Debug)]
pub(crate) struct Epoll(OwnedFd);

/// How many events one wait returns at the most.
const BATCH: usize = 256;

impl Epoll {
    pub(crate) fn new() -> io::Result<Epoll> {
        fail::failing("epoll:new")?;
        // SAFETY: no pointers are passed.
        let raw = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        Ok(Epoll(fd::own(check(i64::from(raw))?)?))
    }

    /// Watches a descriptor until it is removed: it is reported as long as it is readable.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, number: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, libc::EPOLLIN as u32, number)
    }

    /// The same, as long as it is writable.
    pub(crate) fn add_writable(&self, fd: BorrowedFd<'_>, number: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, libc::EPOLLOUT as u32, number)
    }

    /// Watches a descriptor until it is removed: it is reported now, if it is readable, and then whenever the kernel wakes
    /// those who wait for it.
    pub(crate) fn add_changes(&self, fd: BorrowedFd<'_>, number: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, (libc::EPOLLIN | libc::EPOLLET) as u32, number)
    }

    /// From now on a descriptor that is watched is reported only when it hangs up.
    pub(crate) fn await_hang_up(&self, fd: BorrowedFd<'_>, number: u64) -> io::Result<()> {
        // EPOLLHUP need not be asked for.
        self.control(libc::EPOLL_CTL_MOD, fd, 0, number)
    }

    fn control(&self, operation: i32, fd: BorrowedFd<'_>, events: u32, number: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events, u64: number };
        // SAFETY: both descriptors are open, and `event` lives through the call.
        let result = unsafe { libc::epoll_ctl(self.0.as_raw_fd(), operation, fd.as_raw_fd(), &raw mut event) };
        check(i64::from(result)).map(drop)
    }

    /// Stops watching. Closing alone would not do: a worker that the host forked holds the same open descriptor, and
    /// epoll would go on reporting it.
    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) {
        let null = std::ptr::null_mut();
        // SAFETY: both descriptors are open; the event is not read for a removal.
        let result = unsafe { libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_DEL, fd.as_raw_fd(), null) };
        // ENOENT is the only failure left for two open descriptors, and then there is nothing to remove.
        debug_assert!(result == 0 || io::Error::last_os_error().raw_os_error() == Some(libc::ENOENT));
    }

    /// Waits, for ever or for `timeout`, and puts the numbers of those to be reported into `ready`.
    pub(crate) fn wait(&self, timeout: Option<Duration>, ready: &mut Vec<u64>) -> io::Result<()> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; BATCH];
        // Rounded up, so that a wait never ends before its time.
        let milliseconds = |t: Duration| i32::try_from(t.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX);
        let milliseconds = timeout.map_or(-1, milliseconds);
        ready.clear();
        // SAFETY: the pointer and length are of one live array.
        let result = unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), BATCH as i32, milliseconds) };
        match check(i64::from(result)) {
            Ok(count) => ready.extend(events[..count as usize].iter().map(|event| event.u64)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// A descriptor by which one thread wakes another out of its epoll wait.
#[derive(Debug)]
pub(crate) struct Wakeup(OwnedFd);

impl Wakeup {
    pub(crate) fn new() -> io::Result<Wakeup> {
        fail::failing("eventfd:new")?;
        // SAFETY: no pointers are passed.
        let raw = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        Ok(Wakeup(fd::own(check(i64::from(raw))?)?))
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&self.0)
    }

    /// Makes the descriptor readable.
    pub(crate) fn wake(&self) {
        let one = 1u64;
        // SAFETY: the pointer is to 8 live bytes. The only failure, a counter that is full, means it is readable.
        unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
    }

    /// Makes it unreadable again.
    pub(crate) fn drain(&self) {
        let mut count = 0u64;
        // SAFETY: the pointer is to 8 live bytes. The only failure, an empty counter, is what is wanted.
        unsafe { libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), size_of::<u64>()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wakeup_is_seen_once_and_a_removed_descriptor_never() {
        let (epoll, wakeup) = (Epoll::new().unwrap(), Wakeup::new().unwrap());
        let mut ready = Vec::new();
        epoll.add(wakeup.fd(), 7).unwrap();
        wakeup.wake();
        wakeup.wake();
        epoll.wait(None, &mut ready).unwrap();
        assert_eq!(ready, [7]);
        wakeup.drain();
        epoll.wait(Some(Duration::ZERO), &mut ready).unwrap();
        assert!(ready.is_empty());
        wakeup.wake();
        epoll.remove(wakeup.fd());
        epoll.wait(Some(Duration::ZERO), &mut ready).unwrap();
        assert!(ready.is_empty());
    }
}
