// SPDX-License-Identifier: MPL-2.0
//! The clock by which a process reports when its reload began (sd_notify(3)), as a number: an `Instant` cannot be
//! compared with a time that another process has read.

/// A time of CLOCK_MONOTONIC, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MonotonicTime(u64);

impl MonotonicTime {
    /// The time now.
    pub(crate) fn now() -> MonotonicTime {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the pointer is to a live timespec. The call fails for clocks alone that there are not (clock_gettime(2)).
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
        let (seconds, nanoseconds) = (time.tv_sec as u64, time.tv_nsec as u64);
        MonotonicTime(seconds * 1_000_000 + nanoseconds / 1000)
    }

    /// What a process has sent.
    pub(crate) fn of_microseconds(microseconds: u64) -> MonotonicTime {
        MonotonicTime(microseconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_that_of_the_clock_in_microseconds_and_never_goes_back() {
        let before = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let now = MonotonicTime::now();
        let microseconds = before.tv_sec as u64 * 1_000_000 + before.tv_nsec as u64 / 1000;
        assert!(now >= MonotonicTime::of_microseconds(microseconds));
        assert!(now <= MonotonicTime::now());
    }
}
