// SPDX-License-Identifier: MPL-2.0
//! Tracks the progress of a scan, to detect one that is stalled. A single process can stall it forever: reading an
//! environment waits for the memory map of the process, which stays locked while a page fault waits for a file system
//! that does not answer.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::logging::{self, Level};
use crate::sys::fail;
use crate::sys::pid::Pid;
use crate::sys::proc::stat;

/// Where one scan is.
#[derive(Debug, Default)]
pub(crate) struct ScanProgress {
    /// Counts the beginnings and the ends of readings.
    steps: AtomicU64,
    /// The process that is being read, or 0.
    reading: AtomicI32,
}

impl ScanProgress {
    /// Reads something of a process that may take for ever.
    pub(crate) fn read<T>(&self, pid: Pid, what: impl FnOnce() -> T) -> T {
        self.reading.store(pid.as_raw(), Ordering::Release);
        self.steps.fetch_add(1, Ordering::AcqRel);
        fail::point("scan:reads");
        let read = what();
        self.reading.store(0, Ordering::Release);
        self.steps.fetch_add(1, Ordering::AcqRel);
        read
    }

    /// Changes as long as the scan goes on.
    pub(crate) fn steps(&self) -> u64 {
        self.steps.load(Ordering::Acquire)
    }

    /// The process that is being read.
    pub(crate) fn reading(&self) -> Option<Pid> {
        Pid::from_raw(self.reading.load(Ordering::Acquire))
    }
}

/// Processes that stall the scan that reads them: other scans skip them until that reading has ended.
#[derive(Debug, Default)]
pub(crate) struct UnreadableProcesses(Mutex<HashMap<i32, u64>>);

impl UnreadableProcesses {
    /// Has later scans skip a process at which one was given up, and says so. `purpose`: of the scan.
    pub(crate) fn skip(&self, purpose: &str, pid: Pid, scan: &ScanProgress) -> io::Result<()> {
        let inserted = self.insert(pid, scan);
        let error = inserted.as_ref().err().map(|error| format!(": {error}")).unwrap_or_default();
        let what = format_args!("reading the environment of pid {pid} does not return: the scan skips it{error}");
        logging::write(Level::Warn, format_args!("{purpose}: {what}"));
        inserted
    }

    /// Adds a process, if a scan still reads it.
    pub(super) fn insert(&self, pid: Pid, scan: &ScanProgress) -> io::Result<()> {
        let Some(stat) = stat::read(pid.as_raw())? else { return Ok(()) };
        let mut all = self.all();
        // ORDER: the reader says first that it has read it, and removes it then. So it is not left here for ever.
        if scan.reading() == Some(pid) {
            all.insert(pid.as_raw(), stat.start_ticks);
        }
        Ok(())
    }

    /// It was read after all.
    pub(crate) fn remove(&self, pid: Pid) {
        self.all().remove(&pid.as_raw());
    }

    /// Whether a pid is that of one of them, and was not recycled.
    pub(crate) fn contains(&self, pid: Pid) -> io::Result<bool> {
        let Some(start_ticks) = self.all().get(&pid.as_raw()).copied() else { return Ok(false) };
        let same = stat::read(pid.as_raw())?.is_some_and(|stat| stat.start_ticks == start_ticks);
        if !same {
            self.remove(pid);
        }
        Ok(same)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<i32, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::pid::own_pid;

    #[test]
    fn process_that_is_being_read_is_known_until_it_was_read() {
        let progress = ScanProgress::default();
        let before = progress.steps();
        progress.read(own_pid(), || assert_eq!(progress.reading(), Some(own_pid())));
        assert_eq!((progress.reading(), progress.steps() - before), (None, 2));
    }

    #[test]
    fn process_with_a_recycled_pid_is_read() {
        let (unreadable, progress) = (UnreadableProcesses::default(), ScanProgress::default());
        unreadable.insert(own_pid(), &progress).unwrap();
        assert!(!unreadable.contains(own_pid()).unwrap(), "it was read meanwhile");
        progress.read(own_pid(), || unreadable.insert(own_pid(), &progress)).unwrap();
        assert!(unreadable.contains(own_pid()).unwrap());
        unreadable.all().insert(own_pid().as_raw(), 0);
        assert!(!unreadable.contains(own_pid()).unwrap());
        assert!(unreadable.all().is_empty());
    }
}
