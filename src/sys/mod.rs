// SPDX-License-Identifier: MPL-2.0
//! The kernel interface, one concern for each file. `unsafe` is allowed only here and in the C interface.
//!
//! # Safety
//! Every function of this module is safe to call. The facts that its `unsafe` blocks rely on are of three kinds:
//! descriptors are owned or borrowed during the call, pointers passed to the kernel point to values that live through
//! the call, and the code between clone and exec ([`spawn::child_before_exec`]) makes system calls only.
#![allow(unsafe_code)]

pub(crate) mod account;
pub(crate) mod boot_time;
pub(crate) mod cgroup;
pub(crate) mod closed_on_fork;
pub(crate) mod connect;
pub(crate) mod digest;
pub(crate) mod epoll;
pub(crate) mod fail;
pub(crate) mod fd;
pub(crate) mod file;
pub(crate) mod fork;
pub(crate) mod fork_safe;
pub(crate) mod inotify;
pub(crate) mod journal_stream;
pub(crate) mod lookup_turn;
pub(crate) mod monotonic_time;
pub(crate) mod non_child_exit;
pub(crate) mod notify_socket;
pub(crate) mod null;
pub(crate) mod pid;
pub(crate) mod pidfd;
pub(crate) mod proc;
pub(crate) mod process_identity;
pub(crate) mod random;
pub(crate) mod report_pipe;
pub(crate) mod signal;
pub(crate) mod signal_mask;
pub(crate) mod socket;
pub(crate) mod socket_address;
pub(crate) mod spawn;
pub(crate) mod thread;
#[cfg(test)]
pub(crate) mod until_closed;
pub(crate) mod wait;

/// Whether descriptors or memory were exhausted: what could not be known for that may be known later.
pub(crate) fn is_exhausted(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM))
}

/// Whether a kernel or a sandbox does not do what it was asked for, whenever it is asked.
fn is_refused(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EPERM | libc::ENOSYS))
}

/// The result of a call that returns -1 and sets errno.
fn check(result: i64) -> std::io::Result<i64> {
    if result == -1 { Err(std::io::Error::last_os_error()) } else { Ok(result) }
}
