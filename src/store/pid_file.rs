// SPDX-License-Identifier: MPL-2.0
//! The text of a pid file: a decimal number and a newline.

use crate::sys::pid::Pid;

/// The text for a process.
pub(crate) fn text(pid: Pid) -> Vec<u8> {
    format!("{pid}\n").into_bytes()
}

/// Reads one; white space around the number is what an editor or `echo` may have left.
pub(crate) fn parse(text: &[u8]) -> Option<Pid> {
    std::str::from_utf8(text).ok()?.trim().parse().ok().and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_pid_is_none() {
        for text in ["", "0\n", "-1\n", "1 2\n", "4294967297\n", "0x10", "1e3", "\u{feff}7", "7\0"] {
            assert_eq!(parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(parse(b" 7\r\n"), Pid::from_raw(7));
    }
}
