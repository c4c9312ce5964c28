// SPDX-License-Identifier: MPL-2.0
//! What the exit code of a shell or another launcher says about the program that it should run.

use crate::sys::signal::Signal;
use crate::sys::wait::ExitStatus;

/// The codes of a shell for a program that it cannot execute, and does not find (POSIX, Shell Command Language).
const NOT_EXECUTABLE: i32 = 126;
const NOT_FOUND: i32 = 127;

/// The same for a program that a signal has ended: this and the signal's number.
const SIGNALED: i32 = 128;

/// What the exit of a process that ended by itself says, if anything.
pub(crate) fn hint(exit: ExitStatus) -> Option<String> {
    let ExitStatus::Exited(code) = exit else { return None };
    match code {
        NOT_EXECUTABLE => Some("with exit code 126 a shell says that it cannot execute a program".to_owned()),
        NOT_FOUND => Some("with exit code 127 a shell says that it does not find a program".to_owned()),
        _ => {
            let signal = Signal::from_raw(code - SIGNALED)?;
            Some(format!(
                "exit code {code} is {SIGNALED} + {}: a launcher says so that {signal} ended its program",
                signal.as_raw()
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_launchers_are_told_from_those_of_programs() {
        let said = |code| hint(ExitStatus::Exited(code));
        assert!(said(126).unwrap().contains("cannot execute") && said(127).unwrap().contains("does not find"));
        assert_eq!(said(137).unwrap(), "exit code 137 is 128 + 9: a launcher says so that SIGKILL ended its program");
        assert_eq!([0, 1, 64, 128, 255].map(said), [const { None }; 5]);
        assert_eq!(hint(ExitStatus::Signaled { signal: 9, core_dumped: false }), None);
        assert_eq!(hint(ExitStatus::Unknown), None);
    }
}
