// SPDX-License-Identifier: MPL-2.0
//! How a program learns that a state changed: by waiting, or by a descriptor.

use std::os::fd::BorrowedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError};

use crate::error::{Error, ErrorCode, Result};
use crate::feed::Readiness;
use crate::sys::fork::HomeProcess;

/// Reports that a [`State`](crate::State) changed. All changes since the last wait are reported as one.
#[derive(Debug)]
pub struct Subscription {
    changes: Receiver<()>,
    signal: Arc<Signal>,
}

impl Subscription {
    /// Waits for a change for at most `timeout`; false if there was none. Returns false at once if no change can come
    /// any more, and in a process that the host forked. If several threads wait, one of them gets the change.
    pub fn wait(&self, timeout: Duration) -> bool {
        // In a forked worker a thread that does not exist there may hold the lock.
        self.signal.home.is_here() && self.signal.wait(timeout, || self.changes.try_recv().is_ok())
    }

    /// A descriptor for a host with its own event loop. It is readable while there is a change that
    /// [`Subscription::wait`] has not reported, and permanently once no change can come any more: when all handles on
    /// the [`State`](crate::State) are gone and all its managers have ended. A wait that reports a change makes it
    /// unreadable again; a timeout of zero is enough.
    ///
    /// Only poll it; do not read, write or close it. It belongs to this subscription, is the same at every call, and
    /// lives as long as the subscription; remove it from an epoll set before dropping the subscription. It is
    /// close-on-exec and above 2.
    ///
    /// ```
    /// use proxyprocess::{ProxyConfig, State};
    /// use rustix::event::{PollFd, PollFlags, poll};
    /// use std::time::Duration;
    ///
    /// let state = State::new();
    /// let changes = state.subscribe();
    /// state.set("noop", ProxyConfig::of_mode(proxyprocess::ExecMode::NOOP))?;
    /// poll(&mut [PollFd::new(&changes.descriptor()?, PollFlags::IN)], None).unwrap();
    /// assert!(changes.wait(Duration::ZERO)); // now it is not readable, until the next change
    /// # Ok::<(), proxyprocess::Error>(())
    /// ```
    ///
    /// # Errors
    /// - [`ErrorCode::Exhausted`]: no descriptor is left; the call can be repeated.
    /// - [`ErrorCode::Forked`]: the descriptor belongs to the process that forked this one.
    pub fn descriptor(&self) -> Result<BorrowedFd<'_>> {
        self.signal.descriptor(|| !self.changes.is_empty())
    }

    pub(crate) fn channel(&self) -> &Receiver<()> {
        &self.changes
    }
}

/// What a polling host sees of a subscription.
#[derive(Debug)]
struct Signal {
    /// Whether no change can come any more. Its lock is held whenever the descriptor and the pending change are
    /// updated, so that the two always agree.
    is_over: Mutex<bool>,
    changed: Condvar,
    /// Created by the first call of [`Subscription::descriptor`].
    readiness: OnceLock<Readiness>,
    home: HomeProcess,
}

impl Signal {
    fn new() -> Signal {
        Signal {
            is_over: Mutex::new(false),
            changed: Condvar::new(),
            readiness: OnceLock::new(),
            home: HomeProcess::here(),
        }
    }

    fn descriptor(&self, has_change: impl FnOnce() -> bool) -> Result<BorrowedFd<'_>> {
        self.home.check()?;
        let is_over = self.lock();
        if let Some(readiness) = self.readiness.get() {
            return readiness.fd();
        }
        let failed = |error| Error::os(ErrorCode::Exhausted, "create subscription descriptor", &error);
        let readiness = Readiness::new().map_err(failed)?;
        if *is_over || has_change() {
            readiness.set();
        }
        self.readiness.get_or_init(|| readiness).fd()
    }

    /// Waits until there is a change to take, until none can come any more, or until the time is over.
    ///
    /// It does not wait in the channel: a change wakes one thread there, which could be one that has left its wait by
    /// the siglongjmp of a signal handler, unnoticed by the channel. A condition variable wakes all threads, and std's
    /// on Linux (a futex) holds nothing while a thread waits.
    fn wait(&self, timeout: Duration, take: impl Fn() -> bool) -> bool {
        let deadline = Instant::now().checked_add(timeout);
        let mut is_over = self.lock();
        loop {
            if take() {
                if let Some(readiness) = self.readiness.get().filter(|_| !*is_over) {
                    readiness.clear();
                }
                return true;
            }
            let left = deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
            if *is_over || left.is_zero() {
                return false;
            }
            is_over = self.changed.wait_timeout(is_over, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn set(&self) {
        self.changed.notify_all();
        if let Some(readiness) = self.readiness.get() {
            readiness.set();
        }
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        // Nothing panics while it is held.
        self.is_over.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The subscriptions of one state. A host may subscribe and unsubscribe without end while nothing changes.
#[derive(Debug, Default)]
pub(crate) struct Subscribers {
    all: Vec<Subscriber>,
    /// How many there were when dropped subscriptions were last removed.
    least: usize,
}

#[derive(Debug)]
struct Subscriber {
    news: Sender<()>,
    /// Dropped with the subscription: a channel reports that its other end is gone only when something is sent.
    signal: Weak<Signal>,
}

impl Subscriber {
    /// False if the subscription is gone.
    fn tell(&self) -> bool {
        let Some(signal) = self.signal.upgrade() else { return false };
        let _is_over = signal.lock();
        // If the channel is full, a change is already pending.
        let sent = self.news.try_send(());
        signal.set();
        sent != Err(TrySendError::Disconnected(()))
    }
}

impl Drop for Subscriber {
    /// The state is gone, and no change will come any more.
    fn drop(&mut self) {
        // In a forked worker a thread that does not exist there may hold the lock.
        if let Some(signal) = self.signal.upgrade().filter(|signal| signal.home.is_here()) {
            *signal.lock() = true;
            signal.set();
        }
    }
}

impl Subscribers {
    /// Up to this many are not searched for dropped subscriptions.
    pub(crate) const FEW: usize = 16;

    pub(crate) fn add(&mut self) -> Subscription {
        if self.all.len() >= 2 * self.least.max(Self::FEW) {
            self.all.retain(|subscriber| subscriber.signal.strong_count() > 0);
            self.least = self.all.len();
        }
        let (news, changes) = crossbeam_channel::bounded(1);
        let signal = Arc::new(Signal::new());
        self.all.push(Subscriber { news, signal: Arc::downgrade(&signal) });
        Subscription { changes, signal }
    }

    pub(crate) fn tell(&mut self) {
        self.all.retain(Subscriber::tell);
        self.least = self.all.len();
    }

    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    fn is_readable(subscription: &Subscription) -> bool {
        let mut polled = [PollFd::from_borrowed_fd(subscription.descriptor().unwrap(), PollFlags::IN)];
        poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 1
    }

    #[test]
    fn descriptor_is_readable_while_a_change_is_untold_and_after_the_end() {
        let mut subscribers = Subscribers::default();
        let (early, late) = (subscribers.add(), subscribers.add());
        assert!(!is_readable(&early));
        for _ in 0..3 {
            subscribers.tell();
        }
        assert!(is_readable(&early) && is_readable(&late), "asked for before or after the change");
        assert!(early.wait(Duration::ZERO) && !is_readable(&early) && is_readable(&late));
        assert!(!early.wait(Duration::ZERO) && !is_readable(&early));
        subscribers.tell();
        assert!(is_readable(&early));
        drop(subscribers);
        assert!(early.wait(Duration::ZERO) && is_readable(&early), "the last change is told, and then the end");
        assert!(!early.wait(Duration::ZERO) && is_readable(&early));
    }

    /// A wait on one thread empties the channel while another thread tells the next change: the descriptor must show it.
    #[test]
    fn change_that_comes_while_another_is_told_is_shown() {
        let mut subscribers = Subscribers::default();
        let subscription = subscribers.add();
        let descriptor = subscription.descriptor().unwrap();
        let changes = 2000;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..changes {
                    subscribers.tell();
                    // The reader has told it before the next one comes, or it is shown.
                    while !subscription.channel().is_empty() {
                        std::thread::yield_now();
                    }
                }
            });
            let patience = Timespec { tv_sec: 30, tv_nsec: 0 };
            let mut told = 0;
            while told < changes {
                let mut polled = [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)];
                assert_eq!(poll(&mut polled, Some(&patience)).unwrap(), 1, "after {told} changes");
                told += u32::from(subscription.wait(Duration::ZERO));
            }
        });
        assert!(!is_readable(&subscription));
    }
}
