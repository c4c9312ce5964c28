// SPDX-License-Identifier: MPL-2.0
//! Why a process could not be started, as it is reported: the step, its object and the errno.

use std::ffi::{CString, OsStr};
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::child_record::SelfRecord;
use super::child_step::ChildStep;
use super::exec_diagnosis::Attempt;
use super::fd_limit::Limit;
use super::program::{EnteredCgroup, Program};
use crate::command::{Credentials, Resource, ResourceLimit};
use crate::error::{Error, ErrorCode};

/// What is said when a process cannot be put into its cgroup.
pub(crate) const ENTER_CGROUP: &str = "enter cgroup";

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
pub(crate) fn describe(step: ChildStep, errno: i32, program: &Program<'_>, record: Option<&SelfRecord>) -> StartError {
    let credentials = program.credentials.as_ref();
    let error = io::Error::from_raw_os_error(errno);
    let id = |of: fn(&Credentials) -> u32| credentials.map(|to| of(to).to_string()).unwrap_or_default();
    let (text, object) = match step {
        ChildStep::Clone => ("clone", String::new()),
        ChildStep::OpenPidfd => ("open pidfd", String::new()),
        ChildStep::Session => ("setsid", String::new()),
        ChildStep::Descriptors => ("leave the agent's descriptors", String::new()),
        ChildStep::Cgroup => (ENTER_CGROUP, program.cgroup.as_ref().map(EnteredCgroup::shown).unwrap_or_default()),
        ChildStep::StartTime => ("read", "/proc/self/stat".to_owned()),
        ChildStep::Inode => ("open own pidfd", String::new()),
        ChildStep::Record => ("write process record", record.map(|record| record.shown(errno)).unwrap_or_default()),
        ChildStep::StandardStreams => ("redirect standard streams", String::new()),
        ChildStep::CloseDescriptors => ("close inherited descriptors", String::new()),
        ChildStep::ChangeDirectory => {
            ("chdir", program.dir.as_ref().map(|dir| dir.to_string_lossy().into_owned()).unwrap_or_default())
        }
        ChildStep::OomScore => {
            let value = program.oom_score_adj.unwrap_or_default().to_string();
            return StartError {
                why: Some(why_no_oom_score(errno).to_owned()),
                ..failure("set oom_score_adj", &value, error)
            };
        }
        ChildStep::Groups => ("set supplementary groups", String::new()),
        ChildStep::Group => ("set group", id(|to| to.gid)),
        ChildStep::User => ("set user", id(|to| to.uid)),
        ChildStep::Sockets => ("open the sockets of listen", String::new()),
        ChildStep::DescriptorLimit => {
            ("set descriptor_limit", program.descriptor_limit.map(|limit| limit.to_string()).unwrap_or_default())
        }
        ChildStep::ResourceLimit(resource) => {
            let declared = program.settings.rlimits.get(&resource).map(|limit| limit.to_string());
            return StartError {
                why: (errno == libc::EPERM).then(|| why_no_limit(resource).to_owned()),
                ..failure("set", &format!("rlimits.{resource} {}", declared.unwrap_or_default()), error)
            };
        }
        ChildStep::Nice => {
            let value = program.settings.nice.unwrap_or_default().to_string();
            let why = "a value below the agent's needs CAP_SYS_NICE or a limit of nice";
            let why = matches!(errno, libc::EACCES | libc::EPERM).then(|| why.to_owned());
            return StartError { why, ..failure("set nice", &value, error) };
        }
        ChildStep::CpuAffinity => {
            let why = (errno == libc::EINVAL).then(|| "the agent has none of these CPUs".to_owned());
            let cpus: Vec<u32> = program.settings.cpu_affinity.iter().flatten().copied().collect();
            return StartError { why, ..failure("set cpu_affinity", &format!("{cpus:?}"), error) };
        }
        ChildStep::NoNewPrivs => ("set no_new_privs", String::new()),
        ChildStep::ReportDescriptor => {
            ("open descriptor", program.report.map(|report| report.number.to_string()).unwrap_or_default())
        }
        ChildStep::Execute => ("execute", program.name()),
    };
    failure(text, &object, error)
}

/// proc(5): to lower the value below that of the agent needs CAP_SYS_RESOURCE. All other errors are about the file.
fn why_no_oom_score(errno: i32) -> &'static str {
    match errno {
        libc::EACCES | libc::EPERM => "a value below the agent's needs CAP_SYS_RESOURCE",
        _ => "write /proc/self/oom_score_adj",
    }
}

/// getrlimit(2): above the hard limit, or, of descriptors, above `/proc/sys/fs/nr_open`.
fn why_no_limit(resource: Resource) -> &'static str {
    match resource {
        Resource::Nofile => {
            "a hard limit above the agent's needs CAP_SYS_RESOURCE, and none is above /proc/sys/fs/nr_open"
        }
        _ => "a hard limit above the agent's needs CAP_SYS_RESOURCE",
    }
}

/// A declared limit of descriptors that the agent cannot give.
pub(crate) fn above_hard_limit(limit: Limit) -> StartError {
    let why = Some(format!("above the agent's hard limit of {}", limit.hard));
    let source = io::Error::from_raw_os_error(libc::EINVAL);
    StartError { why, ..failure("set descriptor_limit", &limit.soft.to_string(), source) }
}

/// A declared soft limit that is to have the hard limit of the agent, and is above that.
pub(crate) fn above_own_limit(resource: Resource, limit: ResourceLimit, hard: u64) -> StartError {
    let why = Some(format!("above the agent's hard limit of {hard}"));
    let source = io::Error::from_raw_os_error(libc::EINVAL);
    StartError { why, ..failure("set", &format!("rlimits.{resource} {limit}"), source) }
}

pub(crate) fn failure(step: &'static str, object: &str, source: io::Error) -> StartError {
    StartError { step, object: object.to_owned(), why: None, source }
}

impl StartError {
    /// As it is told to the host.
    pub(crate) fn to_error(&self) -> Error {
        Error::os_text(ErrorCode::StartFailed, self.to_string(), self.source.raw_os_error())
    }
}

/// Why the program cannot be executed, as far as that can be found out. `tried`: where it was searched for.
pub(crate) fn explained(error: StartError, errno: i32, program: &Program<'_>, tried: &[CString]) -> StartError {
    let Some(attempt) = attempt(program, tried) else { return error };
    StartError { why: attempt.why(errno), ..error }
}

/// With which errno it will not be executed, where that can be seen.
pub(crate) fn foreseen(program: &Program<'_>, tried: &[CString]) -> Option<i32> {
    attempt(program, tried)?.foreseen()
}

fn attempt<'a>(program: &'a Program<'_>, tried: &'a [CString]) -> Option<Attempt<'a>> {
    let programs = tried.iter().map(|path| Path::new(OsStr::from_bytes(path.as_bytes()))).collect();
    let dir = program.dir.as_deref().map(Path::new);
    program.argv.first().map(|name| Attempt { name, programs, dir })
}
