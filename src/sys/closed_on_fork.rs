// SPDX-License-Identifier: MPL-2.0
//! Descriptors that are closed in a forked worker of the host: the lock of a data directory, and the pipe of a start.
//!
//! flock(2) belongs to the open file, which a forked worker shares until it executes a program or exits. So the worker
//! closes its copy in a handler of pthread_atfork(3); the agent keeps its own copy and the lock. Children of the
//! library are cloned without that handler and keep the lock until they execute: on purpose.
//!
//! A number is closed in a worker once, and only while it still refers to our file. A worker may fork as well, and by
//! then the number may refer to a file of its own. And a worker that was cloned without the C library has never run the
//! handler, so that its child may be the first to run it, with other files behind every number.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

use super::fd::{self, FileNumber};
use super::fork::{OnlyHome, in_workers};

/// How many such descriptors one process can have at once; a further one is simply inherited by forked workers.
const PLACES: usize = 1024;

const FREE: RawFd = -1;

/// Its number is not there yet.
const TAKEN: RawFd = -2;

static PLACED: [Place; PLACES] = [const { Place::new() }; PLACES];

/// Where a handler, which can neither allocate nor wait for a lock, finds a descriptor.
#[derive(Debug)]
struct Place {
    fd: AtomicI32,
    device: AtomicU64,
    inode: AtomicU64,
}

impl Place {
    const fn new() -> Place {
        Place { fd: AtomicI32::new(FREE), device: AtomicU64::new(0), inode: AtomicU64::new(0) }
    }

    /// A place that was free, with this descriptor in it.
    fn take(fd: RawFd, file: FileNumber) -> Option<&'static Place> {
        let free = |place: &&Place| place.fd.compare_exchange(FREE, TAKEN, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        let place = PLACED.iter().find(free)?;
        place.device.store(file.device, Ordering::Relaxed);
        place.inode.store(file.inode, Ordering::Relaxed);
        // ORDER: last, so that a handler that sees the number sees of which file it is.
        place.fd.store(fd, Ordering::Release);
        Some(place)
    }

    /// The descriptor and its file, if there is one.
    fn look(&self) -> Option<(RawFd, FileNumber)> {
        let fd = self.fd.load(Ordering::Acquire);
        let (device, inode) = (self.device.load(Ordering::Relaxed), self.inode.load(Ordering::Relaxed));
        (fd >= 0).then_some((fd, FileNumber { device, inode }))
    }

    fn clear(&self) {
        self.fd.store(FREE, Ordering::Release);
    }
}

/// A place that is freed when it is dropped.
#[derive(Debug)]
struct Registration(&'static Place);

impl Drop for Registration {
    fn drop(&mut self) {
        self.0.clear();
    }
}

/// A descriptor that forked workers of the host do not keep. Dropped in a worker it changes nothing there: the number is
/// not its own any more, and the place may be in use for another of the worker's.
#[derive(Debug)]
pub(crate) struct ClosedOnFork {
    // ORDER: dropped first. The number may be given to a file of the host's before the place is free, and a worker that
    // is forked then sees that it is another file; a place that is free too early leaves our file open in the worker.
    fd: OnlyHome<OwnedFd>,
    _registration: OnlyHome<Option<Registration>>,
}

impl ClosedOnFork {
    pub(crate) fn new(fd: OwnedFd) -> ClosedOnFork {
        static REGISTERED: AtomicBool = AtomicBool::new(false);
        in_workers(&REGISTERED, close_in_worker);
        // A file that cannot be told from others is inherited, as one is for which there is no place.
        let place = fd::file_number(fd.as_raw_fd()).and_then(|file| Place::take(fd.as_raw_fd(), file));
        ClosedOnFork { fd: OnlyHome::new(fd), _registration: OnlyHome::new(place.map(Registration)) }
    }

    /// The descriptor; nothing in a worker, where another file may have its number.
    pub(crate) fn get(&self) -> Option<&OwnedFd> {
        self.fd.get().ok()
    }
}

/// Runs in the worker, before fork(3) returns there: async-signal-safe calls only.
extern "C" fn close_in_worker() {
    for place in &PLACED {
        let placed = place.look();
        // Also one that another thread of the parent was about to fill.
        place.clear();
        if let Some((number, _)) = placed.filter(|(number, file)| fd::file_number(*number) == Some(*file)) {
            // SAFETY: the number is of an OwnedFd of this library, whose file it still has, and this process is a copy
            // in which nothing uses it again: every handle of the library refuses to work here.
            unsafe { libc::close(number) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::{self, Dir};
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_forked_worker_does_not_keep_a_lock() {
        let place = tempfile::tempdir().unwrap();
        let dir = Dir::open(place.path()).unwrap();
        let open = || OwnedFd::from(dir.open_file(c"lock", libc::O_RDWR | libc::O_CREAT).unwrap());
        let held = ClosedOnFork::new(open());
        assert!(file::try_lock(held.get().unwrap().as_fd()).unwrap());
        let second = open();
        assert!(!file::try_lock(second.as_fd()).unwrap());
        let mut hold = [0; 2];
        // SAFETY: `hold` is an array of two descriptors, as pipe2 fills.
        assert_eq!(unsafe { libc::pipe2(hold.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
        // SAFETY: the worker only closes, reads and exits, without running anything of the parent's.
        let worker = unsafe { libc::fork() };
        if worker == 0 {
            let mut byte = 0u8;
            // SAFETY: as above; the read ends when the parent closes its end.
            unsafe { libc::close(hold[1]) };
            // SAFETY: one byte of live memory.
            unsafe { libc::read(hold[0], (&raw mut byte).cast(), 1) };
            // SAFETY: ends the worker.
            unsafe { libc::_exit(0) };
        }
        drop(held); // as when the agent dies: closed, not unlocked
        // The worker may not have come to its handler yet, and another test's child may be in flight.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !file::try_lock(second.as_fd()).unwrap() {
            assert!(std::time::Instant::now() < deadline, "the worker still has the lock");
            std::thread::yield_now();
        }
        for end in hold {
            // SAFETY: both ends are ours and not used again.
            unsafe { libc::close(end) };
        }
        let mut status = 0;
        // SAFETY: `status` lives through the call.
        assert_eq!(unsafe { libc::waitpid(worker, &raw mut status, 0) }, worker);
    }

    #[test]
    fn number_that_has_another_file_by_now_stays_open_in_worker() {
        let place = tempfile::tempdir().unwrap();
        let dir = Dir::open(place.path()).unwrap();
        let open = |name| OwnedFd::from(dir.open_file(name, libc::O_RDWR | libc::O_CREAT).unwrap());
        let held = ClosedOnFork::new(open(c"lock"));
        let number = held.get().unwrap().as_raw_fd();
        let other = open(c"other");
        // SAFETY: both are open, and `held` closes what has its number.
        assert_eq!(unsafe { libc::dup2(other.as_raw_fd(), number) }, number);
        // SAFETY: the worker only looks and exits, without running anything of the parent's.
        let worker = unsafe { libc::fork() };
        if worker == 0 {
            // SAFETY: no pointers are passed, and nothing is changed.
            let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
            // SAFETY: ends the worker.
            unsafe { libc::_exit(i32::from(flags == -1)) };
        }
        let mut status = 0;
        // SAFETY: `status` lives through the call.
        assert_eq!(unsafe { libc::waitpid(worker, &raw mut status, 0) }, worker);
        assert_eq!(status, 0, "another file was closed in the worker");
    }
}
