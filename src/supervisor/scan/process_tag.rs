// SPDX-License-Identifier: MPL-2.0
//! The process tag: the environment variables that the processes of a proxy inherit, and that identify them.

use std::io;

use super::known_tag::generation_within;
use super::stalled_scan::{ScanProgress, UnreadableProcesses};
use crate::defaults;
use crate::lifecycle::generation::Generation;
use crate::sys::is_exhausted;
use crate::sys::pid::Pid;
use crate::sys::proc::{environ, stat};

/// The prefix of the variables that tell a process about itself.
const VARIABLES: &[u8] = b"CONNECT_PROXY_";

/// The process tag: the id, token and owner tag of a proxy in the environment of its processes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ProcessTag {
    pub(crate) id: Box<[u8]>,
    pub(crate) token: Box<[u8]>,
    pub(crate) owner_tag: Box<[u8]>,
}

impl ProcessTag {
    pub(crate) fn new(id: &str, token: &str, owner_tag: &str) -> ProcessTag {
        let [id, token, owner_tag] = [id, token, owner_tag].map(|text| text.as_bytes().into());
        ProcessTag { id, token, owner_tag }
    }

    /// The tag of the processes of a proxy. Token and owner tag are those with which the process was started; they may
    /// differ from the present token and owner tag.
    pub(crate) fn of(id: &str, token: Option<&str>, owner_tag: &str) -> ProcessTag {
        ProcessTag::new(id, token.unwrap_or_default(), owner_tag)
    }

    /// The tag in the text of an environment; `None` without an owner tag.
    fn within(environment: &[u8]) -> Option<ProcessTag> {
        let value = |name: &str| environ::value(environment, name.as_bytes());
        let owner_tag = value(defaults::ENV_PROXY_ORIGIN).filter(|owner_tag| !owner_tag.is_empty())?;
        let (id, token) = (value(defaults::ENV_PROXY_ID)?, value(defaults::ENV_PROXY_TOKEN)?);
        Some(ProcessTag { id: id.into(), token: token.into(), owner_tag: owner_tag.into() })
    }
}

/// The processes to search for when a generation of a proxy is gone: all with the tag of the proxy, except those that
/// show a generation outside of this range, which may belong to the other living process of the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) tag: ProcessTag,
    /// The first and the last generation.
    pub(crate) generations: (Generation, Generation),
}

impl Wanted {
    /// All processes with the tag.
    #[cfg(test)]
    pub(crate) fn all(tag: ProcessTag) -> Wanted {
        Wanted { tag, generations: (Generation::UNKNOWN, Generation::LAST) }
    }

    /// Whether a process that shows this generation is searched for, if it has this tag.
    pub(crate) fn includes(&self, generation: Generation) -> bool {
        (self.generations.0..=self.generations.1).contains(&generation)
    }

    pub(crate) fn is(&self, environment: &Environment) -> bool {
        matches!(environment, Environment::Tagged(tag, generation) if *tag == self.tag && self.includes(*generation))
    }
}

/// To which proxy a process belongs, by its environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Environment {
    /// With the generation that it shows.
    Tagged(ProcessTag, Generation),
    /// It has variables of a proxy, but not those of a process of ours.
    Foreign,
    /// It has no variable of a proxy: either it never had one, or they were cleared or overwritten.
    Silent,
    /// It cannot be read: the process belongs to another user, has file capabilities, or is in another user namespace.
    Unreadable,
    /// It is gone, or not there yet: the process is exiting or just executing a program.
    Blank,
    /// The process has ended.
    Gone,
}

impl Environment {
    /// # Errors
    /// If it cannot be determined now.
    fn of(pid: Pid, buffer: &mut Vec<u8>) -> io::Result<Environment> {
        let environment = Environment::told_by(environ::read_with(pid.as_raw(), VARIABLES, buffer))?;
        // For an unreaped process or first thread that has ended, the result depends on the kernel version and on the reader: such
        // files are those of root.
        match environment {
            Environment::Gone | Environment::Unreadable => {}
            Environment::Silent if buffer.is_empty() => {}
            told => return Ok(told),
        }
        // ORDER: read again when the kernel shows where it is. Between the two a program may have been executed.
        match stat::read(pid.as_raw())? {
            None => Ok(Environment::Gone),
            Some(stat) if stat.outlives_first_thread() => {
                Environment::told_by(environ::read_of_threads_with(pid.as_raw(), VARIABLES, buffer))
            }
            Some(_) if environment == Environment::Unreadable => Ok(Environment::Unreadable),
            Some(stat) if !stat.has_code => Ok(Environment::Blank),
            Some(_) => Environment::told_by(environ::read_with(pid.as_raw(), VARIABLES, buffer)),
        }
    }

    fn told_by(read: io::Result<Option<&[u8]>>) -> io::Result<Environment> {
        match read {
            Ok(Some(text)) => {
                let tagged = |tag| Environment::Tagged(tag, generation_within(text));
                Ok(ProcessTag::within(text).map_or(Environment::Foreign, tagged))
            }
            Ok(None) => Ok(Environment::Silent),
            // Only a lack of resources is a reason to try again: other errors with a file of a foreign process must not
            // delay stops.
            Err(error) if is_exhausted(&error) => Err(error),
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => Ok(Environment::Gone),
            Err(_) => Ok(Environment::Unreadable),
        }
    }
}

/// Reads environments, which can take forever, and publishes which process is being read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EnvironmentReader<'a> {
    pub(crate) progress: &'a ScanProgress,
    pub(crate) unreadable: &'a UnreadableProcesses,
}

impl EnvironmentReader<'_> {
    pub(crate) fn environment_of(self, pid: Pid, buffer: &mut Vec<u8>) -> io::Result<Environment> {
        let environment = self.progress.read(pid, || Environment::of(pid, buffer));
        self.unreadable.remove(pid);
        environment
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::proc::without_first_thread::WithoutFirstThread;

    #[test]
    fn zombie_has_no_environment_and_a_process_without_its_first_thread_has_one() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let (zombie, mut buffer) = (Pid::from_raw(child.id() as i32).unwrap(), Vec::new());
        while !stat::read(zombie.as_raw()).unwrap().unwrap().is_dead() {
            std::thread::yield_now();
        }
        // To another user than root its files are those of root.
        let found = Environment::of(zombie, &mut buffer).unwrap();
        assert!(matches!(found, Environment::Blank | Environment::Unreadable), "{found:?}");
        child.wait().unwrap();
        assert_eq!(Environment::of(zombie, &mut buffer).unwrap(), Environment::Gone);
        let process = WithoutFirstThread::start();
        let found = Environment::of(Pid::from_raw(process.pid).unwrap(), &mut buffer).unwrap();
        assert!(matches!(found, Environment::Silent | Environment::Foreign), "{found:?}");
    }

    const WHOLE: &[u8] = b"A=1\0CONNECT_PROXY_ID=web\0CONNECT_PROXY_TOKEN=t\0CONNECT_PROXY_ORIGIN=o\0B=2\0";

    #[test]
    fn a_tag_is_complete_or_none() {
        assert_eq!(ProcessTag::within(WHOLE), Some(ProcessTag::new("web", "t", "o")));
        for missing in ["CONNECT_PROXY_ID=web\0", "CONNECT_PROXY_TOKEN=t\0", "CONNECT_PROXY_ORIGIN=o\0", "o"] {
            let text = String::from_utf8(WHOLE.to_vec()).unwrap().replacen(missing, "", 1);
            assert_eq!(ProcessTag::within(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(ProcessTag::within(b""), None);
    }
}
