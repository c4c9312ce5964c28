// SPDX-License-Identifier: MPL-2.0
//! What went wrong between clone and exec, and how the parent hears of it.
//!
//! A vfork shares memory with its suspended parent, and a failure is simply written where the parent finds it. But
//! valgrind, qemu-user and some sandboxes make a plain fork of it: the child writes into its own copy, and the parent
//! runs on. So, until a child was seen to write into our memory, each has a close-on-exec pipe as well. The pipe ends
//! when the child has executed or exited, and its report is what was written into it before. Later children have one
//! where it must be known that they have left our memory.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use super::child_step::ChildStep;
use crate::sys::closed_on_fork::ClosedOnFork;
use crate::sys::{check, fd};

/// The child runs in our memory, and we are suspended until it has executed or exited. `--cfg proxyprocess_no_pidfd`
/// makes a plain fork of it, for tests.
pub(crate) const VFORK: c_int = if cfg!(proxyprocess_no_pidfd) { 0 } else { libc::CLONE_VM | libc::CLONE_VFORK };

/// What the child writes: that it has begun, and later perhaps what failed. All zero until then.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct ChildOutcome {
    step: u32,
    errno: c_int,
}

impl ChildOutcome {
    /// Nothing has gone wrong so far.
    pub(crate) const BEGUN: ChildOutcome = ChildOutcome { step: u32::MAX, errno: 0 };

    /// The same, and the child has left our table of descriptors.
    pub(crate) const DIVIDED: ChildOutcome = ChildOutcome { step: u32::MAX, errno: -1 };

    pub(crate) fn failed(step: ChildStep, errno: c_int) -> ChildOutcome {
        ChildOutcome { step: step.number(), errno }
    }

    /// The step that failed, and its errno.
    pub(crate) fn failure(self) -> Option<(ChildStep, c_int)> {
        Some((ChildStep::from_number(self.step)?, self.errno))
    }
}

/// Which process it is, as one reports that is no child of ours: nothing keeps another one from getting its pid.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct ChildIdentity {
    /// 0 until it is reported.
    pub(crate) pid: i64,
    pub(crate) start_ticks: u64,
}

/// All that a child reports; each message in the pipe is one.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct ChildReport {
    pub(crate) outcome: ChildOutcome,
    pub(crate) birth: ChildIdentity,
}

/// Whether a child has written into our memory: then vfork is what it promises to be, and no pipe is needed.
static MEMORY_IS_SHARED: AtomicBool = AtomicBool::new(false);

/// How long a pipe may outlast the clone. Only another process can hold it so long: a worker of the host that was forked
/// without the C library, or the child of another thread.
const END: c_int = 1000;

pub(crate) fn memory_is_shared() -> bool {
    MEMORY_IS_SHARED.load(Ordering::Relaxed)
}

/// Carries the outcome of one child that may have a copy of our memory only.
#[derive(Debug)]
pub(crate) struct Pipe {
    reader: OwnedFd,
    /// A worker that the host forks off meanwhile must not keep it, for the pipe would not end while the worker lives.
    writer: ClosedOnFork,
}

impl Pipe {
    /// A pipe for a child, unless it is known that memory is shared and not asked when it no longer is.
    pub(crate) fn of_child(must_have_left: bool) -> io::Result<Option<Pipe>> {
        if memory_is_shared() && !must_have_left {
            return Ok(None);
        }
        Pipe::new().map(Some)
    }

    fn new() -> io::Result<Pipe> {
        let mut ends = [-1; 2];
        // SAFETY: `ends` is an array of two descriptors, as pipe2 fills.
        check(i64::from(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }))?;
        // SAFETY: pipe2 has just created both; nothing else has them.
        let [reader, writer] = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
        // The child writes to it after it has redirected 0, 1 and 2.
        Ok(Pipe { reader, writer: ClosedOnFork::new(fd::above_standard(writer)?) })
    }

    /// Both ends. The child has the reader as well, so that it is sent no SIGPIPE when the agent is dead: it goes on then.
    pub(crate) fn ends(&self) -> [c_int; 2] {
        [self.reader.as_raw_fd(), self.writer()]
    }

    /// The number, above 2, that the child writes its reports to.
    pub(crate) fn writer(&self) -> c_int {
        self.writer.get().map_or(-1, AsRawFd::as_raw_fd)
    }

    /// Waits until the child has executed or ended, so many milliseconds at the most. The kernel lets the parent of a
    /// vfork go on an instant before the child gives up the memory, and closes what is to be closed after that.
    fn ends_within(self, patience: c_int) -> bool {
        let Pipe { reader, writer } = self;
        // ORDER: our own writer first, or the pipe would never end.
        drop(writer);
        // Asked for nothing, it shows the end alone, and not what was written before.
        let mut look = libc::pollfd { fd: reader.as_raw_fd(), events: 0, revents: 0 };
        loop {
            // SAFETY: the pointer is of one live value, and the count is 1.
            match check(i64::from(unsafe { libc::poll(&raw mut look, 1, patience) })) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                ended => return ended.is_ok_and(|ended| ended == 1),
            }
        }
    }

    /// Waits until the child has failed, or has closed its end: by executing, or by ending without a word, which the
    /// thread that waits for processes will see.
    fn read(self) -> ChildReport {
        let Pipe { reader, writer } = self;
        // ORDER: our own writer first, or the pipe would never end.
        drop(writer);
        let mut last = ChildReport { outcome: ChildOutcome::BEGUN, birth: ChildIdentity::default() };
        let mut birth = last.birth;
        loop {
            // SAFETY: the pointer and size are of one live value, of which every bit pattern is valid. The child writes
            // it whole or not at all, as pipe(7) promises for so few bytes.
            let result = unsafe { libc::read(reader.as_raw_fd(), (&raw mut last).cast(), size_of::<ChildReport>()) };
            match check(result as i64) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(1..) if last.outcome.failure().is_none() => birth = last.birth,
                // A failure to read, of a descriptor that the host has closed, says nothing of the child.
                _ => return ChildReport { birth, ..last },
            }
        }
    }
}

/// The report of a child that clone(2) has returned from: `written` is what is in our memory then. If there is a pipe,
/// the child does not have that memory any more.
pub(crate) fn of_child(written: ChildReport, pipe: Option<Pipe>) -> ChildReport {
    if written.outcome != ChildOutcome::default() {
        MEMORY_IS_SHARED.store(true, Ordering::Relaxed);
        if let Some(pipe) = pipe {
            // Who else has it then says nothing of the child, which has left long ago.
            pipe.ends_within(END);
        }
        return written;
    }
    pipe.map_or(written, Pipe::read)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILURE: (ChildStep, c_int) = (ChildStep::Execute, libc::ENOENT);

    fn write(fd: c_int, outcome: ChildOutcome, birth: ChildIdentity) {
        let report = ChildReport { outcome, birth };
        // SAFETY: the pointer and size are of one live value.
        let written = unsafe { libc::write(fd, (&raw const report).cast(), size_of::<ChildReport>()) };
        assert_eq!(written, size_of::<ChildReport>() as isize);
    }

    fn told_through(pipe: Pipe) -> ChildReport {
        of_child(ChildReport::default(), Some(pipe))
    }

    #[test]
    fn every_step_is_found_by_its_number() {
        for step in ChildStep::all() {
            assert_eq!(ChildStep::from_number(step.number()), Some(step));
        }
        assert_eq!(ChildStep::Clone.number(), 1, "0 is no step");
        assert_eq!(ChildStep::from_number(0), None);
        assert_eq!(ChildOutcome::default().failure(), None);
        assert_eq!(ChildOutcome::BEGUN.failure(), None);
    }

    #[test]
    fn a_pipe_tells_a_failure_and_its_end_that_there_was_none() {
        let pipe = Pipe::new().unwrap();
        assert!(pipe.writer() > 2);
        write(pipe.writer(), ChildOutcome::failed(FAILURE.0, FAILURE.1), ChildIdentity::default());
        assert_eq!(told_through(pipe).outcome.failure(), Some(FAILURE));
        assert_eq!(told_through(Pipe::new().unwrap()).outcome.failure(), None);
    }

    #[test]
    fn a_pipe_tells_which_process_it_is_whether_it_fails_or_not() {
        let birth = ChildIdentity { pid: 7, start_ticks: 8 };
        for failure in [None, Some(FAILURE)] {
            let pipe = Pipe::new().unwrap();
            write(pipe.writer(), ChildOutcome::BEGUN, birth);
            if let Some((step, errno)) = failure {
                write(pipe.writer(), ChildOutcome::failed(step, errno), ChildIdentity::default());
            }
            let told = told_through(pipe);
            assert_eq!((told.outcome.failure(), told.birth), (failure, birth));
        }
    }

    #[test]
    fn a_failure_that_is_told_is_not_the_end() {
        let pipe = Pipe::new().unwrap();
        // As the child has it.
        let _childs = pipe.writer.get().unwrap().try_clone().unwrap();
        write(pipe.writer(), ChildOutcome::failed(FAILURE.0, FAILURE.1), ChildIdentity::default());
        assert!(!pipe.ends_within(0));
        assert!(Pipe::new().unwrap().ends_within(30_000));
    }

    #[test]
    fn a_forked_worker_does_not_hold_up_a_start() {
        let hold = Pipe::new().unwrap();
        let pipe = Pipe::new().unwrap();
        // SAFETY: the worker only reads and exits, without running anything of the parent's.
        let worker = unsafe { libc::fork() };
        if worker == 0 {
            let mut byte = 0u8;
            // SAFETY: one byte of live memory; the read ends when the parent closes its end.
            unsafe { libc::read(hold.reader.as_raw_fd(), (&raw mut byte).cast(), 1) };
            // SAFETY: ends the worker.
            unsafe { libc::_exit(0) };
        }
        assert_eq!(pipe.read().outcome.failure(), None);
        drop(hold);
        let mut status = 0;
        // SAFETY: `status` lives through the call.
        assert_eq!(unsafe { libc::waitpid(worker, &raw mut status, 0) }, worker);
    }
}
