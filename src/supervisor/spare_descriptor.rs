// SPDX-License-Identifier: MPL-2.0
//! A reserved descriptor, for a scan of processes or a cgroup during a stop, when the host has no descriptor left.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use crate::sys::{is_exhausted, null};

/// A descriptor that is closed for a while when no other is free: a stop must not wait for a host that has none left.
#[derive(Debug)]
pub(crate) struct SpareDescriptor(Mutex<Option<OwnedFd>>);

impl SpareDescriptor {
    pub(crate) fn new() -> io::Result<SpareDescriptor> {
        Ok(SpareDescriptor(Mutex::new(Some(null::open_no_input()?.0))))
    }

    /// Does what needs one descriptor at a time.
    pub(crate) fn lend<T>(&self, mut what: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        let done = what();
        if !done.as_ref().is_err_and(is_exhausted) {
            return done;
        }
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *spare = None;
        let done = what();
        *spare = null::open_no_input().ok().map(|(spare, _)| spare);
        done
    }
}
