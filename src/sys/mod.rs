//! The kernel, one concern a file. `unsafe` lives here and in the C interface, and nowhere else.
//!
//! # Safety
//! Every function of this module is safe to call. The facts that its `unsafe` blocks rely on are of three kinds:
//! descriptors are owned or borrowed for the time of the call, pointers handed to the kernel point to values that live
//! through the call, and the code between clone and exec ([`child`]) makes system calls only.
#![allow(unsafe_code)]

#[cfg(test)]
mod allocation_trap;
pub(crate) mod boot_time;
pub(crate) mod cgroup;
pub(crate) mod child;
mod child_record;
pub(crate) mod child_stack;
mod descriptor_table;
mod detached;
pub(crate) mod digest;
mod dumpable;
pub(crate) mod environ;
pub(crate) mod epoll;
pub(crate) mod executable;
pub(crate) mod fail;
pub(crate) mod fd;
pub(crate) mod fdinfo;
pub(crate) mod file;
pub(crate) mod foreign;
pub(crate) mod fork;
pub(crate) mod identity;
mod intermediate;
pub(crate) mod limits;
pub(crate) mod locks;
pub(crate) mod not_in_workers;
pub(crate) mod null;
mod oom_score;
pub(crate) mod orphans;
mod outcome;
pub(crate) mod owner;
pub(crate) mod pidfd;
pub(crate) mod program;
pub(crate) mod random;
pub(crate) mod signal;
pub(crate) mod spawn;
pub(crate) mod start_error;
pub(crate) mod stat;
pub(crate) mod stray;
pub(crate) mod streams;
pub(crate) mod thread;
mod unexecuted;
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
