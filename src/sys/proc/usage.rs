// SPDX-License-Identifier: MPL-2.0
//! The processor time and the memory of a process (proc_pid_stat(5)).

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

/// Milliseconds of a tick of /proc (USER_HZ, which is 100 on all architectures of Linux but Alpha and IA-64).
const TICK_MS: u64 = 10;

/// Of a process by its pid; `None` when it is gone or cannot be read.
pub(crate) fn of(pid: u32) -> Option<Usage> {
    parse(&std::fs::read(format!("/proc/{pid}/stat")).ok()?, page_size()?)
}

fn parse(text: &[u8], page: u64) -> Option<Usage> {
    let name_end = text.iter().rposition(|&byte| byte == b')')?;
    let mut words = text.get(name_end + 1..)?.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    // Fields 14, 15 and 24; the first word is field 3.
    let (user, system) = (integer::<u64>(words.nth(11)?)?, integer::<u64>(words.next()?)?);
    let pages: u64 = integer(words.nth(8)?)?;
    let cpu = Duration::from_millis(user.checked_add(system)?.checked_mul(TICK_MS)?);
    Some(Usage { cpu, resident: pages.checked_mul(page)? })
}

fn page_size() -> Option<u64> {
    // SAFETY: sysconf takes no pointer.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_behind_the_name() {
        let text = b"7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 4711 1000000 300 184 1 1 0 0\n";
        assert_eq!(parse(text, 4096), Some(Usage { cpu: Duration::from_secs(3), resident: 300 * 4096 }));
        assert_eq!(parse(b"7 (a) S 1", 4096), None);
    }

    #[test]
    fn this_process_has_memory() {
        assert!(of(std::process::id()).unwrap().resident > 100_000);
        assert_eq!(of(0), None);
    }
}
