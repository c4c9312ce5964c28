// SPDX-License-Identifier: MPL-2.0
//! SIGCHLD on the threads that start processes.
//!
//! The kernel drops a signal that the process does not handle, unless the target thread blocks it. For the end of a
//! child, the target is the thread that cloned it (`sig_ignored` in kernel/signal.c, Linux 6.18). If that thread blocks
//! SIGCHLD, the signal goes to any other thread of the host: it wakes up for nothing, and its epoll_wait(2) fails with
//! EINTR in a program without any handler.

use super::signal_mask;

/// Whether the calling thread, which blocks all signals else, has SIGCHLD open.
#[derive(Debug, Default)]
pub(crate) struct ChildSignal {
    is_open: bool,
}

impl ChildSignal {
    /// Opens SIGCHLD while the host does not handle it, and blocks it while it does: a handler is to run on the host's threads.
    pub(crate) fn follow_host(&mut self) {
        let is_open = !signal_mask::is_handled(libc::SIGCHLD);
        if is_open != self.is_open {
            signal_mask::block(libc::SIGCHLD, !is_open);
            self.is_open = is_open;
        }
    }
}
