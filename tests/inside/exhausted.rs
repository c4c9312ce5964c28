// SPDX-License-Identifier: MPL-2.0
//! A host that has no descriptors left.

use std::fs::File;
use std::os::fd::AsRawFd;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// While it lives, this process cannot open anything.
pub(crate) struct Exhausted(Rlimit);

impl Exhausted {
    pub(crate) fn begin() -> Exhausted {
        let before = getrlimit(Resource::Nofile);
        // Descriptors are the lowest that are free: from this one on there is none.
        let lowest = File::open("/dev/null").unwrap().as_raw_fd();
        let current = Some(u64::try_from(lowest).unwrap());
        setrlimit(Resource::Nofile, Rlimit { current, maximum: before.maximum }).unwrap();
        assert!(File::open("/dev/null").is_err());
        Exhausted(before)
    }

    pub(crate) fn end(self) {
        setrlimit(Resource::Nofile, Rlimit { current: self.0.current, maximum: self.0.maximum }).unwrap();
    }
}
