//! Why a process could not be started, as it is told: the step, its object and the errno.

use std::ffi::{CString, OsStr};
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::outcome::Step;
use super::program::{Program, SelfRecord};
use super::unexecuted::Attempt;
use crate::command::Credentials;

/// Why a process could not be started.
#[derive(Debug)]
pub(crate) struct StartError {
    step: &'static str,
    object: String,
    /// What was found out about it afterwards.
    why: Option<String>,
    pub(crate) source: io::Error,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.step)?;
        if !self.object.is_empty() {
            write!(f, " {}", self.object)?;
        }
        if let Some(why) = &self.why {
            write!(f, ": {why}")?;
        }
        write!(f, ": {}", self.source)
    }
}

/// What is to be said of a step of the child that failed.
pub(super) fn describe(step: Step, errno: i32, program: &Program<'_>, record: Option<&SelfRecord<'_>>) -> StartError {
    let credentials = program.credentials.as_ref();
    let id = |of: fn(&Credentials) -> u32| credentials.map(|to| of(to).to_string()).unwrap_or_default();
    let (text, object) = match step {
        Step::Clone => ("clone", String::new()),
        Step::OpenPidfd => ("open pidfd", String::new()),
        Step::Session => ("setsid", String::new()),
        Step::Descriptors => ("leave the agent's descriptors", String::new()),
        Step::StartTime => ("read", "/proc/self/stat".to_owned()),
        Step::Inode => ("open own pidfd", String::new()),
        Step::Record => ("write process record", record.map(|record| record.shown(errno)).unwrap_or_default()),
        Step::StandardStreams => ("redirect standard streams", String::new()),
        Step::CloseDescriptors => ("close inherited descriptors", String::new()),
        Step::ChangeDirectory => {
            ("chdir", program.dir.as_ref().map(|dir| dir.to_string_lossy().into_owned()).unwrap_or_default())
        }
        Step::Groups => ("set supplementary groups", String::new()),
        Step::Group => ("set group", id(|to| to.gid)),
        Step::User => ("set user", id(|to| to.uid)),
        Step::DescriptorLimit => ("set the descriptor limit", String::new()),
        Step::Execute => ("execute", program.name()),
    };
    failure(text, &object, io::Error::from_raw_os_error(errno))
}

pub(super) fn failure(step: &'static str, object: &str, source: io::Error) -> StartError {
    StartError { step, object: object.to_owned(), why: None, source }
}

/// Why the program cannot be executed, as far as that can be found out. `tried`: where it was looked for.
pub(super) fn explained(error: StartError, errno: i32, program: &Program<'_>, tried: &[CString]) -> StartError {
    let Some(name) = program.argv.first() else { return error };
    let programs = tried.iter().map(|path| Path::new(OsStr::from_bytes(path.as_bytes()))).collect();
    let attempt = Attempt { name, programs, dir: program.dir.as_deref().map(Path::new) };
    StartError { why: attempt.why(errno), ..error }
}
