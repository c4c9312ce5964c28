// SPDX-License-Identifier: MPL-2.0
//! An answer that is kept for a while: to make one takes the manager's time, and any user of the machine may ask.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::answer::Answer;

/// How long it is kept.
const TIME: Duration = Duration::from_secs(1);

/// The last answer to requests for the same path, and when it was made.
#[derive(Default)]
pub(super) struct Kept(Mutex<Option<(Instant, Answer)>>);

impl Kept {
    /// The one that is kept, or else a new one. Clients that ask meanwhile wait for that, so that one is made at a time.
    pub(super) fn or(&self, make: impl FnOnce() -> Answer) -> Answer {
        // An answer is put here as a whole.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((at, answer)) if at.elapsed() < TIME => answer.clone(),
            _ => {
                let answer = make();
                *kept = Some((Instant::now(), answer.clone()));
                answer
            }
        }
    }
}
