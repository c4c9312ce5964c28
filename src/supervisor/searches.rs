//! Those who wait for a look at all processes of the system, which takes as long for one as for all of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::progress::Progress;
use crate::sys::identity::Pid;

/// How long a look is put off while others are about to need one as well.
const SHARED_WITHIN: Duration = Duration::from_millis(10);

/// How often it is asked whether a look goes on, and how often it must not have done so to be given up. Asked so often,
/// a machine that stood still for a while is no reason.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);
const STANDSTILLS: u32 = 4;

/// A queue for the next look. While one is under way all others wait for the next: it must begin after their own group
/// was gone.
#[derive(Debug)]
pub(super) struct Searches<T> {
    waiting: Vec<T>,
    /// When the first of them came.
    since: Option<Instant>,
    under_way: Option<UnderWay<T>>,
}

#[derive(Debug)]
struct UnderWay<T> {
    all: Vec<T>,
    progress: Arc<Progress>,
    check_at: Instant,
    /// As of the last check.
    steps: u64,
    standstills: u32,
}

impl<T> Default for Searches<T> {
    fn default() -> Searches<T> {
        Searches { waiting: Vec::new(), since: None, under_way: None }
    }
}

impl<T: Clone> Searches<T> {
    /// Joins those who wait.
    pub(super) fn join(&mut self, one: T, now: Instant) {
        self.since.get_or_insert(now);
        self.waiting.push(one);
    }

    /// When the next look begins at the latest, if one is waited for and can begin; or when it is asked how the one is
    /// that is under way.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.under_way {
            Some(under_way) => Some(under_way.check_at),
            None => self.since.map(|since| since + SHARED_WITHIN),
        }
    }

    /// Those whom the look is for that begins now, if one does. `more`: others will join very soon.
    pub(super) fn begin(&mut self, now: Instant, more: bool) -> Option<(Vec<T>, Arc<Progress>)> {
        if self.under_way.is_some() || (more && now < self.deadline()?) {
            return None;
        }
        self.since.take()?;
        let (all, progress) = (std::mem::take(&mut self.waiting), Arc::new(Progress::default()));
        let (check_at, steps) = (now + CHECK_INTERVAL, progress.steps());
        self.under_way =
            Some(UnderWay { all: all.clone(), progress: progress.clone(), check_at, steps, standstills: 0 });
        Some((all, progress))
    }

    /// A look is over; false when it was given up before.
    pub(super) fn end(&mut self, progress: &Arc<Progress>) -> bool {
        self.under_way.take_if(|under_way| Arc::ptr_eq(&under_way.progress, progress)).is_some()
    }

    /// Gives up the look that is under way if it stands still at a process, and says which. Those whom it was for wait
    /// for the next one.
    pub(super) fn give_up(&mut self, now: Instant) -> Option<(Pid, Arc<Progress>)> {
        let under_way = self.under_way.as_mut().filter(|under_way| now >= under_way.check_at)?;
        let steps = under_way.progress.steps();
        let stands = under_way.progress.reading().filter(|_| steps == under_way.steps);
        under_way.standstills = if stands.is_some() { under_way.standstills + 1 } else { 0 };
        (under_way.check_at, under_way.steps) = (now + CHECK_INTERVAL, steps);
        let pid = stands.filter(|_| under_way.standstills >= STANDSTILLS)?;
        let given_up = self.under_way.take()?;
        self.waiting.splice(0..0, given_up.all);
        self.since = Some(now);
        Some((pid, given_up.progress))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::identity::own_pid;

    #[test]
    fn whoever_comes_while_somebody_looks_waits_for_the_next_look() {
        let now = Instant::now();
        let mut searches = Searches::default();
        assert!(searches.begin(now, false).is_none() && searches.deadline().is_none());
        searches.join(1, now);
        searches.join(2, now);
        let (all, first) = searches.begin(now, false).unwrap();
        assert_eq!(all, [1, 2]);
        searches.join(3, now);
        assert!(searches.begin(now, false).is_none(), "the look has begun already");
        assert!(searches.end(&first));
        let (all, second) = searches.begin(now, false).unwrap();
        assert_eq!(all, [3]);
        assert!(!searches.end(&first) && searches.end(&second));
        assert!(searches.begin(now, false).is_none());
    }

    #[test]
    fn a_look_is_put_off_for_those_who_come_soon_but_not_for_long() {
        let now = Instant::now();
        let mut searches = Searches::default();
        searches.join(1, now);
        assert!(searches.begin(now, true).is_none());
        searches.join(2, now + SHARED_WITHIN / 2);
        assert_eq!(searches.deadline(), Some(now + SHARED_WITHIN));
        assert_eq!(searches.begin(now + SHARED_WITHIN, true).unwrap().0, [1, 2]);
    }

    #[test]
    fn a_look_that_stands_still_is_given_up_and_made_again() {
        let now = Instant::now();
        let mut searches = Searches::default();
        searches.join(1, now);
        let (_, progress) = searches.begin(now, false).unwrap();
        searches.join(2, now);
        let checks = |searches: &mut Searches<i32>, count| {
            (0..count).find_map(|_| searches.give_up(searches.deadline().unwrap())).map(|(pid, _)| pid)
        };
        assert_eq!(checks(&mut searches, 10 * STANDSTILLS), None, "it waits for a thread, or lists processes");
        progress.read(own_pid(), || {
            assert_eq!(checks(&mut searches, STANDSTILLS), None, "the first time, it had gone on");
            progress.read(own_pid(), || assert_eq!(checks(&mut searches, STANDSTILLS), None, "it goes on"));
        });
        progress.read(own_pid(), || {
            assert_eq!(checks(&mut searches, STANDSTILLS + 1), Some(own_pid()));
            assert!(!searches.end(&progress));
            let latest = searches.deadline().unwrap();
            assert_eq!(searches.begin(latest, true).unwrap().0, [1, 2]);
        });
    }
}
