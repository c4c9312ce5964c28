// SPDX-License-Identifier: MPL-2.0
//! Handles and entry points: every call from C passes through here.

use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::callback::{self, Inside};
use super::entered::{self, Entered, HandleId};
use super::error::proxyprocess_code;
use super::failure::{ErrorOut, Failure};
use super::panic;
use crate::logging::{self, Level};
use crate::sys::fork::OnlyHome;
use crate::sys::thread;

/// What is behind a pointer that C holds.
pub(super) struct Handle<T> {
    id: HandleId,
    /// A panic happened in a call on it: its value may be half changed.
    poisoned: AtomicBool,
    /// A worker that the host forked must not use it: threads that do not exist there may hold its locks.
    inner: OnlyHome<T>,
}

impl<T> Handle<T> {
    pub(super) fn new(inner: T) -> Handle<T> {
        Handle { id: entered::new_id(), poisoned: AtomicBool::new(false), inner: OnlyHome::new(inner) }
    }

    /// The value.
    ///
    /// # Errors
    /// [`proxyprocess_code::PROXYPROCESS_E_PANIC`] after a panic, [`proxyprocess_code::PROXYPROCESS_E_FORKED`] in a
    /// worker that the host forked.
    pub(super) fn get(&self) -> Result<&T, Failure> {
        if self.poisoned.load(Ordering::Acquire) {
            let message = "the handle cannot be used any more: an earlier call on it failed by a fault of the library";
            return Err(Failure::new(proxyprocess_code::PROXYPROCESS_E_PANIC, message));
        }
        Ok(self.inner.get()?)
    }

    /// The value, poisoned or not: for accessors that cannot fail and change nothing.
    pub(super) fn peek(&self) -> &T {
        self.inner.anywhere()
    }
}

/// Where a new handle is stored. In C: `T **`.
pub(super) fn place<'a, T>(name: &str, out: Option<&'a mut MaybeUninit<T>>) -> Result<&'a mut MaybeUninit<T>, Failure> {
    out.ok_or_else(|| Failure::null(name))
}

/// Runs the body of an entry point that has no handle yet; the result is the code for C.
///
/// It fails in a log callback, which may run on a thread that the body would wait for.
pub(super) fn enter(err: ErrorOut<'_>, body: impl FnOnce() -> Result<(), Failure>) -> i32 {
    let done = callback::allowed_within(Inside::Kind).and_then(|()| panic::caught(body));
    err.finish(done)
}

/// Runs the body of an entry point on a handle; a panic poisons the handle.
pub(super) fn call<T>(
    name: &str,
    handle: Option<&Handle<T>>,
    err: ErrorOut<'_>,
    body: impl FnOnce(&T) -> Result<(), Failure>,
) -> i32 {
    call_within(Inside::Kind, name, handle, err, body)
}

/// The same for a manager. It waits for callbacks, and so cannot be called from one. The manager lives until the body
/// is done, even if a callback frees the handle meanwhile.
pub(super) fn call_manager<T>(
    handle: Option<&Handle<Arc<T>>>,
    err: ErrorOut<'_>,
    body: impl FnOnce(&Arc<T>) -> Result<(), Failure>,
) -> i32 {
    call_within(Inside::Nothing, "manager", handle, err, |manager| body(&Arc::clone(manager)))
}

fn call_within<T>(
    innermost: Inside,
    name: &str,
    handle: Option<&Handle<T>>,
    err: ErrorOut<'_>,
    body: impl FnOnce(&T) -> Result<(), Failure>,
) -> i32 {
    let done = callback::allowed_within(innermost).and_then(|()| {
        let handle = handle.ok_or_else(|| Failure::null(name))?;
        let inner = handle.get()?;
        entered::check(handle.id)?;
        let _entered = Entered::of(handle.id);
        panic::caught(|| body(inner)).inspect_err(|failure| {
            if failure.is_panic() {
                handle.poisoned.store(true, Ordering::Release);
            }
        })
    });
    err.finish(done)
}

/// Frees the value of a handle; `of` selects it.
///
/// Freeing may wait for threads of the library. Within a callback the current thread could be one of them, so another
/// thread does it a moment later.
pub(super) fn free<T: Send + 'static, U>(handle: Option<Box<T>>, of: impl FnOnce(&T) -> &Handle<U>) {
    let Some(handle) = handle else { return };
    if callback::allowed_within(Inside::Nothing).is_ok() {
        if let Err(failure) = entered::check(of(&handle).id) {
            // What the abandoned call left half done cannot be freed, and a signal handler would free it under the call
            // that it interrupted: a leak is better.
            logging::write(Level::Error, format_args!("free: {failure}"));
            std::mem::forget(handle);
            return;
        }
        // A destructor has no error object; its panic must not unwind into C.
        let freed = panic::caught(|| {
            drop(handle);
            Ok(())
        });
        if let Err(failure) = freed {
            logging::write(Level::Error, format_args!("free: {failure}"));
        }
        return;
    }
    // A pointer that leaks if the thread cannot be started: a leak is better than a thread that waits for itself.
    let handle = std::mem::ManuallyDrop::new(handle);
    let later = move || drop(std::mem::ManuallyDrop::into_inner(handle));
    if let Err(error) = thread::start("proxy-free", later) {
        logging::write(Level::Error, format_args!("free within a callback: start thread: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_code_and_makes_the_handle_useless() {
        let handle = Handle::new(7);
        let panics = |_: &i32| -> Result<(), Failure> { panic!("on purpose") };
        let fine = |_: &i32| Ok(());
        let code = proxyprocess_code::PROXYPROCESS_E_PANIC as i32;
        assert_eq!(call("number", Some(&handle), ErrorOut::none(), fine), 0);
        assert_eq!(call("number", Some(&handle), ErrorOut::none(), panics), code);
        assert_eq!(call("number", Some(&handle), ErrorOut::none(), fine), code);
        assert_eq!(enter(ErrorOut::none(), || panic!("on purpose")), code);
    }

    #[test]
    fn within_a_callback_only_what_cannot_wait_for_it_is_allowed() {
        let handle = Handle::new(Arc::new(7));
        let fine = |_: &Arc<i32>| Ok(());
        let refused = proxyprocess_code::PROXYPROCESS_E_IN_CALLBACK as i32;
        let codes = |inside| {
            callback::within(inside, || {
                let manager = call_manager(Some(&handle), ErrorOut::none(), fine);
                (manager, call("number", Some(&handle), ErrorOut::none(), |_| Ok(())))
            })
        };
        assert_eq!(codes(Inside::Kind), (refused, 0));
        assert_eq!(codes(Inside::LogCallback), (refused, refused));
        assert_eq!(call_manager(Some(&handle), ErrorOut::none(), fine), 0);
    }
}
