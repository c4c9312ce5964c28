// SPDX-License-Identifier: MPL-2.0
//! The clock by which the kernel records the start time of a process, to know that time without reading it.
//!
//! `/proc/<pid>/stat` has the CLOCK_BOOTTIME of the clone in whole ticks: if the clock is in the same tick before and
//! after the clone, the start time is known. Whether a kernel behaves like this is tested with a first process.

use std::time::Duration;

use super::fork_safe::SetOnce;

/// A tick of `/proc/<pid>/stat` (USER_HZ, proc_pid_stat(5)), in nanoseconds. Where it is another, the trial says so.
const TICK: u64 = 10_000_000;

/// A time of CLOCK_BOOTTIME, which goes on while the machine is suspended, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BootTime(u64);

/// Whether start times follow the clock, once it is known.
static FOLLOWED: SetOnce<bool> = SetOnce::new();

impl BootTime {
    /// The time now, by one system call; `None` where it is refused.
    pub(super) fn now() -> Option<BootTime> {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // CHILD: the call itself and not clock_gettime(3), for this runs between clone and exec as well.
        // SAFETY: the pointer is to a live timespec.
        let result = unsafe { libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_BOOTTIME, &raw mut time) };
        if result != 0 {
            return None;
        }
        let seconds = u64::try_from(time.tv_sec).ok()?;
        let nanoseconds = u64::try_from(time.tv_nsec).ok()?;
        seconds.checked_mul(1_000_000_000)?.checked_add(nanoseconds).map(BootTime)
    }

    /// The tick of now, for processes that are started from now on: they have this one or a later one. `None` when start
    /// times do not follow the clock, or it cannot be read.
    pub(crate) fn tick_now() -> Option<u64> {
        if FOLLOWED.get() == Some(&false) {
            return None;
        }
        BootTime::now().map(|now| now.0 / TICK)
    }

    /// How long ago a process was started, as [`BootTime::tick_now`] is known.
    pub(crate) fn age(start_ticks: u64) -> Option<Duration> {
        BootTime::tick_now()?.checked_sub(start_ticks)?.checked_mul(TICK).map(Duration::from_nanos)
    }

    /// The start of a process that was cloned after this time and by `now`, unless a tick went by meanwhile.
    pub(super) fn start_ticks_if_now_is(self, now: BootTime) -> Option<u64> {
        (self.0 / TICK == now.0 / TICK).then_some(self.0 / TICK)
    }

    /// The time before a clone, where the start of the child will follow the clock.
    pub(super) fn if_followed() -> Option<BootTime> {
        if FOLLOWED.get() == Some(&true) { BootTime::now() } else { None }
    }

    /// Takes note of whether the start of a process, which was cloned after this time and by `now`, follows the clock.
    pub(super) fn try_out(self, start_ticks: u64, now: BootTime) {
        // The first one has decided.
        FOLLOWED.set((self.0 / TICK..=now.0 / TICK).contains(&start_ticks));
    }

    /// Whether that is still to be tried.
    pub(super) fn is_untried() -> bool {
        FOLLOWED.get().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_known_only_within_one_tick() {
        let at = |ns| BootTime(ns);
        assert_eq!(at(7 * TICK).start_ticks_if_now_is(at(8 * TICK - 1)), Some(7));
        assert_eq!(at(8 * TICK - 1).start_ticks_if_now_is(at(8 * TICK)), None);
        assert_eq!(at(7 * TICK).start_ticks_if_now_is(at(9 * TICK)), None);
    }

    /// As often as it takes to meet both cases: within one tick, and across the end of one.
    #[test]
    fn the_kernel_says_what_the_clock_says() {
        let (mut within, mut across) = (0, 0);
        while within < 20 || across < 1 {
            let before = BootTime::now().unwrap();
            let mut child = std::process::Command::new("true").spawn().unwrap();
            let after = BootTime::now().unwrap();
            let stat = super::super::proc::stat::read(child.id() as i32).unwrap().unwrap();
            child.wait().unwrap();
            match before.start_ticks_if_now_is(after) {
                Some(ticks) => {
                    assert_eq!(ticks, stat.start_ticks);
                    within += 1;
                }
                None => across += 1,
            }
            assert!((before.0 / TICK..=after.0 / TICK).contains(&stat.start_ticks));
        }
    }
}
