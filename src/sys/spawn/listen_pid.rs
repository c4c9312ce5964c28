// SPDX-License-Identifier: MPL-2.0
//! The variable `LISTEN_PID`, which the child completes itself: no other process knows its pid before it executes.

use std::ffi::c_char;

const NAME: &[u8] = b"LISTEN_PID=";

/// Room for the name, the ten digits of the largest number of 32 bits, and a NUL.
const LENGTH: usize = NAME.len() + 11;

/// The text, which is in the environment of the process that is started.
#[derive(Debug)]
pub(super) struct ListenPid([u8; LENGTH]);

impl ListenPid {
    pub(super) fn new() -> ListenPid {
        let mut text = [0; LENGTH];
        text[..NAME.len()].copy_from_slice(NAME);
        ListenPid(text)
    }

    /// The text for an environment.
    pub(super) fn as_ptr(&mut self) -> *mut c_char {
        self.0.as_mut_ptr().cast()
    }

    /// CHILD: writes the pid of this process behind the name.
    ///
    /// # Safety
    /// `text` is from [`ListenPid::as_ptr`] of a value that lives and that nothing else uses now.
    pub(super) unsafe fn complete(text: *mut c_char) {
        // SAFETY: no pointers are passed.
        let mut left = unsafe { libc::syscall(libc::SYS_getpid) };
        let (mut digits, mut count) = ([0u8; 10], 0);
        for digit in &mut digits {
            *digit = b'0' + (left % 10) as u8;
            (left, count) = (left / 10, count + 1);
            if left == 0 {
                break;
            }
        }
        for (index, digit) in digits.iter().take(count).rev().chain([&0]).enumerate() {
            let place = text.wrapping_add(NAME.len() + index);
            // SAFETY: at most eleven bytes behind the name, which the text has, as the caller promises.
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
        let mut variable = ListenPid::new();
        variable.0[NAME.len()..].fill(b'9');
        let text = variable.as_ptr();
        // SAFETY: it lives, and nothing else uses it.
        unsafe { ListenPid::complete(text) };
        // SAFETY: it ends with a NUL now.
        let text = unsafe { CStr::from_ptr(text) }.to_str().unwrap().to_owned();
        assert_eq!(text, format!("LISTEN_PID={}", std::process::id()));
    }
}
