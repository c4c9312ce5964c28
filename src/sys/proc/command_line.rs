// SPDX-License-Identifier: MPL-2.0
//! The command line and environment of a process without a record, to decide whether it is the declared one.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;

use super::environ;
use crate::sys::fail;
use crate::sys::pid::Pid;

/// A process that is known by its pid alone, with the arguments and the environment that it was executed with.
#[derive(Debug, Clone)]
pub(crate) struct UnrecordedProcess {
    pub(crate) pid: Pid,
    /// Each with a NUL after it; none of a process that is gone.
    arguments: Vec<u8>,
    environment: Vec<u8>,
}

impl UnrecordedProcess {
    /// The process that has this pid now.
    ///
    /// # Errors
    /// When its arguments or its environment cannot be read now.
    pub(crate) fn of(pid: Pid) -> io::Result<UnrecordedProcess> {
        let read = |file: &str| match std::fs::read(format!("/proc/{pid}/{file}")) {
            // Gone, or of another user and so none of ours.
            Err(error)
                if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH | libc::EACCES | libc::EPERM)) =>
            {
                Ok(Vec::new())
            }
            read => read,
        };
        let arguments = fail::failing("cmdline:read").and_then(|()| read("cmdline"))?;
        Ok(UnrecordedProcess { pid, arguments, environment: read("environ")? })
    }

    /// Whether it was there, and no zombie, when it was read.
    pub(crate) fn lives(&self) -> bool {
        !self.arguments.is_empty()
    }

    /// Whether it was executed with these arguments; `is` compares a declared one with one that was found.
    pub(crate) fn runs(&self, argv: &[OsString], is: impl Fn(&OsStr, &OsStr) -> bool) -> bool {
        let mut found = self.arguments.split_inclusive(|&byte| byte == 0);
        let mut next = || found.next()?.strip_suffix(b"\0").map(OsStr::from_bytes);
        argv.iter().all(|word| next().is_some_and(|found| is(word, found))) && found.next().is_none()
    }

    /// The value of a variable in its environment. A program may write over that, as setproctitle(3) does: only one that
    /// shows what it must have been given shows the rest as well.
    pub(crate) fn variable(&self, name: &OsStr) -> Option<&OsStr> {
        environ::value(&self.environment, name.as_bytes()).map(OsStr::from_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_and_environment_are_read_while_the_process_lives() {
        let mut child = std::process::Command::new("sleep").arg("1000").env("WANTED", "a=b").env("EMPTY", "").spawn();
        let child = child.as_mut().unwrap();
        let pid = Pid::from_raw(child.id() as i32).unwrap();
        environ::wait_until_told(pid.as_raw());
        let stray = UnrecordedProcess::of(pid).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        let runs = |stray: &UnrecordedProcess, argv: &[&str]| stray.runs(&words(argv), |word, found| word == found);
        assert!(stray.lives() && runs(&stray, &["sleep", "1000"]));
        assert!(stray.runs(&words(&["sleep", "1"]), |word, found| word.len() <= found.len()));
        for other in [&["sleep"][..], &["sleep", "1000", ""], &["sleep1000"], &[]] {
            assert!(!runs(&stray, other), "{other:?}");
        }
        let value = |name: &str| stray.variable(OsStr::new(name)).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(value("WANTED").as_deref(), Some("a=b"));
        assert_eq!(value("EMPTY").as_deref(), Some(""));
        assert_eq!(value("WANTE"), None);
        let gone = UnrecordedProcess::of(pid).unwrap();
        assert!(!gone.lives() && !runs(&gone, &["sleep", "1000"]) && gone.variable(OsStr::new("WANTED")).is_none());
    }
}
