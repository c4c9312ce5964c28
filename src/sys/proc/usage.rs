// SPDX-License-Identifier: MPL-2.0
//! The processor time and the memory of a process (clock_getcpuclockid(3), proc_pid_statm(5)). Of ten thousand processes
//! each system call counts, and `/proc/<pid>/stat`, which has both, takes the kernel longer than the clock and statm do.

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use super::stat::integer;

/// What a process uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    /// In user and kernel mode, of all its threads.
    pub(crate) cpu: Duration,
    /// Resident, in bytes.
    pub(crate) resident: u64,
}

/// Of a process by its pid; `None` when it is gone or cannot be read.
pub(crate) fn of(pid: u32) -> Option<Usage> {
    let mut text = [0; 256];
    // In one read, which returns all of it (seq_file).
    let length = File::open(format!("/proc/{pid}/statm")).ok()?.read(&mut text).ok()?;
    Some(Usage { cpu: cpu_time(pid)?, resident: resident_pages(text.get(..length)?)?.checked_mul(page_size()?)? })
}

/// Field 2.
fn resident_pages(text: &[u8]) -> Option<u64> {
    integer(text.split(u8::is_ascii_whitespace).nth(1)?)
}

/// The number of the clock of a process: its pid, inverted, over CPUCLOCK_SCHED (the kernel's
/// posix-timers.h). clock_getcpuclockid(3) makes the same number, and asks the kernel once more whether there is that process.
fn cpu_clock(pid: libc::pid_t) -> libc::clockid_t {
    (!pid << 3) | 2
}

fn cpu_time(pid: u32) -> Option<Duration> {
    let pid = libc::pid_t::try_from(pid).ok().filter(|pid| *pid > 0)?;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable memory of the right type; a clock that there is not is EINVAL.
    if unsafe { libc::clock_gettime(cpu_clock(pid), &raw mut time) } != 0 {
        return None;
    }
    Some(Duration::new(time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?))
}

fn page_size() -> Option<u64> {
    // SAFETY: sysconf takes no pointer.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_pages_are_the_second_field() {
        assert_eq!(resident_pages(b"700 300 200 1 0 90 0\n"), Some(300));
        assert_eq!(resident_pages(b"700"), None);
    }

    #[test]
    fn this_process_has_memory_and_has_run() {
        let usage = of(std::process::id()).unwrap();
        assert!(usage.resident > 100_000 && !usage.cpu.is_zero(), "{usage:?}");
        assert_eq!(of(0), None);
    }

    #[test]
    fn clock_of_a_process_has_the_number_that_the_c_library_gives_it() {
        let (mut clock, pid) = (0, libc::pid_t::try_from(std::process::id()).unwrap());
        // SAFETY: `clock` is writable memory of the right type.
        assert_eq!(unsafe { libc::clock_getcpuclockid(pid, &raw mut clock) }, 0);
        assert_eq!(cpu_clock(pid), clock);
    }
}
