// SPDX-License-Identifier: MPL-2.0
//! SIGCHLD on the threads that start processes.
//!
//! The kernel drops a signal that the process does not handle, unless the thread that it is for blocks it. For the end of a child
//! that is the thread that cloned it (`sig_ignored` in kernel/signal.c, Linux 6.18). If that one blocks SIGCHLD, the signal goes to
//! any other thread of the host: it is woken for nothing, and its epoll_wait(2) fails with EINTR in a program without any
//! handler.
//!
//! But a signal that is for the whole process goes to any thread that does not block it, and is dropped there while nothing handles
//! it. A host that blocks SIGCHLD waits for it by signalfd(2) or sigwaitinfo(2), to hear of the ends of its own children: with the
//! signal open on a thread of ours it would hear of none.

use super::signal_mask;

/// Whether the calling thread, which blocks all signals else, has SIGCHLD open.
#[derive(Debug)]
pub(crate) struct ChildSignal {
    is_open: bool,
    host_blocks_it: bool,
}

impl ChildSignal {
    /// That of the calling thread, which has it blocked.
    pub(crate) fn of_this_thread() -> ChildSignal {
        let blocked_by_host = signal_mask::blocked_by_host().unwrap_or(0);
        ChildSignal { is_open: false, host_blocks_it: signal_mask::is_in(blocked_by_host, libc::SIGCHLD) }
    }

    /// Opens SIGCHLD while the host neither blocks nor handles it, and blocks it while it does: a handler is to run on the host's
    /// threads.
    pub(crate) fn follow_host(&mut self) {
        let is_open = !self.host_blocks_it && !signal_mask::is_handled(libc::SIGCHLD);
        if is_open != self.is_open {
            signal_mask::block(libc::SIGCHLD, !is_open);
            self.is_open = is_open;
        }
    }
}
