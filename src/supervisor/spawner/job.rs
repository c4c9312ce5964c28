// SPDX-License-Identifier: MPL-2.0
//! The jobs that the event loop gives to the spawner threads.

use std::path::Path;
use std::sync::Arc;

use crossbeam_channel::Sender;

use super::last_words::Unread;
use crate::declaration::Listen;
use crate::error::{Error, ErrorCode};
use crate::lifecycle::start_numbers::StartNumbers;
use crate::store::file_place::FilePlace;
use crate::store::{DataDir, RecordedEnd, RecordedNotifications};
use crate::supervisor::adoption::claim::{Claim, Refusal, Verdict};
use crate::supervisor::adoption::named_leader::NamedLeader;
use crate::supervisor::cgroups::StartPlace;
use crate::supervisor::command_run::CommandRun;
use crate::supervisor::mailbox::Done;
use crate::supervisor::process_key::ProcessKey;
use crate::supervisor::scan::process_tag::Wanted;
use crate::supervisor::scan::stalled_scan::ScanProgress;
use crate::supervisor::scan::unproven_process::Ancestor;
use crate::supervisor::sockets::ProxySockets;
use crate::supervisor::spec::Spec;
use crate::supervisor::status::{LogSizes, ProxyStatus};
use crate::sys::pid::Pid;

/// A leader whose group is gone: a scan finds processes that left the group before.
#[derive(Debug, Clone)]
pub(crate) struct ScanRequest {
    pub(crate) key: ProcessKey,
    pub(crate) wanted: Wanted,
    pub(crate) ancestor: Ancestor,
    /// Whether it may have been a child of an earlier agent.
    pub(crate) of_others: bool,
}

/// What a process was given at its start, and the declaration does not say.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) owner_tag: Arc<str>,
    pub(crate) numbers: StartNumbers,
    pub(crate) notifications: Option<RecordedNotifications>,
    /// Those of its proxy, if it has any.
    pub(crate) sockets: Option<Arc<ProxySockets>>,
}

/// Sockets that are not declared any more once a process is gone.
#[derive(Debug)]
pub(crate) struct SocketsToClose {
    pub(crate) all: Arc<ProxySockets>,
    /// The other generation of the proxy has these.
    pub(crate) but: Vec<Listen>,
    /// And may have what was stored.
    pub(crate) keeps_stored: bool,
}

/// What the threads do.
#[derive(Debug)]
pub(crate) enum Work {
    Job(Job),
    /// One scan of processes.
    Scan(Vec<ScanRequest>, Arc<ScanProgress>),
    /// A look whether a data directory is there.
    LookAt(Arc<DataDir>, Sender<Option<Error>>),
    /// How large the logs of these are.
    MeasureLogs(Arc<Vec<ProxyStatus>>, Sender<Vec<LogSizes>>),
}

/// What an earlier process may have left that no signal has reached.
#[derive(Debug)]
pub(crate) struct Leftovers {
    /// In the group of this one.
    pub(crate) group_of: Option<Box<Claim>>,
    /// In any cgroup of its proxy.
    pub(crate) in_cgroups: bool,
}

/// Work on one process; there is never more than one piece at a time for the same.
#[derive(Debug)]
pub(crate) enum Job {
    Start {
        key: ProcessKey,
        spec: Arc<Spec>,
        numbers: StartNumbers,
        left: Leftovers,
        /// Those of its proxy, if it has any or had some.
        sockets: Option<Arc<ProxySockets>>,
        /// The cgroup of the last process, if that had one of its own.
        last_cgroup: Option<StartPlace>,
        /// That of the other generation.
        other_cgroup: Option<Arc<Path>>,
        /// What is to be read of the end of the process before, here and below.
        unread: Option<Unread>,
    },
    Adopt {
        key: ProcessKey,
        spec: Arc<Spec>,
        claim: Box<Claim>,
        /// Whether what lives in the cgroups of the proxy is of this process, which may have ended.
        is_alone: bool,
        /// Those of its proxy, if the process has any or they are declared.
        sockets: Option<Arc<ProxySockets>>,
    },
    /// Starts a command that is run for a process.
    Run {
        key: ProcessKey,
        run: CommandRun,
        /// The name of its own process.
        command: ProcessKey,
    },
    /// Writes record and pid file of a process again, after its declaration became known or changed.
    Record { key: ProcessKey, spec: Arc<Spec>, given: Given },
    /// The same, if the record is not there any more.
    RecordMissing { key: ProcessKey, spec: Arc<Spec>, given: Given },
    /// Has the cgroup of a process have the limits that are declared now.
    Limit { key: ProcessKey, spec: Arc<Spec>, cgroup: Option<Arc<Path>> },
    /// Finds out whether a process of this declaration could be started, before the one that runs is stopped for it.
    Foresee { key: ProcessKey, spec: Arc<Spec> },
    /// Writes the pid file of a process again.
    PidFile { key: ProcessKey, spec: Arc<Spec>, pid: Pid },
    /// Proves the process that is named as the leader, and writes its record and pid file.
    ChangeLeader { key: ProcessKey, spec: Arc<Spec>, named: NamedLeader },
    /// The process is gone, and others of it may be left: removes its pid file.
    RemovePidFile { key: ProcessKey, spec: Arc<Spec> },
    /// Has the record of a process that is gone say how it ended.
    RecordEnd { key: ProcessKey, spec: Arc<Spec>, ended: RecordedEnd },
    /// No process is left: removes pid file and record.
    CleanUp {
        key: ProcessKey,
        spec: Arc<Spec>,
        left: Leftovers,
        sockets: Option<SocketsToClose>,
        /// That of a proxy that is to be gone.
        cgroup: Option<Arc<Path>>,
        unread: Option<Unread>,
    },
    /// The same, but the record stays.
    CleanUpButRecord { key: ProcessKey, spec: Arc<Spec>, left: Leftovers, unread: Option<Unread> },
    /// Gives the files of the next generation the place of those of the current one, which this is.
    Promote { key: ProcessKey, spec: Arc<Spec>, pid: Option<Pid> },
}

impl Job {
    /// The process that it is about has other files than when it was decided.
    pub(crate) fn take_place(&mut self, place: FilePlace) {
        match self {
            Job::Start { spec, .. }
            | Job::Adopt { spec, .. }
            | Job::Record { spec, .. }
            | Job::RecordMissing { spec, .. }
            | Job::Limit { spec, .. }
            | Job::Foresee { spec, .. }
            | Job::PidFile { spec, .. }
            | Job::ChangeLeader { spec, .. }
            | Job::RemovePidFile { spec, .. }
            | Job::RecordEnd { spec, .. }
            | Job::CleanUp { spec, .. }
            | Job::CleanUpButRecord { spec, .. }
            | Job::Promote { spec, .. } => *spec = spec.at(place),
            Job::Run { run, .. } => run.spec = run.spec.at(place),
        }
    }

    /// What is to be read after the job of the end of the process before.
    pub(super) fn unread(&self) -> Option<Unread> {
        match self {
            Job::Start { unread, .. } | Job::CleanUp { unread, .. } | Job::CleanUpButRecord { unread, .. } => *unread,
            _ => None,
        }
    }

    /// What is said of a job that panicked: a fault of this library, which must not stop the supervision.
    pub(super) fn panicked(&self) -> Done {
        let error = Error::new(ErrorCode::Internal, "a spawner thread panicked; see the host's standard error");
        match self {
            Job::Start { .. } => Done::StartFailed { error, hopeless: false },
            Job::Run { command, .. } => Done::Run { command: *command, started: Err(error) },
            Job::Adopt { .. } => Done::Refused(Refusal { reason: error.to_string(), verdict: Verdict::Unknown }),
            Job::Record { .. } | Job::RecordMissing { .. } => Done::Recorded(Err(error)),
            Job::Limit { cgroup, .. } => Done::Limited(cgroup.clone(), Err(error)),
            Job::Foresee { .. } => Done::Foreseen(Err(error)),
            Job::PidFile { pid, .. } => Done::PidFile(*pid, Err(error)),
            Job::ChangeLeader { .. } => Done::LeaderNamed(Err(error.to_string())),
            Job::RemovePidFile { .. } => Done::PidFileRemoved(Err(error)),
            Job::RecordEnd { ended, .. } => Done::EndRecorded(*ended, Err(error)),
            Job::CleanUp { .. } => Done::CleanedUp(Err(error)),
            Job::CleanUpButRecord { .. } => Done::CleanedUpButRecord(Err(error)),
            Job::Promote { .. } => Done::Promoted(Err(error)),
        }
    }
}
