// SPDX-License-Identifier: MPL-2.0
//! A descriptor with events about a process, which the thread that waits for processes also waits for.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use super::Reaper;

/// It is waited for until this is dropped.
#[derive(Debug)]
pub(crate) struct AwaitedDescriptor<T: AsFd> {
    descriptor: T,
    reaper: Arc<Reaper>,
}

impl<T: AsFd> AwaitedDescriptor<T> {
    /// From now on [`Reaper::wait`] reports this number as long as the descriptor is readable.
    ///
    /// # Errors
    /// ENOMEM, ENOSPC: the kernel takes no more. The descriptor is the caller's again.
    pub(crate) fn readable(descriptor: T, reaper: &Arc<Reaper>, number: u64) -> Result<Self, (T, io::Error)> {
        let added = reaper.epoll.add(descriptor.as_fd(), number);
        AwaitedDescriptor::once_added(added, descriptor, reaper)
    }

    /// The same, as long as it is writable.
    ///
    /// # Errors
    /// As above.
    pub(crate) fn writable(descriptor: T, reaper: &Arc<Reaper>, number: u64) -> Result<Self, (T, io::Error)> {
        let added = reaper.epoll.add_writable(descriptor.as_fd(), number);
        AwaitedDescriptor::once_added(added, descriptor, reaper)
    }

    fn once_added(added: io::Result<()>, descriptor: T, reaper: &Arc<Reaper>) -> Result<Self, (T, io::Error)> {
        match added {
            Ok(()) => Ok(AwaitedDescriptor { descriptor, reaper: reaper.clone() }),
            Err(error) => Err((descriptor, error)),
        }
    }

    pub(crate) fn get(&mut self) -> &mut T {
        &mut self.descriptor
    }
}

impl<T: AsFd> Drop for AwaitedDescriptor<T> {
    fn drop(&mut self) {
        self.reaper.epoll.remove(self.descriptor.as_fd());
    }
}
