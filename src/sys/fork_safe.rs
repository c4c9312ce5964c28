// SPDX-License-Identifier: MPL-2.0
//! Static values that a forked worker can use whatever the agent's threads were doing at the fork.
//!
//! A thread that does not exist in the worker may have held a lock at the fork, or have been about to set a value, and
//! the worker would wait for it forever. So a value that is set once is set without a lock, and a value that needs a
//! lock is created again in each process, together with its lock.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::fork::HomeProcess;

/// A value that is set once, as in an `OnceLock`, and that nothing waits for. Workers have it as well.
#[derive(Debug)]
pub(crate) struct SetOnce<T>(AtomicPtr<T>);

impl<T: Send + Sync + 'static> SetOnce<T> {
    pub(crate) const fn new() -> SetOnce<T> {
        SetOnce(AtomicPtr::new(ptr::null_mut()))
    }

    pub(crate) fn get(&self) -> Option<&'static T> {
        // SAFETY: null or of a box that was given up for ever, and `T` may be shared between threads.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    /// Sets the value unless there is one; returns the first one.
    pub(crate) fn set(&self, value: T) -> &'static T {
        let new = Box::into_raw(Box::new(value));
        let first = match self.0.compare_exchange(ptr::null_mut(), new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => new,
            Err(first) => {
                // SAFETY: of the box above, and nothing else has seen it.
                drop(unsafe { Box::from_raw(new) });
                first
            }
        };
        // SAFETY: of a box that was given up for ever, by this call or by an earlier one.
        unsafe { &*first }
    }
}

/// A value that each process makes for itself at its first use. What a worker has a copy of is left as it is: dropping it
/// could wait for a thread of the agent.
#[derive(Debug)]
pub(crate) struct PerProcess<T> {
    current: AtomicPtr<Homed<T>>,
    make: fn() -> T,
}

#[derive(Debug)]
struct Homed<T> {
    value: T,
    home: HomeProcess,
    /// That of the process that forked this one: kept reachable, so that nothing calls it a leak.
    _before: *mut Homed<T>,
}

impl<T: Send + Sync + 'static> PerProcess<T> {
    pub(crate) const fn new(make: fn() -> T) -> PerProcess<T> {
        PerProcess { current: AtomicPtr::new(ptr::null_mut()), make }
    }

    /// The value of this process.
    pub(crate) fn get(&self) -> &'static T {
        let mut current = self.current.load(Ordering::Acquire);
        loop {
            // SAFETY: null or of a box that was given up for ever, and `T` may be shared between threads.
            if let Some(homed) = unsafe { current.as_ref() }.filter(|homed| homed.home.is_here()) {
                return &homed.value;
            }
            let homed = Homed { value: (self.make)(), home: HomeProcess::here(), _before: current };
            let new = Box::into_raw(Box::new(homed));
            match self.current.compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => current = new,
                Err(other) => {
                    // SAFETY: of the box above, and nothing else has seen it.
                    drop(unsafe { Box::from_raw(new) });
                    current = other;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Mutex, PoisonError};

    #[test]
    fn first_value_that_is_set_stays() {
        static NUMBER: SetOnce<u32> = SetOnce::new();
        assert_eq!(NUMBER.get(), None);
        assert_eq!((NUMBER.set(7), NUMBER.set(8), NUMBER.get()), (&7, &7, Some(&7)));
    }

    #[test]
    fn worker_has_a_lock_of_its_own_while_the_agent_holds_its() {
        static LISTED: PerProcess<Mutex<Vec<u32>>> = PerProcess::new(|| Mutex::new(Vec::new()));
        let mut held = LISTED.get().lock().unwrap_or_else(PoisonError::into_inner);
        held.push(7);
        // SAFETY: the worker allocates, which the C library allows in it, and exits without running anything else.
        let worker = unsafe { libc::fork() };
        if worker == 0 {
            crate::sys::spawn::allocation_trap::allow_in_this_process();
            let is_new = LISTED.get().try_lock().is_ok_and(|listed| listed.is_empty());
            // SAFETY: ends the worker.
            unsafe { libc::_exit(i32::from(!is_new)) };
        }
        let mut status = 0;
        // SAFETY: `status` lives through the call.
        assert_eq!(unsafe { libc::waitpid(worker, &raw mut status, 0) }, worker);
        assert_eq!(status, 0, "the worker has the lock of the agent, or its list");
        drop(held);
        assert_eq!(*LISTED.get().lock().unwrap_or_else(PoisonError::into_inner), [7]);
    }
}
