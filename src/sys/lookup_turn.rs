// SPDX-License-Identifier: MPL-2.0
//! One look-up at a time. A user database that does not answer blocks the thread that asks it, and no thread that would
//! ask later.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Who may ask now.
#[derive(Debug, Default)]
pub(crate) struct LookupTurn {
    /// When the look-up began that is under way, if one is.
    begun: Mutex<Option<Instant>>,
    over: Condvar,
}

impl LookupTurn {
    /// Does the work when no other thread does any.
    ///
    /// # Errors
    /// For how long the work of another thread has been under way: as long as `patience`, or longer.
    pub(crate) fn take<T>(&self, patience: Duration, work: impl FnOnce() -> T) -> Result<T, Duration> {
        let mut begun = self.begun();
        while let Some(at) = *begun {
            let busy = at.elapsed();
            let Some(left) = patience.checked_sub(busy).filter(|left| !left.is_zero()) else { return Err(busy) };
            // UNWRAP: it is not poisoned, for nothing panics while it is held.
            begun = self.over.wait_timeout(begun, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *begun = Some(Instant::now());
        drop(begun);
        let _end = End(self);
        Ok(work())
    }

    fn begun(&self) -> MutexGuard<'_, Option<Instant>> {
        // Nothing panics while it is held.
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a turn, also when the work panics.
struct End<'a>(&'a LookupTurn);

impl Drop for End<'_> {
    fn drop(&mut self) {
        *self.0.begun() = None;
        self.0.over.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::mpsc::channel;

    #[test]
    fn while_one_has_no_answer_the_next_gives_up_and_then_has_its_turn() {
        let (turn, (asks, asked), (answers, answer)) = (LookupTurn::default(), channel(), channel::<()>());
        std::thread::scope(|scope| {
            let first = scope.spawn(|| {
                turn.take(Duration::ZERO, move || {
                    asks.send(()).unwrap();
                    answer.recv().unwrap();
                })
            });
            asked.recv().unwrap();
            let patience = Duration::from_millis(20);
            assert!(turn.take(patience, || unreachable!()).unwrap_err() >= patience);
            // It has no patience left for the same look-up.
            assert!(turn.take(patience, || unreachable!()).is_err());
            let next = scope.spawn(|| turn.take(Duration::MAX, || 7));
            answers.send(()).unwrap();
            assert_eq!((first.join().unwrap(), next.join().unwrap()), (Ok(()), Ok(7)));
        });
    }

    #[test]
    fn work_that_panics_ends_its_turn() {
        let turn = LookupTurn::default();
        let panicked =
            catch_unwind(AssertUnwindSafe(|| turn.take(Duration::ZERO, || std::panic::resume_unwind(Box::new(())))));
        assert!(panicked.is_err());
        assert_eq!(turn.take(Duration::ZERO, || 7), Ok(7));
    }
}
