//! Those who wait for a look at all processes of the system, which takes as long for one as for all of them.

use std::time::{Duration, Instant};

/// How long a look is put off while others are about to need one as well.
const SHARED_WITHIN: Duration = Duration::from_millis(10);

/// A queue for the next look. While one is under way all others wait for the next: it must begin after their own group
/// was gone.
#[derive(Debug)]
pub(super) struct Searches<T> {
    waiting: Vec<T>,
    /// When the first of them came.
    since: Option<Instant>,
    looking: bool,
}

impl<T> Default for Searches<T> {
    fn default() -> Searches<T> {
        Searches { waiting: Vec::new(), since: None, looking: false }
    }
}

impl<T> Searches<T> {
    /// Joins those who wait.
    pub(super) fn join(&mut self, one: T, now: Instant) {
        self.since.get_or_insert(now);
        self.waiting.push(one);
    }

    /// When the next look begins at the latest, if one is waited for and can begin.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.since.filter(|_| !self.looking).map(|since| since + SHARED_WITHIN)
    }

    /// Those whom the look is for that begins now, if one does. `more`: others will join very soon.
    pub(super) fn begin(&mut self, now: Instant, more: bool) -> Option<Vec<T>> {
        let deadline = self.deadline()?;
        if more && now < deadline {
            return None;
        }
        (self.since, self.looking) = (None, true);
        Some(std::mem::take(&mut self.waiting))
    }

    /// The look is over.
    pub(super) fn end(&mut self) {
        self.looking = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_while_somebody_looks_waits_for_the_next_look() {
        let now = Instant::now();
        let mut searches = Searches::default();
        assert_eq!((searches.begin(now, false), searches.deadline()), (None, None));
        searches.join(1, now);
        searches.join(2, now);
        assert_eq!(searches.begin(now, false), Some(vec![1, 2]));
        searches.join(3, now);
        assert_eq!((searches.begin(now, false), searches.deadline()), (None, None), "the look has begun already");
        searches.end();
        assert_eq!(searches.begin(now, false), Some(vec![3]));
        searches.end();
        assert_eq!(searches.begin(now, false), None);
    }

    #[test]
    fn a_look_is_put_off_for_those_who_come_soon_but_not_for_long() {
        let now = Instant::now();
        let mut searches = Searches::default();
        searches.join(1, now);
        assert_eq!(searches.begin(now, true), None);
        searches.join(2, now + SHARED_WITHIN / 2);
        assert_eq!(searches.deadline(), Some(now + SHARED_WITHIN));
        assert_eq!(searches.begin(now + SHARED_WITHIN, true), Some(vec![1, 2]));
    }
}
