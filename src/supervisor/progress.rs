//! How far a look at other processes is. It can come to one that holds it up for as long as somebody likes: reading an
//! environment waits for the memory map of its process, which a page of a file system that does not answer keeps locked.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::sys::identity::Pid;
use crate::sys::{fail, stat};

/// Where one look is.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Counts the beginnings and the ends of readings.
    steps: AtomicU64,
    /// Who is being read, or 0.
    reading: AtomicI32,
}

impl Progress {
    /// Reads something of a process that may take for ever.
    pub(super) fn read<T>(&self, pid: Pid, what: impl FnOnce() -> T) -> T {
        self.reading.store(pid.as_raw(), Ordering::Release);
        self.steps.fetch_add(1, Ordering::AcqRel);
        fail::point("look:reads");
        let read = what();
        self.reading.store(0, Ordering::Release);
        self.steps.fetch_add(1, Ordering::AcqRel);
        read
    }

    /// Changes as long as the look goes on.
    pub(super) fn steps(&self) -> u64 {
        self.steps.load(Ordering::Acquire)
    }

    /// Who is being read.
    pub(super) fn reading(&self) -> Option<Pid> {
        Pid::from_raw(self.reading.load(Ordering::Acquire))
    }
}

/// Processes that hold up whoever reads them: others look past them until that has ended.
#[derive(Debug, Default)]
pub(super) struct Unreadable(Mutex<HashMap<i32, u64>>);

impl Unreadable {
    /// Adds a process, if a look still reads it.
    pub(super) fn insert(&self, pid: Pid, look: &Progress) -> io::Result<()> {
        let Some(stat) = stat::read(pid.as_raw())? else { return Ok(()) };
        let mut all = self.all();
        // ORDER: whoever has read it says first that it has, and removes it then. So it is not left here for ever.
        if look.reading() == Some(pid) {
            all.insert(pid.as_raw(), stat.start_ticks);
        }
        Ok(())
    }

    /// It was read after all.
    pub(super) fn remove(&self, pid: Pid) {
        self.all().remove(&pid.as_raw());
    }

    /// Whether a number is that of one of them, and not of another process by now.
    pub(super) fn contains(&self, pid: Pid) -> io::Result<bool> {
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
    use crate::sys::identity::own_pid;

    #[test]
    fn who_is_read_is_known_until_it_was() {
        let progress = Progress::default();
        let before = progress.steps();
        progress.read(own_pid(), || assert_eq!(progress.reading(), Some(own_pid())));
        assert_eq!((progress.reading(), progress.steps() - before), (None, 2));
    }

    #[test]
    fn another_process_of_the_same_number_is_read() {
        let (unreadable, progress) = (Unreadable::default(), Progress::default());
        unreadable.insert(own_pid(), &progress).unwrap();
        assert!(!unreadable.contains(own_pid()).unwrap(), "it was read meanwhile");
        progress.read(own_pid(), || unreadable.insert(own_pid(), &progress)).unwrap();
        assert!(unreadable.contains(own_pid()).unwrap());
        unreadable.all().insert(own_pid().as_raw(), 0);
        assert!(!unreadable.contains(own_pid()).unwrap());
        assert!(unreadable.all().is_empty());
    }
}
