// SPDX-License-Identifier: MPL-2.0
//! Processor time and memory of the processes of all proxies. The clock of a process is read at each call, its memory
//! only if the process has run since the last reading: opening and reading a file is most of the cost of a scrape, and
//! most of ten thousand processes sleep.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::sys::proc::usage::{MemoryReader, cpu_time};

/// For how long the memory of a process that does not run counts as unchanged, at least and at most: the kernel may
/// take pages away. It differs from process to process, so that not all are read again at once.
const KEPT_AT_LEAST_S: u64 = 30;
const KEPT_AT_MOST_S: u64 = 60;

/// The processor time and memory of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) cpu: Duration,
    /// Resident, in bytes.
    pub(super) resident: u64,
}

/// The last readings, by pid.
#[derive(Debug, Default)]
pub(super) struct Usages {
    known: HashMap<u32, Known>,
}

/// A recycled pid does not matter: a process whose clock shows the same nanoseconds has not run since.
#[derive(Debug, Clone, Copy)]
struct Known {
    usage: Usage,
    until: Instant,
}

impl Usages {
    /// The values of each process; `None` for one that is gone or cannot be read. Earlier readings of processes that
    /// are not in the list are dropped.
    pub(super) fn of(&mut self, pids: impl Iterator<Item = Option<u32>>, now: Instant) -> Vec<Option<Usage>> {
        let reader = MemoryReader::new();
        let mut known = HashMap::with_capacity(self.known.len());
        let usages = pids.map(|pid| {
            let pid = pid?;
            let read = || reader.as_ref()?.resident(pid);
            let found = renewed(self.known.get(&pid), pid, cpu_time(pid)?, now, read)?;
            known.insert(pid, found);
            Some(found.usage)
        });
        let usages = usages.collect();
        self.known = known;
        usages
    }
}

/// The values of a process by its clock; its memory is read if it may have changed.
fn renewed(
    known: Option<&Known>,
    pid: u32,
    cpu: Duration,
    now: Instant,
    read: impl FnOnce() -> Option<u64>,
) -> Option<Known> {
    if let Some(known) = known.filter(|known| known.usage.cpu == cpu && now < known.until) {
        return Some(*known);
    }
    let kept_s = KEPT_AT_LEAST_S + u64::from(pid) % (KEPT_AT_MOST_S - KEPT_AT_LEAST_S + 1);
    Some(Known { usage: Usage { cpu, resident: read()? }, until: now + Duration::from_secs(kept_s) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_a_process_is_read_again_when_it_has_run_or_a_minute_later() {
        let (start, pid) = (Instant::now(), 1234);
        let cpu = Duration::from_nanos(7);
        let first = renewed(None, pid, cpu, start, || Some(100)).unwrap();
        let second = |cpu, after_s, read| {
            let found = renewed(Some(&first), pid, cpu, start + Duration::from_secs(after_s), || read);
            found.map(|known| known.usage.resident)
        };
        assert_eq!(second(cpu, KEPT_AT_LEAST_S - 1, Some(200)), Some(100));
        assert_eq!(second(cpu + Duration::from_nanos(1), 0, Some(200)), Some(200));
        assert_eq!(second(cpu, KEPT_AT_MOST_S, Some(200)), Some(200));
        assert_eq!(second(cpu, KEPT_AT_MOST_S, None), None);
    }

    #[test]
    fn processes_are_not_all_read_again_at_once() {
        let start = Instant::now();
        let until = |pid| renewed(None, pid, Duration::ZERO, start, || Some(1)).unwrap().until;
        let spread: std::collections::BTreeSet<_> = (1000..1031).map(until).collect();
        assert_eq!(spread.len(), 31);
        assert_eq!(spread.first().copied(), Some(start + Duration::from_secs(KEPT_AT_LEAST_S)));
        assert_eq!(spread.last().copied(), Some(start + Duration::from_secs(KEPT_AT_MOST_S)));
    }

    #[test]
    fn usages_stand_in_the_order_of_the_processes_and_forget_those_that_are_gone() {
        let (mut usages, this) = (Usages::default(), std::process::id());
        let found = usages.of([None, Some(this), Some(u32::MAX)].into_iter(), Instant::now());
        assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, false]);
        assert_eq!(usages.known.keys().copied().collect::<Vec<_>>(), [this]);
        assert_eq!(usages.of(std::iter::empty(), Instant::now()), []);
        assert!(usages.known.is_empty());
    }
}
