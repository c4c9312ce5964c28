// SPDX-License-Identifier: MPL-2.0
//! Variables with the pid of the process (`LISTEN_PID`, `WATCHDOG_PID`), which the child completes itself: no other process
//! knows its pid before it executes.

use std::ffi::c_char;

/// How many digits the largest number of 32 bits has.
const DIGITS: usize = 10;

/// Room for a name of at most 12 bytes, `=`, the digits, and a NUL.
const LENGTH: usize = 12 + 1 + DIGITS + 1;

/// The text, which is in the environment of the process that is started.
#[derive(Debug)]
pub(super) struct PidVariable([u8; LENGTH]);

impl PidVariable {
    /// `name` has at most 12 bytes.
    pub(super) fn new(name: &str) -> PidVariable {
        let mut text = [0; LENGTH];
        for (place, byte) in text.iter_mut().take(LENGTH - DIGITS - 1).zip(name.bytes().chain([b'='])) {
            *place = byte;
        }
        PidVariable(text)
    }

    /// The text for an environment.
    pub(super) fn as_ptr(&mut self) -> *mut c_char {
        self.0.as_mut_ptr().cast()
    }

    /// CHILD: writes the pid of this process behind the `=`.
    ///
    /// # Safety
    /// `text` is from [`PidVariable::as_ptr`] of a value that lives and that nothing else uses now.
    pub(super) unsafe fn complete(text: *mut c_char) {
        // SAFETY: no pointers are passed.
        let mut left = unsafe { libc::syscall(libc::SYS_getpid) };
        let (mut digits, mut count) = ([0u8; DIGITS], 0);
        for digit in &mut digits {
            *digit = b'0' + (left % 10) as u8;
            (left, count) = (left / 10, count + 1);
            if left == 0 {
                break;
            }
        }
        let mut place = text;
        // SAFETY: all texts have a `=`, and this ends there.
        while unsafe { place.read_volatile() } != b'=' as c_char {
            place = place.wrapping_add(1);
        }
        for digit in digits.iter().take(count).rev().chain([&0]) {
            place = place.wrapping_add(1);
            // SAFETY: at most eleven bytes behind the `=`, which the text has.
            unsafe { place.write_volatile(*digit as c_char) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    #[test]
    fn pid_is_written_behind_the_name_and_over_a_longer_one() {
        for name in ["LISTEN_PID", "WATCHDOG_PID"] {
            let mut variable = PidVariable::new(name);
            variable.0[name.len() + 1..LENGTH - 1].fill(b'9');
            let text = variable.as_ptr();
            // SAFETY: it lives, and nothing else uses it.
            unsafe { PidVariable::complete(text) };
            // SAFETY: it ends with a NUL.
            let text = unsafe { CStr::from_ptr(text) }.to_str().unwrap().to_owned();
            assert_eq!(text, format!("{name}={}", std::process::id()));
        }
    }
}
