// SPDX-License-Identifier: MPL-2.0
//! The scan queue: a scan takes as long for one request as for many, so requests share one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::stalled_scan::ScanProgress;
use crate::sys::pid::Pid;

/// How long a scan is put off while other processes are about to end that will need one as well.
const SHARED_WITHIN: Duration = Duration::from_millis(10);

/// How often the progress of a scan is checked, and after how many checks without progress it counts as stalled and is
/// given up. With several checks, a machine that stood still for a while is no reason.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);
const STANDSTILLS: u32 = 4;

/// The requests for the next scan. While one is under way all others wait for the next: it must begin after their own
/// group was gone.
#[derive(Debug)]
pub(crate) struct ScanQueue<T> {
    waiting: Vec<T>,
    /// When the first of them came.
    since: Option<Instant>,
    under_way: Option<UnderWay<T>>,
}

#[derive(Debug)]
struct UnderWay<T> {
    all: Vec<T>,
    progress: Arc<ScanProgress>,
    check_at: Instant,
    /// As of the last check.
    steps: u64,
    standstills: u32,
}

impl<T> Default for ScanQueue<T> {
    fn default() -> ScanQueue<T> {
        ScanQueue { waiting: Vec::new(), since: None, under_way: None }
    }
}

impl<T: Clone> ScanQueue<T> {
    /// Adds a request.
    pub(crate) fn join(&mut self, one: T, now: Instant) {
        self.since.get_or_insert(now);
        self.waiting.push(one);
    }

    /// When the next scan begins at the latest, if one is requested and can begin; or when the progress of the one that is
    /// under way is checked.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.under_way {
            Some(under_way) => Some(under_way.check_at),
            None => self.since.map(|since| since + SHARED_WITHIN),
        }
    }

    /// The requests that the scan is for that begins now, if one does. `more`: others will be added very soon.
    pub(crate) fn begin(&mut self, now: Instant, more: bool) -> Option<(Vec<T>, Arc<ScanProgress>)> {
        if self.under_way.is_some() || (more && now < self.deadline()?) {
            return None;
        }
        self.since.take()?;
        let (all, progress) = (std::mem::take(&mut self.waiting), Arc::new(ScanProgress::default()));
        let (check_at, steps) = (now + CHECK_INTERVAL, progress.steps());
        self.under_way =
            Some(UnderWay { all: all.clone(), progress: progress.clone(), check_at, steps, standstills: 0 });
        Some((all, progress))
    }

    /// A scan is over; false when it was given up before.
    pub(crate) fn end(&mut self, progress: &Arc<ScanProgress>) -> bool {
        self.under_way.take_if(|under_way| Arc::ptr_eq(&under_way.progress, progress)).is_some()
    }

    /// Gives up the scan that is under way if it is stalled at a process, and says which. Its requests wait for the next
    /// one.
    pub(crate) fn give_up(&mut self, now: Instant) -> Option<(Pid, Arc<ScanProgress>)> {
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
    use crate::sys::pid::own_pid;

    #[test]
    fn a_request_during_a_scan_waits_for_the_next_scan() {
        let now = Instant::now();
        let mut queue = ScanQueue::default();
        assert!(queue.begin(now, false).is_none() && queue.deadline().is_none());
        queue.join(1, now);
        queue.join(2, now);
        let (all, first) = queue.begin(now, false).unwrap();
        assert_eq!(all, [1, 2]);
        queue.join(3, now);
        assert!(queue.begin(now, false).is_none(), "the scan has begun already");
        assert!(queue.end(&first));
        let (all, second) = queue.begin(now, false).unwrap();
        assert_eq!(all, [3]);
        assert!(!queue.end(&first) && queue.end(&second));
        assert!(queue.begin(now, false).is_none());
    }

    #[test]
    fn a_scan_is_put_off_for_requests_that_come_soon_but_not_for_long() {
        let now = Instant::now();
        let mut queue = ScanQueue::default();
        queue.join(1, now);
        assert!(queue.begin(now, true).is_none());
        queue.join(2, now + SHARED_WITHIN / 2);
        assert_eq!(queue.deadline(), Some(now + SHARED_WITHIN));
        assert_eq!(queue.begin(now + SHARED_WITHIN, true).unwrap().0, [1, 2]);
    }

    #[test]
    fn a_stalled_scan_is_given_up_and_made_again() {
        let now = Instant::now();
        let mut queue = ScanQueue::default();
        queue.join(1, now);
        let (_, progress) = queue.begin(now, false).unwrap();
        queue.join(2, now);
        let checks = |queue: &mut ScanQueue<i32>, count| {
            (0..count).find_map(|_| queue.give_up(queue.deadline().unwrap())).map(|(pid, _)| pid)
        };
        assert_eq!(checks(&mut queue, 10 * STANDSTILLS), None, "it waits for a thread, or lists processes");
        progress.read(own_pid(), || {
            assert_eq!(checks(&mut queue, STANDSTILLS), None, "the first time, it had gone on");
            progress.read(own_pid(), || assert_eq!(checks(&mut queue, STANDSTILLS), None, "it goes on"));
        });
        progress.read(own_pid(), || {
            assert_eq!(checks(&mut queue, STANDSTILLS + 1), Some(own_pid()));
            assert!(!queue.end(&progress));
            let latest = queue.deadline().unwrap();
            assert_eq!(queue.begin(latest, true).unwrap().0, [1, 2]);
        });
    }
}
