// SPDX-License-Identifier: MPL-2.0
//! Whether the agent dumps core and may be traced (`PR_GET_DUMPABLE`), also after its children became other users.
//!
//! The kernel takes that from the memory in which a process changes its user, and until it executes, the memory of a
//! child is the agent's. It has to be without it as long as that child has the memory: else who runs as that user could
//! trace the child, and read all of the agent. So never the child gives it back, but the parent, when the child has left.

use std::cell::Cell;
use std::ffi::{c_int, c_ulong};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::sys::check;
use crate::sys::fork_safe::PerProcess;

/// What prctl(2) calls SUID_DUMP_USER.
const DUMPABLE: c_int = 1;

/// The children that may change their user while they have the memory of this process.
#[derive(Debug)]
struct Changing {
    children: usize,
    /// What it was before the first of them.
    before: c_int,
}

impl Changing {
    const NO_CHILD: Changing = Changing { children: 0, before: 0 };

    fn begins(&mut self, now: c_int) {
        if self.children == 0 {
            self.before = now;
        }
        self.children += 1;
    }

    /// Whether something is to be given back: a host that was not dumpable has its reasons, and a fork instead of a vfork
    /// has taken nothing.
    fn ended(&mut self, now: c_int) -> bool {
        self.children -= 1;
        self.children == 0 && self.before == DUMPABLE && now != DUMPABLE
    }
}

/// Not held while a child runs: one that takes long must not hold up the others.
static CHANGING: PerProcess<Mutex<Changing>> = PerProcess::new(|| Mutex::new(Changing::NO_CHILD));

thread_local! {
    /// The errno with which the agent could not be made dumpable again after a child of this thread.
    static FAILED: Cell<Option<c_int>> = const { Cell::new(None) };
}

/// Why the agent could not be made dumpable again after the last start by this thread, if that was so. Told once.
pub(crate) fn take_failure() -> Option<io::Error> {
    FAILED.take().map(io::Error::from_raw_os_error)
}

/// A child that may change its user is on its way. When the last one of them is dropped, the agent is as it was.
#[derive(Debug)]
pub(crate) struct UserChange(());

impl UserChange {
    /// To be called before the clone, and dropped when the child has executed or ended.
    pub(crate) fn begins() -> UserChange {
        changing().begins(get());
        UserChange(())
    }

    fn ended(&self) -> io::Result<()> {
        // ORDER: under the lock, or a child that begins meanwhile would be traceable.
        let mut changing = changing();
        if changing.ended(get()) { set_dumpable() } else { Ok(()) }
    }
}

impl Drop for UserChange {
    fn drop(&mut self) {
        if let Err(error) = self.ended() {
            FAILED.set(error.raw_os_error());
        }
    }
}

fn changing() -> MutexGuard<'static, Changing> {
    // Nothing panics while it is held.
    CHANGING.get().lock().unwrap_or_else(PoisonError::into_inner)
}

fn get() -> c_int {
    // SAFETY: no pointers are passed.
    unsafe { libc::prctl(libc::PR_GET_DUMPABLE) }
}

fn set_dumpable() -> io::Result<()> {
    // SAFETY: no pointers are passed.
    check(i64::from(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, DUMPABLE as c_ulong) })).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_child_gives_back_and_only_what_was_there() {
        let mut changing = Changing::NO_CHILD;
        changing.begins(DUMPABLE);
        changing.begins(0);
        assert!(!changing.ended(0), "the other one has the memory still");
        assert!(changing.ended(0));
        changing.begins(DUMPABLE);
        assert!(!changing.ended(DUMPABLE), "nothing was taken");
        for before in [0, 2] {
            changing.begins(before);
            assert!(!changing.ended(0));
        }
    }
}
