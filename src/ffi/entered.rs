// SPDX-License-Identifier: MPL-2.0
//! Which handles the calls of a thread are on. This detects a call that was left by a non-local exit.
//!
//! A signal handler of the host that leaves by siglongjmp, as the unsafe signals of Perl and the interrupts of SBCL do,
//! can take its thread out of the middle of a call: the call never returns, and what it has begun is not finished. A
//! thread is never in two calls on one handle, because no callback may call the handle that it is called for. So a
//! thread that enters a second call has left the first one, or it is in a signal handler, which may not call the
//! library.
//!
//! The second call fails then instead of waiting for its own thread. Calls that wait for long hold no lock meanwhile,
//! so that other threads, including those of the library, go on.

use std::cell::Cell;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::proxyprocess_code;
use super::failure::Failure;

/// Identifies a handle, and unlike its address is never reused.
pub(super) type HandleId = NonZeroU64;

/// How many calls a thread can be in or have left and still have them all recorded: calls nest by callbacks, at most
/// twice.
const PLACES: usize = 16;

thread_local! {
    // Without a destructor, which would prevent the library from being unloaded while the thread lives.
    static ENTERED: [Cell<Option<HandleId>>; PLACES] = const { [const { Cell::new(None) }; PLACES] };
}

/// An id for a new handle.
pub(super) fn new_id() -> HandleId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // It would wrap after 2^64 handles.
    NonZeroU64::new(NEXT.fetch_add(1, Ordering::Relaxed)).unwrap_or(NonZeroU64::MAX)
}

/// Whether the calling thread is in a call on this handle, or has left one.
pub(super) fn is_inside(id: HandleId) -> bool {
    ENTERED.with(|places| places.iter().any(|place| place.get() == Some(id)))
}

/// # Errors
/// [`proxyprocess_code::PROXYPROCESS_E_ABANDONED`] on a thread that is in a call on this handle, or has left one.
pub(super) fn check(id: HandleId) -> Result<(), Failure> {
    if !is_inside(id) {
        return Ok(());
    }
    let message = "this thread is in a call with the handle already, which it has left by a non-local exit (longjmp), or \
                   out of which it came here by a signal handler";
    Err(Failure::new(proxyprocess_code::PROXYPROCESS_E_ABANDONED, message))
}

/// Marks the calling thread as in a call on a handle until this is dropped.
#[derive(Debug)]
pub(super) struct Entered {
    /// Absent if the thread has left as many calls as there are places; leaving one more call is then not detected.
    place: Option<usize>,
}

impl Entered {
    pub(super) fn of(id: HandleId) -> Entered {
        let free = |places: &[Cell<Option<HandleId>>; PLACES]| places.iter().position(|place| place.get().is_none());
        Entered { place: ENTERED.with(|places| free(places).inspect(|place| places[*place].set(Some(id)))) }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            ENTERED.with(|places| places[place].set(None));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handle_is_refused_on_the_thread_that_left_a_call_and_on_no_other() {
        let (left, other) = (new_id(), new_id());
        {
            let _call = Entered::of(left);
            assert!(check(left).is_err() && check(other).is_ok());
            let _nested = Entered::of(other);
            assert!(check(other).is_err());
        }
        assert!(check(left).is_ok() && check(other).is_ok());
        std::mem::forget(Entered::of(left));
        assert!(check(left).is_err() && check(other).is_ok());
        std::thread::spawn(move || assert!(check(left).is_ok())).join().unwrap();
    }

    #[test]
    fn calls_beyond_the_places_of_a_thread_are_made_all_the_same() {
        std::thread::spawn(|| {
            (0..PLACES).for_each(|_| std::mem::forget(Entered::of(new_id())));
            let (one, two) = (new_id(), new_id());
            drop(Entered::of(one));
            std::mem::forget(Entered::of(two));
            assert!(check(one).is_ok() && check(two).is_ok());
        })
        .join()
        .unwrap();
    }
}
