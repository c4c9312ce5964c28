// SPDX-License-Identifier: MPL-2.0
//! Signals: numbers that are known to be valid, and sending them.

use std::fmt;
use std::io;
use std::str::FromStr;

use super::check;
use super::pid::Pid;
use crate::error::{Error, ErrorCode, excerpt};

/// A signal that the kernel knows: 1 to 64 on Linux.
///
/// ```
/// use proxyprocess::Signal;
///
/// assert_eq!("SIGUSR1".parse::<Signal>().unwrap(), "usr1".parse().unwrap());
/// assert_eq!(Signal::INT.to_string(), "SIGINT");
/// assert_eq!("SIGRTMIN+3".parse::<Signal>().unwrap().as_raw(), 37);
/// assert!("SIGNOTHING".parse::<Signal>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signal(i32);

/// The highest signal number of Linux (`_NSIG`), which is `SIGRTMAX`.
pub(super) const MAX_SIGNAL: i32 = 64;

/// `SIGRTMIN` as programs that use glibc see it: glibc reserves the first two real-time signals of the kernel, 32 and
/// 33 (signal(7)).
const FIRST_REAL_TIME: i32 = 34;

const NAMES: [(&str, i32); 31] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("STKFLT", libc::SIGSTKFLT),
    ("CHLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
];

/// Other names of the same signals (signal(7)): accepted, but never written.
const ALIASES: [(&str, i32); 3] = [("IOT", libc::SIGIOT), ("CLD", libc::SIGCHLD), ("POLL", libc::SIGPOLL)];

impl Signal {
    /// The usual signal to reload a configuration.
    pub const HUP: Signal = Signal(libc::SIGHUP);
    /// The default stop signal of the original (Consul).
    pub const INT: Signal = Signal(libc::SIGINT);
    /// The signal that cannot be ignored.
    pub const KILL: Signal = Signal(libc::SIGKILL);
    /// Continues a stopped process, so that it can handle other signals.
    pub(crate) const CONT: Signal = Signal(libc::SIGCONT);
    /// Ends a process that does not handle it, with a core dump.
    pub(crate) const ABRT: Signal = Signal(libc::SIGABRT);

    /// The signal with this number, 1 to 64.
    pub fn from_raw(number: i32) -> Option<Signal> {
        (1..=MAX_SIGNAL).contains(&number).then_some(Signal(number))
    }

    /// The signal's number.
    pub fn as_raw(self) -> i32 {
        self.0
    }

    /// The name under which a signal is stored. A real-time signal is stored by its number, because earlier versions
    /// cannot read its name.
    pub(crate) fn stored_name(self) -> String {
        if self.0 >= FIRST_REAL_TIME { self.0.to_string() } else { self.to_string() }
    }
}

/// The name in documents and messages, such as `SIGTERM` and `SIGRTMIN+3`; 32 and 33 have none.
impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => write!(f, "SIG{name}"),
            None if self.0 == FIRST_REAL_TIME => f.write_str("SIGRTMIN"),
            None if self.0 == MAX_SIGNAL => f.write_str("SIGRTMAX"),
            None if self.0 > FIRST_REAL_TIME => write!(f, "SIGRTMIN+{}", self.0 - FIRST_REAL_TIME),
            None => write!(f, "{}", self.0),
        }
    }
}

impl FromStr for Signal {
    type Err = Error;

    /// Parses a name with or without `SIG`, in any case, or a number from 1 to 64. Real-time signals are `SIGRTMIN`
    /// (34, as in glibc), `SIGRTMIN+1` and so on, and `SIGRTMAX` (64), `SIGRTMAX-1` and so on.
    fn from_str(text: &str) -> Result<Signal, Error> {
        if let Ok(number) = text.parse::<i32>() {
            return Signal::from_raw(number).ok_or_else(|| unknown(text));
        }
        let name = text.to_ascii_uppercase();
        let name = name.strip_prefix("SIG").unwrap_or(&name);
        let found = NAMES.iter().chain(&ALIASES).find(|(known, _)| *known == name);
        found.map(|(_, number)| Signal(*number)).or_else(|| real_time(name)).ok_or_else(|| unknown(text))
    }
}

/// `RTMIN`, `RTMIN+n`, `RTMAX` or `RTMAX-n`.
fn real_time(name: &str) -> Option<Signal> {
    let distance = |text: &str, sign: char| match text.strip_prefix(sign) {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse::<i32>().ok(),
        _ => text.is_empty().then_some(0),
    };
    let number = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(above), _) => FIRST_REAL_TIME.checked_add(distance(above, '+')?)?,
        (_, Some(below)) => MAX_SIGNAL - distance(below, '-')?,
        _ => return None,
    };
    Signal::from_raw(number).filter(|_| number >= FIRST_REAL_TIME)
}

fn unknown(text: &str) -> Error {
    Error::new(ErrorCode::InvalidConfig, format!("expected a signal like \"SIGTERM\" or 15, got \"{}\"", excerpt(text)))
}

/// Sends a signal to a process group by its id. Only for kernels that cannot do it through a pidfd, and only while the
/// leader of the group is known not to be reaped, so that its pid cannot have been recycled.
pub(crate) fn kill_group(leader: Pid, signal: Signal) -> io::Result<()> {
    if leader.as_raw() == 1 {
        return Err(io::Error::from_raw_os_error(libc::EPERM)); // kill(-1) means everybody
    }
    // SAFETY: no pointers are passed; 0 and 1 are excluded, so neither our own group nor everybody is meant.
    let result = unsafe { libc::kill(-leader.as_raw(), signal.as_raw()) };
    check(i64::from(result)).map(drop)
}

/// Whether a process group of this number has members, zombies included. Sends nothing.
pub(crate) fn group_exists(leader: Pid) -> bool {
    // SAFETY: no pointers are passed, and signal 0 only asks.
    let result = unsafe { libc::kill(-leader.as_raw(), 0) };
    check(i64::from(result)).map_or_else(|error| error.raw_os_error() != Some(libc::ESRCH), |_| true)
}

/// Whether a process or thread has this number, zombies included. Sends nothing.
pub(crate) fn process_exists(pid: Pid) -> bool {
    // SAFETY: no pointers are passed, and signal 0 only asks.
    let result = unsafe { libc::kill(pid.as_raw(), 0) };
    check(i64::from(result)).map_or_else(|error| error.raw_os_error() != Some(libc::ESRCH), |_| true)
}

/// Sends a signal to a process by pid. Only for kernels without pidfds, and only to a process whose identity was just
/// proven.
pub(crate) fn kill_process(pid: Pid, signal: Signal) -> io::Result<()> {
    // SAFETY: no pointers are passed; `Pid` is neither 0 nor negative.
    check(i64::from(unsafe { libc::kill(pid.as_raw(), signal.as_raw()) })).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_has_one_name_that_parses_back() {
        for number in 1..=MAX_SIGNAL {
            let signal = Signal::from_raw(number).unwrap();
            assert_eq!(signal.to_string().parse::<Signal>().unwrap(), signal);
        }
        for bad in ["", "0", "65", "-1", "SIG", "SIGSIGINT", "9x"] {
            assert_eq!(bad.parse::<Signal>().unwrap_err().code(), ErrorCode::InvalidConfig, "{bad}");
        }
    }

    #[test]
    fn real_time_signals_and_aliases_are_read_by_name() {
        let known = [
            ("SIGRTMIN", 34, "SIGRTMIN"),
            ("rtmin+0", 34, "SIGRTMIN"),
            ("SIGRTMIN+3", 37, "SIGRTMIN+3"),
            ("RTMIN+30", 64, "SIGRTMAX"),
            ("SIGRTMAX", 64, "SIGRTMAX"),
            ("SigRtMax-1", 63, "SIGRTMIN+29"),
            ("SIGRTMAX-30", 34, "SIGRTMIN"),
            ("SIGIOT", libc::SIGABRT, "SIGABRT"),
            ("cld", libc::SIGCHLD, "SIGCHLD"),
            ("SIGPOLL", libc::SIGIO, "SIGIO"),
        ];
        for (text, number, name) in known {
            let signal: Signal = text.parse().unwrap();
            assert_eq!((signal.as_raw(), &*signal.to_string()), (number, name), "{text}");
        }
        let unknown = [
            "SIGRTMIN+31",
            "SIGRTMIN-1",
            "SIGRTMIN+",
            "SIGRTMIN++1",
            "SIGRTMIN+ 1",
            "SIGRTMIN+2147483647",
            "SIGRTMIN+4294967296",
            "SIGRTMIN3",
            "SIGRTMAX-31",
            "SIGRTMAX+1",
            "SIGRTMAX-",
            "SIGRTMAX--1",
            "SIGRTMAX-2147483647",
            "SIGRT",
        ];
        for text in unknown {
            assert_eq!(text.parse::<Signal>().unwrap_err().code(), ErrorCode::InvalidConfig, "{text}");
        }
    }

    /// As earlier versions wrote it, and as they can read it.
    #[test]
    fn a_real_time_signal_is_stored_by_its_number() {
        let stored = |text: &str| text.parse::<Signal>().unwrap().stored_name();
        assert_eq!(
            ["SIGTERM", "33", "SIGRTMIN", "SIGRTMIN+3", "SIGRTMAX"].map(stored),
            ["SIGTERM", "33", "34", "37", "64"]
        );
    }
}
