// SPDX-License-Identifier: MPL-2.0
//! What the spawner threads do: open logs, start processes, identify old ones, scan. Everything that may block on a disk or
//! on an exec is done here.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::job::{Given, Job, Leftovers, ScanRequest, SocketsToClose, Work};
use super::last_words::AddressSearch;
use super::process_resources::{recorded, take_over};
use super::spawn_tools::SpawnTools;
use crate::error::{Error, ErrorCode, Result};
use crate::host_code;
use crate::logging::Level;
use crate::store::{self, LogPositions};
use crate::supervisor::adoption::claim::{Claim, Refusal, Verdict};
use crate::supervisor::adoption::{self, Proven, cgroup_leftovers, named_leader};
use crate::supervisor::command_run::any_is_run_by_a_caller;
use crate::supervisor::mailbox::{Done, DoneJob, Mailbox, Message, NewLeader, StartedProcess};
use crate::supervisor::process_key::ProcessKey;
use crate::supervisor::reaper::Reaper;
use crate::supervisor::scan::process_scan::{Scan, ScanScope};
use crate::supervisor::scan::stalled_scan::{ScanProgress, UnreadableProcesses};
use crate::supervisor::spare_descriptor::SpareDescriptor;
use crate::supervisor::spec::{Files, Spec};
use crate::sys::fail;
use crate::sys::pid::Pid;
use crate::sys::process_identity::Identity;
use crate::sys::signal::Signal;

/// Does the work, on any of the threads.
#[derive(Debug)]
pub(crate) struct Spawner {
    mailbox: Mailbox,
    pub(super) reaper: Arc<Reaper>,
    spare: SpareDescriptor,
    unreadable: UnreadableProcesses,
    address_search: AddressSearch,
    pub(super) positions: Arc<LogPositions>,
    /// No caller waits any more for the current jobs.
    closed: AtomicBool,
}

impl Spawner {
    pub(crate) fn new(mailbox: Mailbox, reaper: Arc<Reaper>, positions: Arc<LogPositions>) -> io::Result<Spawner> {
        let (spare, unreadable) = (SpareDescriptor::new()?, UnreadableProcesses::default());
        let address_search = AddressSearch::default();
        let closed = AtomicBool::new(false);
        Ok(Spawner { mailbox, reaper, spare, unreadable, address_search, positions, closed })
    }

    pub(crate) fn do_work(&self, work: Work, tools: &mut SpawnTools) {
        match work {
            Work::Job(job) => self.do_job(job, tools),
            Work::Scan(all, progress) => self.scan(all, progress),
            Work::LookAt(data_dir, reply) => {
                fail::point("status:look");
                if let Ok(found) = host_code::caught(|| data_dir.removed()) {
                    // The caller may have gone on.
                    let _ = reply.send(found);
                }
            }
            Work::MeasureLogs(all, reply) => {
                let measured = || {
                    let mut measure = store::LogMeasure::default();
                    let mut size = |log: &Option<PathBuf>| log.as_deref().and_then(|log| measure.size(log));
                    all.iter().map(|status| [&status.stdout_log, &status.stderr_log].map(&mut size)).collect()
                };
                if let Ok(found) = host_code::caught(measured) {
                    let _ = reply.send(found);
                }
            }
        }
    }

    /// Has later scans skip a process that stalls them.
    pub(crate) fn skip_in_scans(&self, pid: Pid, scan: &ScanProgress) {
        // If it cannot be done now, the next scan is given up as well.
        let _ = self.unreadable.skip("look for processes that left their group", pid, scan);
    }

    /// No caller waits any more for the current jobs.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    fn do_job(&self, job: Job, tools: &mut SpawnTools) {
        let (key, spec) = match &job {
            Job::Start { key, spec, .. }
            | Job::Adopt { key, spec, .. }
            | Job::Record { key, spec, .. }
            | Job::RecordMissing { key, spec, .. }
            | Job::Limit { key, spec, .. }
            | Job::Foresee { key, spec }
            | Job::PidFile { key, spec, .. }
            | Job::ChangeLeader { key, spec, .. }
            | Job::RemovePidFile { key, spec }
            | Job::RecordEnd { key, spec, .. }
            | Job::CleanUp { key, spec, .. }
            | Job::CleanUpButRecord { key, spec, .. }
            | Job::Promote { key, spec, .. } => (*key, spec.clone()),
            Job::Run { key, run, .. } => (*key, run.spec.clone()),
        };
        let (panicked, unread) = (job.panicked(), job.unread());
        let done = host_code::caught(|| self.work(job, tools)).unwrap_or(panicked);
        if self.closed.load(Ordering::Acquire) {
            return self.undo(key, &spec, &done);
        }
        let begun = match &done {
            Done::Started(_) | Done::Adopted { .. } => Some(key),
            Done::Run { command, started: Ok(()) } => Some(*command),
            _ => None,
        };
        // Before the answer, after which the owner may end.
        let last_words = unread
            .map(|unread| self.address_search.last_words(&spec, unread, &done, &self.positions))
            .unwrap_or_default();
        let unknown_user = matches!(done, Done::Adopted { .. }).then(|| spec.unknown_user()).flatten();
        // ORDER: the supervisor must get the start before it can get the exit.
        self.mailbox.send(Message::Done(Box::new(DoneJob { key, spec, done, last_words })));
        fail::point("job:told");
        if let Some(begun) = begun {
            self.reaper.watch(begun);
        }
        // ORDER: when nothing waits for it, for it may take long; and without the declaration, whose owner may end meanwhile.
        if let Some((users, user)) = unknown_user {
            users.learn(&user);
        }
    }

    /// Undoes a start that ended after the supervision did: its caller got the answer that it had not ended.
    fn undo(&self, key: ProcessKey, spec: &Spec, done: &Done) {
        if let Done::Started(StartedProcess { pid, .. }) = done {
            let killed = self.reaper.signal_group(key, Signal::KILL);
            let killed = killed.map_err(|error| Error::os(ErrorCode::Io, format_args!("kill pid {pid}"), &error));
            if let Err(error) = killed.and_then(|_| spec.clean_up()) {
                spec.context.log.about(Level::Error, &spec.id, format_args!("{error}"));
            }
            self.reaper.release(key);
        }
        if let Done::Run { command, started: Ok(()) } = done {
            if let Err(error) = self.reaper.signal_group(*command, Signal::KILL) {
                spec.context.log.about(Level::Error, &spec.id, format_args!("kill a command: {error}"));
            }
            self.reaper.release(*command);
        }
    }

    fn work(&self, job: Job, tools: &mut SpawnTools) -> Done {
        match job {
            Job::Start { key, spec, numbers, left, sockets, last_cgroup, other_cgroup, .. } => {
                let place = (sockets.as_deref(), last_cgroup, other_cgroup);
                match self.start(key, (&spec, numbers), &left, place, tools) {
                    Ok(started) => Done::Started(started),
                    Err(error) => {
                        let hopeless = matches!(
                            error.code(),
                            ErrorCode::InvalidConfig | ErrorCode::InvalidId | ErrorCode::RootRefused
                        );
                        Done::StartFailed { error, hopeless }
                    }
                }
            }
            Job::Adopt { key, spec, claim, is_alone, sockets } => match adoption::prove(&spec, &claim) {
                Ok(Proven { process, written, known }) => {
                    let identity = process.identity.as_deref();
                    let (pid, since) = (process.pid, identity.map(|identity| identity.start_ticks));
                    let group = identity.map_or(pid, |identity| identity.group);
                    let untaken = sockets.and_then(|sockets| take_over(&spec, &claim, &process, &sockets));
                    self.reaper.insert(key, process);
                    fail::point("adopt:listed");
                    let cgroups = spec.context.cgroups.as_ref();
                    let cgroup = cgroups.and_then(|cgroups| cgroups.of_adopted(&spec.id, pid));
                    let oom_kills = spec.oom_kills(cgroup.as_deref()).unwrap_or(0);
                    Done::Adopted { pid, group, since, written, known, untaken, cgroup, oom_kills }
                }
                Err(refusal) if is_alone && matches!(*claim, Claim::Recorded { .. }) => {
                    Done::Refused(self.refused_alone(&spec, refusal))
                }
                Err(refusal) => Done::Refused(refusal),
            },
            Job::Run { run, command, .. } => {
                let started = run.start(&mut tools.stack, &tools.host.get(), &mut tools.streams);
                Done::Run { command, started: started.map(|process| self.reaper.insert(command, process)) }
            }
            Job::Record { key, spec, given } => Done::Recorded(self.record(key, &spec, &given)),
            Job::RecordMissing { key, spec, given } => Done::Recorded(match spec.is_recorded() {
                Ok(false) => self.record(key, &spec, &given),
                Ok(true) => self.write_pid_file(key, &spec),
                Err(error) => Err(error),
            }),
            Job::Limit { spec, cgroup, .. } => {
                let limited = spec.limit(cgroup.as_deref());
                Done::Limited(cgroup, limited)
            }
            Job::Foresee { spec, .. } => Done::Foreseen(spec.foresee_start()),
            Job::PidFile { spec, pid, .. } => Done::PidFile(pid, spec.write_pid_file(pid)),
            Job::ChangeLeader { spec, named, .. } => {
                Done::LeaderNamed(named_leader::prove(&spec, &named).map(|proven| {
                    let (process, identity) = proven;
                    fail::point("leader:proven");
                    let written = spec.write_leader(&identity);
                    NewLeader { process, identity, written }
                }))
            }
            Job::RemovePidFile { spec, .. } => Done::PidFileRemoved(spec.remove_pid_file()),
            Job::Promote { spec, pid, .. } => Done::Promoted(spec.promote(pid)),
            Job::RecordEnd { spec, ended, .. } => Done::EndRecorded(ended, spec.record_end(ended)),
            Job::CleanUpButRecord { spec, left, .. } => {
                let ended = self.end_leftovers(&spec, &left);
                Done::CleanedUpButRecord(ended.and_then(|()| spec.remove_pid_file()))
            }
            Job::CleanUp { spec, left, sockets, cgroup, .. } => {
                let ended = self.end_leftovers(&spec, &left);
                let closed = sockets.map_or(Ok(()), |SocketsToClose { all, but, keeps_stored }| {
                    if !keeps_stored {
                        all.stored.keep_first(0);
                    }
                    all.close_all_but(&but)
                });
                let removed = cgroup.map_or(Ok(()), |cgroup| remove_cgroup(&spec, &cgroup));
                Done::CleanedUp(ended.and_then(|()| spec.clean_up()).and(closed).and(removed))
            }
        }
    }

    fn scan(&self, all: Vec<ScanRequest>, progress: Arc<ScanProgress>) {
        let by_caller = any_is_run_by_a_caller();
        let scope = all.iter().map(|request| (&request.ancestor, request.of_others || by_caller));
        let scope = ScanScope::of(scope);
        let (leaders, unreadable) = (self.reaper.leaders(), &self.unreadable);
        let scan = || Scan::at_all_but(&leaders, &scope, &progress, unreadable);
        let mut scan = caught(|| self.spare.lend(scan));
        let found = all.iter().map(|ScanRequest { key, wanted, ancestor, .. }| match &mut scan {
            Ok(scan) => (*key, caught(|| scan.with(wanted, ancestor))),
            Err(error) => (*key, Err(io::Error::new(error.kind(), error.to_string()))),
        });
        let found = found.collect::<Vec<_>>();
        // ORDER: the declarations before the answer, after which their owner may end.
        drop((scan, all));
        self.mailbox.send(Message::Scanned { progress, found });
        fail::point("job:told");
    }

    /// Ends what an adopted process that is gone has left of its group, where the group could not be signalled, and what an earlier
    /// agent has left in the cgroups of the proxy.
    pub(super) fn end_leftovers(&self, spec: &Spec, left: &Leftovers) -> Result<()> {
        let still_running = |left| Error::new(ErrorCode::StillRunning, left);
        if let Some(claim) = &left.group_of {
            adoption::end_leftovers(spec, claim).map_err(still_running)?;
        }
        if left.in_cgroups { self.end_in_cgroups(spec).map_err(still_running) } else { Ok(()) }
    }

    fn end_in_cgroups(&self, spec: &Spec) -> std::result::Result<(), String> {
        let Some(cgroups) = &spec.context.cgroups else { return Ok(()) };
        cgroup_leftovers::end(cgroups, &spec.id, || self.reaper.leaders(), &spec.context.log)
    }

    /// An adoption was refused of the only process of a proxy that a record names: if that is gone, so is then what it has left
    /// in a cgroup. What is declared to have time gets it, as far as a scan finds it.
    fn refused_alone(&self, spec: &Spec, refusal: Refusal) -> Refusal {
        let is_gone = matches!(refusal.verdict, Verdict::Ended | Verdict::Unproven);
        if !is_gone || !spec.config.stop.leftover_grace.is_zero() {
            return refusal;
        }
        match self.end_in_cgroups(spec) {
            Ok(()) => refusal,
            Err(left) => Refusal { reason: format!("{}; {left}", refusal.reason), verdict: Verdict::Unknown },
        }
    }

    fn record(&self, key: ProcessKey, spec: &Spec, given: &Given) -> Result<()> {
        let Some(identity) = self.identity(key)? else { return Ok(()) };
        if let Files::DataDir(data_dir) = &spec.context.files {
            let owner_tag = Some(&*given.owner_tag).filter(|owner_tag| !owner_tag.is_empty());
            let recorded = recorded(spec, given.sockets.as_deref());
            let (header, notifications) = (spec.record_header(given.numbers, &recorded), given.notifications);
            let header = store::RecordHeader { owner_tag, notifications, ..header };
            data_dir.write_record(spec.place, header, &identity)?;
        }
        spec.write_pid_file(identity.pid)
    }

    fn write_pid_file(&self, key: ProcessKey, spec: &Spec) -> Result<()> {
        self.identity(key)?.map_or(Ok(()), |identity| spec.write_pid_file(identity.pid))
    }

    /// Who the process is, while it lives.
    fn identity(&self, key: ProcessKey) -> Result<Option<Identity>> {
        let identity = self.reaper.identity(key);
        identity.map_err(|error| Error::os(ErrorCode::Io, "read start time of the process", &error))
    }
}

fn remove_cgroup(spec: &Spec, path: &Path) -> Result<()> {
    let removed = spec.context.cgroups.as_ref().map_or(Ok(()), |cgroups| cgroups.remove(path));
    removed.map_err(|error| Error::os(ErrorCode::Io, format_args!("remove cgroup {}", path.display()), &error))
}

/// A fault of this library must leave no caller without an answer.
fn caught<T>(what: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    host_code::caught(what).unwrap_or_else(|_| Err(io::Error::other("a spawner thread panicked")))
}
