// SPDX-License-Identifier: MPL-2.0
//! The processor time and the memory of a process (clock_getcpuclockid(3), proc_pid_statm(5)). With ten thousand
//! processes each system call counts, and `/proc/<pid>/stat`, which has both values, takes the kernel longer than the
//! clock and statm.

use std::ffi::CStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use super::stat::integer;
use crate::sys::file::open_at;

/// Reads the memory of many processes.
#[derive(Debug)]
pub(crate) struct MemoryReader {
    /// `/proc`, so that the way there is not walked for each.
    proc: OwnedFd,
    page_size: u64,
}

impl MemoryReader {
    /// `None` where there is no `/proc`, or no descriptor for it now.
    pub(crate) fn new() -> Option<MemoryReader> {
        let proc = open_at(libc::AT_FDCWD, c"/proc", libc::O_PATH | libc::O_DIRECTORY, 0).ok()?;
        Some(MemoryReader { proc, page_size: page_size()? })
    }

    /// The resident memory of a process, in bytes; `None` when it is gone or cannot be read.
    pub(crate) fn resident(&self, pid: u32) -> Option<u64> {
        let mut path = [0; 32];
        // One byte is left, the NUL at its end.
        write!(&mut path[..31], "{pid}/statm").ok()?;
        let file = open_at(self.proc.as_raw_fd(), CStr::from_bytes_until_nul(&path).ok()?, libc::O_RDONLY, 0).ok()?;
        let mut text = [0; 256];
        // In one read, which returns all of it (seq_file).
        let length = File::from(file).read(&mut text).ok()?;
        resident_pages(text.get(..length)?)?.checked_mul(self.page_size)
    }
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

/// The processor time of a process, in user and kernel mode, of all its threads; `None` when it is gone.
pub(crate) fn cpu_time(pid: u32) -> Option<Duration> {
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
        let reader = MemoryReader::new().unwrap();
        let this = std::process::id();
        assert!(reader.resident(this).unwrap() > 100_000 && !cpu_time(this).unwrap().is_zero());
        assert_eq!([0, u32::MAX].map(|pid| reader.resident(pid)), [None; 2]);
        assert_eq!([0, u32::MAX].map(cpu_time), [None; 2]);
    }

    #[test]
    fn clock_of_a_process_has_the_number_that_the_c_library_gives_it() {
        let (mut clock, pid) = (0, libc::pid_t::try_from(std::process::id()).unwrap());
        // SAFETY: `clock` is writable memory of the right type.
        assert_eq!(unsafe { libc::clock_getcpuclockid(pid, &raw mut clock) }, 0);
        assert_eq!(cpu_clock(pid), clock);
    }
}
