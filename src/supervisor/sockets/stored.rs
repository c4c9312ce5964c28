// SPDX-License-Identifier: MPL-2.0
//! Descriptors that a process has stored for the next processes of its proxy (`FDSTORE=1` of sd_notify(3)). They are
//! lost with the agent, because their numbers in the process, if it kept them open, are unknown.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use crate::store::file_place::FilePlace;
use crate::sys::closed_on_fork::ClosedOnFork;
use crate::sys::fd::is_same_file;

/// Those of one proxy, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct StoredDescriptors(Mutex<Vec<Stored>>);

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) name: Arc<str>,
    pub(crate) descriptor: Arc<ClosedOnFork>,
}

impl StoredDescriptors {
    /// Keeps these, if they are not of a file that is kept already, as long as there are at most so many. How many there was no
    /// room for, which are closed.
    pub(crate) fn add(&self, name: &str, descriptors: Vec<OwnedFd>, most: usize) -> usize {
        let name: Arc<str> = name.into();
        let mut refused = 0;
        self.change(|stored| {
            for descriptor in descriptors {
                let is_it = |its: &OwnedFd| is_same_file(its.as_fd(), descriptor.as_fd());
                if stored.iter().filter_map(|stored| stored.descriptor.get()).any(is_it) {
                    continue;
                }
                if stored.len() >= most {
                    refused += 1;
                    continue;
                }
                stored.push(Stored { name: name.clone(), descriptor: Arc::new(ClosedOnFork::new(descriptor)) });
            }
        });
        refused
    }

    /// Closes those of this name.
    pub(crate) fn remove(&self, name: &str) {
        self.change(|stored| stored.retain(|stored| &*stored.name != name));
    }

    /// Closes all but the first ones, of which there may be so many.
    pub(crate) fn keep_first(&self, most: usize) {
        self.change(|stored| stored.truncate(most));
    }

    /// The first ones, for a process that may have so many. The rest is closed, unless another generation still serves.
    pub(crate) fn for_start(&self, most: usize, place: FilePlace) -> Vec<Stored> {
        if place == FilePlace::Current {
            self.keep_first(most);
        }
        self.first(most)
    }

    fn first(&self, most: usize) -> Vec<Stored> {
        let mut first = Vec::new();
        self.change(|stored| first.extend(stored.iter().take(most).cloned()));
        first
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Stored>)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::until_closed::until_closed;
    use std::fs::File;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    /// Two ends: one to be stored, and one that tells when it is closed.
    fn pair() -> (OwnedFd, UnixStream) {
        let (stored, other) = UnixStream::pair().unwrap();
        other.set_nonblocking(true).unwrap();
        (stored.into(), other)
    }

    fn names(stored: &StoredDescriptors, most: usize) -> Vec<String> {
        stored.first(most).iter().map(|stored| stored.name.to_string()).collect()
    }

    #[track_caller]
    fn is_closed(mut other: UnixStream) {
        until_closed(|| other.read(&mut [0]).is_ok_and(|read| read == 0).then_some(()));
    }

    #[test]
    fn descriptors_are_kept_in_order_once_each_and_no_more_than_may_be() {
        let stored = StoredDescriptors::default();
        let ((first, _a), (second, _b), (third, c)) = (pair(), pair(), pair());
        let again = first.try_clone().unwrap();
        assert_eq!(stored.add("a", vec![first, second], 2), 0);
        assert_eq!(stored.add("b", vec![again], 2), 0);
        assert_eq!(stored.add("c", vec![third], 2), 1);
        is_closed(c);
        assert_eq!((names(&stored, 9), names(&stored, 1)), (vec!["a".to_owned(); 2], vec!["a".to_owned()]));
        // Of one inode, but opened for another use.
        let null = "/dev/null";
        let files = [File::open(null), File::options().write(true).open(null)].map(|file| file.unwrap().into());
        assert_eq!(stored.add("null", files.into(), 4), 0);
        assert_eq!(names(&stored, 9), ["a", "a", "null", "null"]);
    }

    #[test]
    fn what_is_removed_or_too_much_is_closed_and_nothing_else() {
        let stored = StoredDescriptors::default();
        let ends = ["a", "b", "a", "c", "d"].map(|name| {
            let (end, other) = pair();
            assert_eq!(stored.add(name, vec![end], 9), 0);
            other
        });
        let [a, mut b, another, mut c, d] = ends;
        stored.remove("a");
        stored.remove("e");
        stored.keep_first(2);
        assert_eq!(names(&stored, 9), ["b", "c"]);
        [a, another, d].into_iter().for_each(is_closed);
        assert!([b.read(&mut [0]), c.read(&mut [0])].iter().all(Result::is_err), "they are open");
        stored.keep_first(0);
        [b, c].into_iter().for_each(is_closed);
    }
}
