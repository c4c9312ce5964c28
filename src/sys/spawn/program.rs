// SPDX-License-Identifier: MPL-2.0
//! What a child executes.

use std::ffi::{CStr, OsStr, OsString, c_int};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use crate::command::{Credentials, ProcessSettings};
use crate::sys::cgroup::directory::Entrance;

/// What to execute, in the kernel's form.
#[derive(Debug)]
pub(crate) struct Program<'a> {
    pub(crate) argv: Vec<OsString>,
    /// Complete: nothing is inherited.
    pub(crate) env: Vec<Variable<'a>>,
    pub(crate) dir: Option<OsString>,
    pub(crate) credentials: Option<Credentials>,
    /// The soft limit, where one is declared.
    pub(crate) descriptor_limit: Option<u64>,
    /// Where one is declared; else it is 0, if the kernel permits that.
    pub(crate) oom_score_adj: Option<i32>,
    pub(crate) settings: ProcessSettings,
    /// Started as an orphan: see [`intermediate`](super::intermediate_child).
    pub(crate) detached: bool,
    /// Names of variables, of at most 12 bytes, that have its pid; they are not in `env`.
    pub(crate) pid_variables: Vec<&'static str>,
    /// Its descriptors from 3 on.
    pub(crate) sockets: Vec<BorrowedFd<'a>>,
    /// What it reports to when it is ready.
    pub(crate) report: Option<ReportDescriptor<'a>>,
    /// Where it begins, instead of the cgroup of the agent.
    pub(crate) cgroup: Option<EnteredCgroup>,
}

/// The cgroup that a process begins in.
#[derive(Debug)]
pub(crate) struct EnteredCgroup {
    pub(crate) path: Arc<Path>,
    pub(crate) entrance: Entrance,
    /// Whether it is not started where it cannot enter.
    pub(crate) is_required: bool,
    /// Whether it moves itself there, for it would be killed if it were cloned into it.
    pub(crate) moves_itself: bool,
}

impl EnteredCgroup {
    /// Its path, for messages.
    pub(crate) fn shown(&self) -> String {
        self.path.display().to_string()
    }
}

/// A descriptor that a process gets besides its standard streams.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReportDescriptor<'a> {
    pub(crate) end: BorrowedFd<'a>,
    /// The number that it has in the process, above 2 and those of the sockets.
    pub(crate) number: c_int,
}

impl Program<'_> {
    /// Gives a variable this value, whatever it had.
    pub(crate) fn set_variable(&mut self, name: &str, value: &OsStr) {
        let is_it = |text: &[u8]| text.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"="));
        self.env.retain(|variable| !is_it(variable.as_bytes()));
        let mut text = OsString::from(name);
        text.push("=");
        text.push(value);
        self.env.push(Variable::Own(text));
    }

    /// The program as it is named, for messages.
    pub(crate) fn name(&self) -> String {
        self.argv.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

/// `NAME=value`.
#[derive(Debug)]
pub(crate) enum Variable<'a> {
    /// In the kernel's form, and the same for many processes.
    Prepared(&'a CStr),
    Own(OsString),
}

impl Variable<'_> {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Variable::Prepared(text) => text.to_bytes(),
            Variable::Own(text) => text.as_bytes(),
        }
    }
}
