// SPDX-License-Identifier: MPL-2.0
//! Calls into C: each is marked on its thread, so that a call back that would wait for itself is refused.

use std::cell::Cell;
use std::ffi::c_void;

use super::error::proxyprocess_code;
use super::failure::Failure;

/// Which code of the host this thread is in, from harmless to delicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Inside {
    /// None that the library called.
    Nothing,
    /// A function of a proxy kind: a manager may be locked, or wait for it.
    Kind,
    /// The log callback: any thread of the library may stand still meanwhile.
    Log,
}

thread_local! {
    static INSIDE: Cell<Inside> = const { Cell::new(Inside::Nothing) };
}

/// Calls code of the host.
pub(super) fn within<T>(inside: Inside, call: impl FnOnce() -> T) -> T {
    /// Also when something between here and C panics.
    struct Restore(Inside);
    impl Drop for Restore {
        fn drop(&mut self) {
            INSIDE.set(self.0);
        }
    }
    let _restore = Restore(INSIDE.replace(inside.max(INSIDE.get())));
    call()
}

/// Fails on a thread that is in code of the host beyond `innermost`.
pub(super) fn allowed_within(innermost: Inside) -> Result<(), Failure> {
    let inside = INSIDE.get();
    if inside <= innermost {
        return Ok(());
    }
    let place = if inside == Inside::Log { "the log callback" } else { "a function of a proxy kind" };
    let message = format!("expected no call of this function from {place}");
    Err(Failure::new(proxyprocess_code::PROXYPROCESS_E_IN_CALLBACK, message))
}

/// A word of the host, handed back to it untouched: a pointer or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct UserWord(pub(super) *mut c_void);

// SAFETY: the word is never looked through here; that the host's functions take it on any thread is what the header
// demands of them.
unsafe impl Send for UserWord {}
// SAFETY: as above.
unsafe impl Sync for UserWord {}
