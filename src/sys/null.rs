// SPDX-License-Identifier: MPL-2.0
//! `/dev/null`, and a replacement for standard input where it is missing (a minimal container, a chroot).

use std::io;
use std::os::fd::OwnedFd;

use super::file::{open_at, stat_at};
use super::{fail, fd, is_exhausted};

/// Opens `/dev/null` for reading and writing.
///
/// # Errors
/// ENOENT and others of open(2). Without an errno: it is not the null device; a script that ran without privilege may
/// have made a regular file of it, which would collect all output.
pub(crate) fn open_null() -> io::Result<OwnedFd> {
    fail::failing("null:open")?;
    let null = open_at(libc::AT_FDCWD, c"/dev/null", libc::O_RDWR, 0)?;
    let found = stat_at(std::os::fd::AsRawFd::as_raw_fd(&null), c"", libc::AT_EMPTY_PATH)?;
    let is_null = found.st_mode & libc::S_IFMT == libc::S_IFCHR && found.st_rdev == libc::makedev(1, 3);
    if is_null { Ok(null) } else { Err(io::Error::other("expected the null device (character device 1, 3)")) }
}

/// What a process reads that gets no input, and why that is not `/dev/null`, if it is not: then it is a pipe without a
/// writer. Both are at their end at once.
///
/// # Errors
/// When descriptors or memory are exhausted.
pub(crate) fn open_no_input() -> io::Result<(OwnedFd, Option<io::Error>)> {
    match open_null() {
        Ok(null) => Ok((null, None)),
        Err(error) if is_exhausted(&error) => Err(error),
        Err(error) => {
            let mut ends = [0; 2];
            // SAFETY: `ends` is an array of two descriptors, as pipe2 fills.
            super::check(i64::from(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }))?;
            let [input, _writer] = [fd::own(i64::from(ends[0]))?, fd::own(i64::from(ends[1]))?];
            Ok((input, Some(error)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn no_input_is_at_its_end_at_once() {
        let (input, _) = open_no_input().unwrap();
        let mut text = Vec::new();
        std::fs::File::from(input).read_to_end(&mut text).unwrap();
        assert!(text.is_empty());
    }
}
