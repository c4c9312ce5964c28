// SPDX-License-Identifier: MPL-2.0
//! Threads of the library: named, and with asynchronous signals blocked from their first instruction, so that the
//! host's handlers run on them only for a fault of the host's own callbacks. Threads that start processes unblock
//! [SIGCHLD](super::child_signal) while nothing handles it.

use std::io;
use std::thread::{Builder, JoinHandle};

use super::fail;
use super::signal_mask::{self, MaskGuard};
use crate::host_code::caught;

/// Starts a named thread with all asynchronous signals blocked.
pub(crate) fn start<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    // ORDER: the new thread inherits the mask of its creator, so it is blocked before it exists.
    let _guard = MaskGuard::block_asynchronous();
    fail::failing("thread:start")?;
    Builder::new().name(name.to_owned()).spawn(|| {
        signal_mask::mark_as_never_signalled();
        // A payload of the host's may panic when it is dropped, which within the thread's result would end the program.
        caught(body).unwrap_or_else(|panic| std::panic::resume_unwind(Box::new(panic.message().to_owned())))
    })
}
