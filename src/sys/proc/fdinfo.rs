// SPDX-License-Identifier: MPL-2.0
//! The descriptors of other processes.

use std::ffi::{OsStr, c_int};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// How a descriptor of a process was opened: O_RDONLY, O_WRONLY or O_RDWR; `None` when it is not open (any more).
pub(crate) fn access_mode(pid: i32, fd: &OsStr) -> io::Result<Option<c_int>> {
    let info = match std::fs::read_to_string(Path::new(&format!("/proc/{pid}/fdinfo")).join(fd)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        info => info?,
    };
    let flags = info.lines().find_map(|line| i32::from_str_radix(line.strip_prefix("flags:")?.trim(), 8).ok());
    Ok(flags.map(|flags| flags & libc::O_ACCMODE))
}

/// The descriptors of a process that are sockets, in ascending order.
pub(crate) fn sockets(pid: i32) -> io::Result<Vec<c_int>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
        let entry = entry?;
        // One that is closed meanwhile is none.
        let is_socket =
            std::fs::read_link(entry.path()).is_ok_and(|to| to.as_os_str().as_bytes().starts_with(b"socket:"));
        numbers
            .extend(entry.file_name().to_str().filter(|_| is_socket).and_then(|number| number.parse::<c_int>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn a_descriptor_says_how_it_was_opened() {
        let of = |fd: i32| access_mode(std::process::id() as i32, OsStr::new(&fd.to_string())).unwrap();
        let mut options = std::fs::File::options();
        for (options, mode) in [
            (options.clone().read(true), libc::O_RDONLY),
            (options.clone().write(true), libc::O_WRONLY),
            (options.read(true).write(true), libc::O_RDWR),
        ] {
            let file = options.open("/dev/null").unwrap();
            assert_eq!(of(file.as_raw_fd()), Some(mode));
        }
        assert_eq!(of(i32::MAX), None);
    }
}
