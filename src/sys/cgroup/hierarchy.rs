// SPDX-License-Identifier: MPL-2.0
//! Where the cgroup of a process is in the file system: its path in the hierarchy, below the mount that shows it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use crate::sys::pid::Pid;

/// Where a process is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Whose {
    Own,
    Of(Pid),
}

/// The directory of the cgroup v2 that a process is in; `None` where no mount shows it, or there is none.
///
/// # Errors
/// When /proc cannot be read, or the process has ended.
pub(crate) fn directory_of(whose: Whose) -> io::Result<Option<PathBuf>> {
    let membership = match whose {
        Whose::Own => fs::read("/proc/self/cgroup"),
        Whose::Of(pid) => fs::read(format!("/proc/{pid}/cgroup")),
    }?;
    let Some(path) = path_of(&membership) else { return Ok(None) };
    Ok(directory(&fs::read("/proc/self/mountinfo")?, path))
}

/// The path in the hierarchy of version 2, out of a `/proc/PID/cgroup`. That of a cgroup that was removed has a note behind it,
/// and names nothing.
fn path_of(membership: &[u8]) -> Option<&Path> {
    let path = membership.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"0::"))?;
    let is_removed = path.ends_with(b" (deleted)");
    (!is_removed).then(|| Path::new(OsStr::from_bytes(path)))
}

/// The directory of a path in the hierarchy, out of a `/proc/self/mountinfo` (proc_pid_mountinfo(5)). Of several mounts the last
/// one counts that shows it: it is on top.
fn directory(mounts: &[u8], path: &Path) -> Option<PathBuf> {
    let show = |line: &[u8]| {
        let mut fields = line.split(|byte| *byte == b' ');
        let (root, at) = (unescaped(fields.nth(3)?), unescaped(fields.next()?));
        let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
        let below = path.strip_prefix(Path::new(&root)).ok().filter(|_| kind == b"cgroup2")?;
        // A path above the root of the namespace of this process leads out of the mount.
        let stays = below.components().all(|part| matches!(part, Component::Normal(_)));
        stays.then(|| Path::new(&at).join(below))
    };
    mounts.split(|byte| *byte == b'\n').filter_map(show).next_back()
}

/// A field of mountinfo: space, tab, newline and backslash are three octal digits.
fn unescaped(field: &[u8]) -> OsString {
    let (mut bytes, mut rest) = (Vec::with_capacity(field.len()), field);
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.filter(|_| byte == b'\\').and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(escaped) => {
                bytes.push(escaped);
                rest = &after[3..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(membership: &str, mounts: &str) -> Option<String> {
        let path = path_of(membership.as_bytes())?;
        directory(mounts.as_bytes(), path).map(|found| found.to_string_lossy().into_owned())
    }

    #[test]
    fn directory_is_below_the_mount_that_shows_the_path() {
        let unified = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
        let service = "0::/system.slice/agent.service\n";
        assert_eq!(found(service, unified).unwrap(), "/sys/fs/cgroup/system.slice/agent.service");
        assert_eq!(found("0::/\n", unified).unwrap(), "/sys/fs/cgroup/");
        let hybrid = "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        assert_eq!(found("8:pids:/x\n0::/a\n", hybrid).unwrap(), "/sys/fs/cgroup/unified/a");
        // A container without a namespace of its own: the mount shows a part.
        let part = "30 23 0:26 /box /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n";
        assert_eq!(found("0::/box/agent\n", part).unwrap(), "/sys/fs/cgroup/agent");
        let odd = "30 23 0:26 / /with\\040space\\134 rw - cgroup2 none rw\n";
        assert_eq!(found("0::/a\n", odd).unwrap(), "/with space\\/a");
        let twice = format!("{unified}31 23 0:26 / /again rw - cgroup2 cgroup2 rw\n");
        assert_eq!(found("0::/a\n", &twice).unwrap(), "/again/a");
    }

    #[test]
    fn no_directory_where_no_mount_shows_the_path() {
        let unified = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let part = "30 23 0:26 /box /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let other = "30 23 0:26 / /sys/fs/cgroup rw - tmpfs cgroup2 rw\n";
        let cases = [
            ("8:pids:/x\n", unified),
            ("", unified),
            ("0::/../other\n", unified),
            ("0::/a (deleted)\n", unified),
            ("0::/boxes\n", part),
            ("0::/a\n", other),
            ("0::/a\n", "nonsense\n\n"),
        ];
        for (membership, mounts) in cases {
            assert_eq!(found(membership, mounts), None, "{membership} {mounts}");
        }
    }

    #[test]
    fn own_cgroup_is_the_one_that_lists_this_process() {
        let Some(directory) = directory_of(Whose::Own).unwrap() else { return };
        let processes = fs::read_to_string(directory.join("cgroup.procs")).unwrap();
        let own = std::process::id().to_string();
        // In a process of several pid namespaces the numbers are of the reader's.
        assert!(processes.lines().any(|pid| pid == own), "{}: {processes}", directory.display());
        assert_eq!(directory_of(Whose::Of(crate::sys::pid::own_pid())).unwrap(), Some(directory));
    }
}
