// SPDX-License-Identifier: MPL-2.0
//! What the spawner threads do: open logs, start processes, identify old ones, scan. Everything that may block on a disk or
//! on an exec is done here.

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::job::{Given, Job, Leftovers, ScanRequest, SocketsToClose, Work};
use super::known_host::{KnownHost, Submitted};
use super::last_words::AddressSearch;
use super::process_resources::{notify_socket, open_sockets, recorded, report_pipe, take_over};
use crate::declaration::validate_id;
use crate::defaults;
use crate::error::{Error, ErrorCode, Result};
use crate::host_code;
use crate::lifecycle::start_numbers::StartNumbers;
use crate::logging::{self, Level};
use crate::store::{self, LogPositions, RecordedNotifications};
use crate::supervisor::adoption::claim::{Claim, Refusal, Verdict};
use crate::supervisor::adoption::{self, Proven, cgroup_leftovers, named_leader};
use crate::supervisor::cgroups::StartPlace;
use crate::supervisor::command_run::any_is_run_by_a_caller;
use crate::supervisor::mailbox::{Done, DoneJob, Mailbox, Message, NewLeader, StartedProcess};
use crate::supervisor::process_key::ProcessKey;
use crate::supervisor::reaper::Reaper;
use crate::supervisor::reaper::process::Process;
use crate::supervisor::scan::process_scan::{Scan, ScanScope};
use crate::supervisor::scan::stalled_scan::{ScanProgress, UnreadableProcesses};
use crate::supervisor::sockets::ProxySockets;
use crate::supervisor::spare_descriptor::SpareDescriptor;
use crate::supervisor::spec::{Files, Spec};
use crate::sys::fail;
use crate::sys::notify_socket::SocketName;
use crate::sys::pid::Pid;
use crate::sys::pidfd;
use crate::sys::proc::stat;
use crate::sys::process_identity::{self, Identity};
use crate::sys::signal::Signal;
use crate::sys::spawn;
use crate::sys::spawn::child_stack::ChildStack;
use crate::sys::spawn::dumpable;
use crate::sys::spawn::program::ReportDescriptor;
use crate::sys::spawn::standard_streams::StandardStreams;
use crate::sys::spawn::start_error::StartError;

/// What a thread needs for its children.
#[derive(Debug)]
pub(crate) struct SpawnTools {
    stack: ChildStack,
    streams: StandardStreams,
    host: KnownHost,
}

impl SpawnTools {
    pub(super) fn new(submitted: Submitted) -> io::Result<SpawnTools> {
        let streams = StandardStreams::new()?;
        if let Some(error) = streams.why_no_null() {
            let instead = "the standard input of processes is an empty pipe";
            logging::write(Level::Warn, format_args!("open /dev/null: {error}; {instead}"));
        }
        Ok(SpawnTools { stack: ChildStack::new()?, streams, host: KnownHost::new(submitted) })
    }

    /// Work of this number begins.
    pub(super) fn begin(&mut self, number: u64) {
        self.host.begin(number);
    }
}

/// Does the work, on any of the threads.
#[derive(Debug)]
pub(crate) struct Spawner {
    mailbox: Mailbox,
    reaper: Arc<Reaper>,
    spare: SpareDescriptor,
    unreadable: UnreadableProcesses,
    address_search: AddressSearch,
    positions: Arc<LogPositions>,
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

    fn start(
        &self,
        key: ProcessKey,
        (spec, numbers): (&Spec, StartNumbers),
        left: &Leftovers,
        (sockets, last_cgroup, other_cgroup): (Option<&ProxySockets>, Option<StartPlace>, Option<Arc<Path>>),
        tools: &mut SpawnTools,
    ) -> Result<StartedProcess> {
        let begun = Instant::now();
        validate_id(&spec.id)?;
        spec.config.validate_to_start()?;
        spec.refuse_root()?;
        self.end_leftovers(spec, left)?;
        let opened = sockets.map(|sockets| open_sockets(spec, sockets)).transpose()?.unwrap_or_default();
        let (report, report_end) = report_pipe(spec)?.unzip();
        let notify = notify_socket(spec)?;
        let mut program = spec.program(numbers);
        spec.become_user(&mut program)?;
        let stored = sockets.map(|sockets| sockets.stored.for_start(spec.config.fd_store_max as usize, spec.place));
        let stored = stored.unwrap_or_default();
        let all = opened.iter().chain(stored.iter().map(|stored| &stored.descriptor));
        program.sockets = all.filter_map(|socket| socket.get()).map(AsFd::as_fd).collect();
        if spec.config.fd_store_max > 0 {
            program.set_variable(defaults::ENV_FDSTORE, spec.config.fd_store_max.to_string().as_ref());
            spec.name_stored(&mut program, &stored.iter().map(|stored| stored.name.clone()).collect::<Vec<_>>());
        }
        if !program.sockets.is_empty() {
            program.pid_variables.push(defaults::ENV_LISTEN_PID);
        }
        if let Some((name, _)) = &notify {
            program.set_variable(defaults::ENV_NOTIFY_SOCKET, name.to_string().as_ref());
        }
        let watchdog = spec.config.watchdog_period();
        if !watchdog.is_zero() {
            program.set_variable(defaults::ENV_WATCHDOG_USEC, watchdog.as_micros().to_string().as_ref());
            program.pid_variables.push(defaults::ENV_WATCHDOG_PID);
        }
        let of_start = |(name, _): &(SocketName, _)| RecordedNotifications { name: *name, watchdog_period: None };
        let notifications = notify.as_ref().map(of_start);
        let number = spec.config.ready.fd().and_then(|number| number.try_into().ok());
        program.report =
            report_end.as_ref().zip(number).map(|(end, number)| ReportDescriptor { end: end.as_fd(), number });
        program.cgroup = spec.enter(last_cgroup.as_ref(), other_cgroup.as_deref())?;
        let entered = program.cgroup.as_ref().map(|cgroup| cgroup.path.clone());
        let oom_kills = spec.oom_kills(entered.as_deref()).unwrap_or(0);
        let outputs = spec.open_outputs(program.credentials.as_ref())?;
        let output_begins = self.positions.end_of(outputs[1].as_fd());
        let streams = tools.streams.with(outputs);
        let (standard, stack, host) = (streams.as_fds(), &mut tools.stack, tools.host.get());
        fail::point("start:prepared");
        // ORDER: before the start, for once a process runs nothing may fail that it is supervised by.
        let boot_id_of_detached = spec.config.command.is_detached().then(boot_id).transpose()?;
        let started = match &spec.context.files {
            Files::DataDir(data_dir) => {
                // A process of which the next agent could not know whether it lives must not begin to.
                stat::check_mounted().map_err(|error| Error::os(ErrorCode::Io, "look for /proc/self", &error))?;
                let recorded = recorded(spec, sockets);
                let header = store::RecordHeader { notifications, ..spec.record_header(numbers, &recorded) };
                let record = data_dir.prepare_record(spec.place, header, &boot_id()?)?;
                spawn::start(stack, &host, program, standard, Some(&record))
            }
            Files::LogDir(_) | Files::Paths { .. } => spawn::start(stack, &host, program, standard, None),
        };
        if let Some(error) = dumpable::take_failure() {
            logging::write(Level::Warn, format_args!("make this process dumpable again: {error}"));
        }
        let started = started.inspect_err(|_| spec.leave_unused(entered.as_deref()));
        let started = started.map_err(|error| start_failed(&error))?;
        if let Some(why) = &started.uncontained {
            spec.warn_of_uncontained(why);
        }
        let cgroup = started.cgroup.clone();
        let took = begun.elapsed();
        drop((streams, report_end));
        let detached = started.start_ticks.zip(boot_id_of_detached).map(|(start_ticks, boot_id)| {
            let inode = started.pidfd.as_ref().and_then(|fd| pidfd::inode(fd.as_fd()).ok().flatten());
            Identity { pid: started.pid, group: started.pid, start_ticks, boot_id, inode }
        });
        // Of a process that is no child of ours, as of one that is adopted.
        let claim = detached.clone().map(|identity| {
            let (token, owner_tag) =
                (spec.config.token.clone().map(String::into), Some(spec.context.owner_tag.to_string()));
            let (sockets, ended) = ([].into(), None);
            Box::new(Claim::Recorded { identity, token, owner_tag, numbers, notifications, sockets, ended })
        });
        // The child cannot be reaped before it is in the table.
        let of_child = || if started.pidfd.is_none() { Identity::of(started.pid, None).ok().flatten() } else { None };
        let identity = detached.or_else(of_child).map(Box::new);
        self.reaper.insert(key, Process { pid: started.pid, pidfd: started.pidfd, identity });
        fail::point("start:listed");
        // The pid file is for people and scripts; the process runs whether it can be written or not.
        let written = spec.replace_pid_file(started.pid);
        fail::point("start:written-down");
        Ok(StartedProcess {
            pid: started.pid,
            numbers,
            written,
            claim,
            output_begins,
            report,
            notify,
            took,
            cgroup,
            oom_kills,
        })
    }

    /// Ends what an adopted process that is gone has left of its group, where the group could not be signalled, and what an earlier
    /// agent has left in the cgroups of the proxy.
    fn end_leftovers(&self, spec: &Spec, left: &Leftovers) -> Result<()> {
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

fn boot_id() -> Result<Arc<str>> {
    process_identity::boot_id()
        .map_err(|error| Error::os(ErrorCode::Io, format_args!("read {}", process_identity::BOOT_ID), &error))
}

fn remove_cgroup(spec: &Spec, path: &Path) -> Result<()> {
    let removed = spec.context.cgroups.as_ref().map_or(Ok(()), |cgroups| cgroups.remove(path));
    removed.map_err(|error| Error::os(ErrorCode::Io, format_args!("remove cgroup {}", path.display()), &error))
}

/// A fault of this library must leave no caller without an answer.
fn caught<T>(what: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    host_code::caught(what).unwrap_or_else(|_| Err(io::Error::other("a spawner thread panicked")))
}

fn start_failed(error: &StartError) -> Error {
    Error::os_text(ErrorCode::StartFailed, error.to_string(), error.source.raw_os_error())
}
