// SPDX-License-Identifier: MPL-2.0
//! Processes that may belong to a proxy without proof: their environment, which would have the process tag, was cleared
//! or overwritten (nginx writes its title there), or cannot be read.
//!
//! They are named in the status and in the result of a stop, and never signalled.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::store;
use crate::supervisor::spec::Spec;
use crate::supervisor::status::UnprovenProcess;
use crate::sys::cgroup::membership;
use crate::sys::is_exhausted;
use crate::sys::pid::Pid;
use crate::sys::proc::executable::{FileId, ProgramName};
use crate::sys::proc::living_thread;
use crate::sys::proc::stat::{self, Stat};

/// What is known about a leader that is gone and that may have left processes.
#[derive(Debug, Clone)]
pub(crate) struct Ancestor {
    /// Its pid, unless it was recycled.
    pub(crate) pid: Option<Pid>,
    /// The start time of the first leader since the last scan; `None` when it is not known.
    pub(crate) since: Option<u64>,
    pub(crate) spec: Arc<Spec>,
}

/// A process whose environment does not identify its owner.
#[derive(Debug)]
pub(crate) struct Untold {
    pub(crate) pid: Pid,
    pub(crate) session: i32,
    pub(crate) start_ticks: u64,
    /// Whether its parent is one of those that adopt orphans of ours.
    pub(crate) is_orphan: bool,
    /// Whether its environment cannot be read; otherwise it has no variable of a proxy.
    pub(crate) is_unreadable: bool,
    details: Details,
}

/// Values that are read only for few processes.
#[derive(Debug, Default)]
struct Details {
    shares_cgroup: OnceCell<bool>,
    executable: OnceCell<Option<FileId>>,
    outputs: OnceCell<Vec<Output>>,
}

/// A file that standard output or standard error is open to.
#[derive(Debug)]
struct Output {
    file: (u64, u64),
    path: PathBuf,
}

/// The files of declared programs, each looked up once in a scan.
#[derive(Debug, Default)]
pub(crate) struct Programs(HashMap<ProgramName, Option<FileId>>);

/// Why a process may belong to a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// Its session has the pid of this leader, but nothing proves that the pid was not recycled since.
    Session(Pid),
    Executable,
    Log,
    Unreadable,
}

/// A process that may belong to a proxy that is gone.
#[derive(Debug)]
pub(crate) struct Unproven {
    pub(crate) pid: Pid,
    start_ticks: u64,
    program: String,
    why: Why,
}

impl Untold {
    pub(crate) fn new(pid: Pid, session: i32, start_ticks: u64, is_orphan: bool, is_unreadable: bool) -> Untold {
        Untold { pid, session, start_ticks, is_orphan, is_unreadable, details: Details::default() }
    }

    /// Whether it may be a process that this leader left.
    ///
    /// # Errors
    /// If that cannot be determined now.
    /// When that cannot be known now.
    pub(crate) fn of(&self, ancestor: &Ancestor, programs: &mut Programs) -> io::Result<Option<Unproven>> {
        let Some(why) = self.why(ancestor, programs)? else { return Ok(None) };
        let program = stat::name(self.pid.as_raw()).unwrap_or_default();
        let unproven = Unproven { pid: self.pid, start_ticks: self.start_ticks, program, why };
        // If it is alive now, everything that was read under this pid was its own.
        Ok(unproven.lives().then_some(unproven))
    }

    /// The same process without the values that may have changed if it executed another program since.
    pub(super) fn anew(&self, is_unreadable: bool) -> Untold {
        let session = stat::with_session(self.pid.as_raw()).map_or(self.session, |(_, _, session)| session);
        Untold { session, is_unreadable, details: Details::default(), ..*self }
    }

    fn why(&self, ancestor: &Ancestor, programs: &mut Programs) -> io::Result<Option<Why>> {
        if ancestor.since.is_none_or(|since| self.start_ticks < since) {
            return Ok(None);
        }
        if let Some(leader) = ancestor.pid.filter(|pid| pid.as_raw() == self.session) {
            // A process that has this pid now is not the leader, and the session is its own then.
            let is_recycled = stat::read(leader.as_raw())?.is_some_and(|stat| !stat.is_dead());
            return Ok((!is_recycled).then_some(Why::Session(leader)));
        }
        if !self.is_orphan || self.is_of_older_session(ancestor) || !self.shares_cgroup() {
            return Ok(None);
        }
        if self.is_unreadable {
            let is_of_user = |user| stat::is_of_user(self.pid.as_raw(), user);
            return Ok(ancestor.spec.known_uid().is_some_and(is_of_user).then_some(Why::Unreadable));
        }
        let logs = match ancestor.spec.log_files() {
            Err(error) if is_exhausted(&error) => return Err(error),
            // A directory that was removed has none.
            logs => logs.unwrap_or_default(),
        };
        if self.outputs().iter().any(|output| logs.contains(&output.file)) {
            return Ok(Some(Why::Log));
        }
        let is_of_another = self.outputs().iter().any(|output| store::is_log(&output.path));
        let same = !is_of_another && self.executable().is_some_and(|own| programs.file(&ancestor.spec) == Some(own));
        Ok(same.then_some(Why::Executable))
    }

    /// Whether its session was created before the leader was started: then the leader cannot have left it. Unknown for
    /// a session whose leader is gone.
    fn is_of_older_session(&self, ancestor: &Ancestor) -> bool {
        let leader = stat::read(self.session).ok().flatten();
        leader.zip(ancestor.since).is_some_and(|(leader, since)| leader.start_ticks < since)
    }

    fn shares_cgroup(&self) -> bool {
        *self.details.shares_cgroup.get_or_init(|| membership::shares_ours(self.pid.as_raw()))
    }

    fn executable(&self) -> Option<FileId> {
        *self.details.executable.get_or_init(|| FileId::of_process(self.pid.as_raw()).ok())
    }

    /// A file that cannot be examined counts as not open.
    fn outputs(&self) -> &[Output] {
        let directory = living_thread::directory(self.pid.as_raw()).unwrap_or_default();
        let read = |fd: i32| {
            let link = directory.join(format!("fd/{fd}"));
            let file = std::fs::metadata(&link).ok().filter(|file| file.is_file())?;
            Some(Output { file: (file.dev(), file.ino()), path: std::fs::read_link(&link).ok()? })
        };
        self.details.outputs.get_or_init(|| [1, 2].into_iter().filter_map(read).collect())
    }
}

impl Programs {
    fn file(&mut self, spec: &Spec) -> Option<FileId> {
        let name = spec.program_name()?;
        *self.0.entry(name).or_insert_with_key(ProgramName::file)
    }
}

impl Unproven {
    /// Whether it has not ended. A process that cannot be read counts as alive.
    pub(crate) fn lives(&self) -> bool {
        let stat = stat::read(self.pid.as_raw());
        let ends = |stat: Stat| stat.is_dead() || stat.is_exiting && stat.threads <= 1;
        let lives = |stat: Stat| stat.start_ticks == self.start_ticks && !ends(stat);
        stat.map_or(true, |stat| stat.is_some_and(lives))
    }

    /// Whether it delays the start of the next process for a while: it is in the old session, perhaps in the group.
    pub(crate) fn holds_start(&self) -> bool {
        matches!(self.why, Why::Session(_))
    }

    /// As it is reported to the user.
    pub(crate) fn to_status(&self) -> UnprovenProcess {
        UnprovenProcess { pid: self.pid.as_u32(), program: self.program.clone(), why: self.why.to_string() }
    }
}

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_status().fmt(f)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Session(leader) => write!(f, "in the session of pid {leader}, which has ended"),
            Why::Executable => {
                f.write_str("runs its executable, was started after it, and its environment names no proxy")
            }
            Why::Log => f.write_str("writes to its log, was started after it, and its environment names no proxy"),
            Why::Unreadable => {
                f.write_str("of the same user, was started after it, and its environment cannot be read")
            }
        }
    }
}
