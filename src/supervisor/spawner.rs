//! The spawners: threads that open logs, start processes and identify old ones, at most one a core.
//!
//! Everything that may block on a disk or on an exec happens here, so that the supervisor thread never does. What blocks
//! for long holds up only its own proxy: others take the place of the threads that it has.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::adoption;
use super::escaped::{Badge, Look, Spare};
use super::mailbox::{Claim, Done, Mailbox, Message, ProcessKey, Refusal};
use super::process::Process;
use super::progress::{Progress, Unreadable};
use super::reaper::Reaper;
use super::spec::{Files, Spec};
use crate::declaration::validate_id;
use crate::defaults::KILL_PATIENCE;
use crate::error::{Error, ErrorCode, Result};
use crate::logging::{self, Level};
use crate::store;
use crate::sys::fail;
use crate::sys::identity::{self, Identity, Pid};
use crate::sys::signal::Signal;
use crate::sys::spawn::{self, ChildStack, StartError};
use crate::sys::streams::StandardStreams;
use crate::sys::{stat, thread};

/// More would only queue for the same kernel locks; and with the supervisor, a manager's and the host's own thread they
/// are six.
const MAX_THREADS: usize = 3;

/// After so long at one piece of work a thread counts as stuck.
const STUCK_AFTER: Duration = Duration::from_secs(1);

/// How many threads there can be in place of stuck ones. So many hung file systems, or more, hold up all.
const MAX_STAND_INS: usize = 16;

/// Whose group is gone: those who left it before are looked for.
#[derive(Debug, Clone)]
pub(super) struct Search {
    pub(super) key: ProcessKey,
    pub(super) badge: Badge,
    /// Whether it may have been a child of an earlier agent.
    pub(super) of_others: bool,
}

/// What the threads do.
#[derive(Debug)]
enum Work {
    Job(Job),
    /// One look at all processes.
    Look(Vec<Search>, Arc<Progress>),
}

/// Work on one process; there is never more than one piece at a time for the same.
#[derive(Debug)]
pub(super) enum Job {
    Start {
        key: ProcessKey,
        spec: Arc<Spec>,
        /// Whose group may be left, here and below.
        after: Option<Claim>,
    },
    Adopt {
        key: ProcessKey,
        spec: Arc<Spec>,
        claim: Claim,
    },
    /// Writes record and pid file of a process again, after its declaration became known or changed.
    Record {
        key: ProcessKey,
        spec: Arc<Spec>,
        /// That of the process, here and below.
        origin: Arc<str>,
    },
    /// The same, if the record is not there any more.
    RecordMissing {
        key: ProcessKey,
        spec: Arc<Spec>,
        origin: Arc<str>,
    },
    /// Writes the pid file of a process again.
    PidFile {
        key: ProcessKey,
        spec: Arc<Spec>,
        pid: Pid,
    },
    /// No process is left: removes pid file and record.
    CleanUp {
        key: ProcessKey,
        spec: Arc<Spec>,
        after: Option<Claim>,
    },
}

impl Job {
    /// What is said of a job that panicked: a fault of this library, which must not stop the supervision.
    fn panicked(&self) -> Done {
        let error = Error::new(ErrorCode::Internal, "a spawner thread panicked; see the host's standard error");
        match self {
            Job::Start { .. } => Done::StartFailed { error, hopeless: false },
            Job::Adopt { .. } => Done::Refused(Refusal { reason: error.to_string(), gone: false }),
            Job::Record { .. } | Job::RecordMissing { .. } => Done::Recorded(Err(error)),
            Job::PidFile { pid, .. } => Done::PidFile(*pid, Err(error)),
            Job::CleanUp { .. } => Done::CleanedUp(Err(error)),
        }
    }
}

/// What a thread needs for its children.
#[derive(Debug)]
struct Tools {
    stack: ChildStack,
    streams: StandardStreams,
}

/// The threads and the way to them.
#[derive(Debug)]
pub(super) struct Spawners {
    /// There until the end.
    work: Option<Sender<Work>>,
    shared: Arc<Shared>,
    threads: Vec<Spawner>,
    limit: usize,
    /// When a thread may be stuck that somebody waits for, if anybody does.
    check_at: Option<Instant>,
}

/// One of the threads.
#[derive(Debug)]
struct Spawner {
    thread: JoinHandle<()>,
    stint: Arc<Stint>,
    /// Closes when it ends.
    ended: Receiver<()>,
}

impl Spawner {
    fn is_stuck(&self) -> bool {
        self.stint.length() >= STUCK_AFTER
    }
}

/// How long a thread has been at the same piece of work.
#[derive(Debug)]
struct Stint {
    epoch: Instant,
    /// The beginning, in milliseconds after the epoch and at least 1; 0 while it waits for work.
    since: AtomicU64,
}

impl Stint {
    fn new() -> Stint {
        Stint { epoch: Instant::now(), since: AtomicU64::new(0) }
    }

    fn begin(&self) {
        let since = self.epoch.elapsed().as_millis() as u64;
        self.since.store(since.max(1), Ordering::Release);
    }

    fn end(&self) {
        self.since.store(0, Ordering::Release);
    }

    fn length(&self) -> Duration {
        match self.since.load(Ordering::Acquire) {
            0 => Duration::ZERO,
            since => self.epoch.elapsed().saturating_sub(Duration::from_millis(since)),
        }
    }
}

#[derive(Debug)]
struct Shared {
    waiting: Receiver<Work>,
    mailbox: Mailbox,
    reaper: Arc<Reaper>,
    spare: Spare,
    unreadable: Unreadable,
    /// Threads that wait for a job, or are about to.
    idle: AtomicI64,
    /// Threads that have not ended, the stuck ones among them.
    alive: AtomicUsize,
    /// Nobody waits for the stuck ones any more.
    closed: AtomicBool,
}

impl Spawners {
    /// Starts the first thread; others follow when there is work for them.
    pub(super) fn start(mailbox: Mailbox, reaper: Arc<Reaper>) -> io::Result<Spawners> {
        let (work, waiting) = crossbeam_channel::unbounded();
        let shared = Arc::new(Shared {
            waiting,
            mailbox,
            reaper,
            spare: Spare::new()?,
            unreadable: Unreadable::default(),
            idle: AtomicI64::new(0),
            alive: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        });
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let (threads, limit) = (Vec::new(), cores.min(MAX_THREADS));
        let mut spawners = Spawners { work: Some(work), shared, threads, limit, check_at: None };
        spawners.add_thread()?;
        Ok(spawners)
    }

    pub(super) fn submit(&mut self, job: Job) {
        self.hand_over(Work::Job(job));
    }

    /// Has it looked for those who escaped, for all of these.
    pub(super) fn look(&mut self, all: Vec<Search>, progress: Arc<Progress>) {
        self.hand_over(Work::Look(all, progress));
    }

    /// Has the looks to come pass over a process that holds them up.
    pub(super) fn pass_over(&self, pid: Pid, look: &Progress) {
        let what = "look for processes that left their group";
        let known = self.shared.unreadable.insert(pid, look);
        let error = known.err().map(|error| format!(": {error}")).unwrap_or_default();
        let message =
            format_args!("{what}: the environment of pid {pid} cannot be read to its end: passed over{error}");
        logging::write(Level::Warn, message);
    }

    fn hand_over(&mut self, work: Work) {
        if self.shared.idle.load(Ordering::Acquire) <= 0 {
            self.add_thread_unless_enough();
        }
        if let Some(waiting) = &self.work {
            // The receiver lives in `shared`, so the channel is open.
            let _ = waiting.send(work);
        }
    }

    /// When [`Spawners::reinforce`] is due, if anything waits for a thread.
    pub(super) fn deadline(&mut self) -> Option<Instant> {
        match self.shared.waiting.is_empty() {
            true => self.check_at = None,
            false => self.check_at = self.check_at.or_else(|| Some(Instant::now() + STUCK_AFTER)),
        }
        self.check_at
    }

    /// Has somebody else do what waits while the threads that should do it are stuck.
    pub(super) fn reinforce(&mut self, now: Instant) {
        if self.check_at.take_if(|at| *at <= now).is_some() {
            self.add_thread_unless_enough();
        }
    }

    fn add_thread_unless_enough(&mut self) {
        for at in (0..self.threads.len()).rev() {
            if self.threads[at].thread.is_finished() {
                // One that panicked has been logged by the panic hook.
                let _ = self.threads.swap_remove(at).thread.join();
            }
        }
        let stuck = self.threads.iter().filter(|spawner| spawner.is_stuck()).count();
        if self.threads.len() - stuck >= self.limit || stuck > MAX_STAND_INS {
            return;
        }
        if stuck > 0 {
            let stuck = format_args!("spawner threads stuck in a file system or an exec: {stuck}; one more is started");
            logging::write(Level::Warn, stuck);
        }
        // One more is a help, not a need: if there is none to be had, those that there are do the work.
        if let Err(error) = self.add_thread() {
            logging::write(Level::Warn, format_args!("start one more spawner thread: {error}"));
        }
    }

    fn add_thread(&mut self) -> io::Result<()> {
        let tools = Tools { stack: ChildStack::new()?, streams: StandardStreams::new()? };
        let (shared, stint, limit) = (self.shared.clone(), Arc::new(Stint::new()), self.limit);
        let name = format!("proxy-spawner-{}", self.threads.len() + 1);
        let ((ends, ended), its_stint) = (crossbeam_channel::bounded(0), stint.clone());
        let thread = thread::start(&name, move || {
            shared.run(tools, &its_stint, limit);
            drop(ends);
        })?;
        self.threads.push(Spawner { thread, stint, ended });
        self.shared.alive.fetch_add(1, Ordering::AcqRel);
        // Counted here and not by the thread: until it runs, the job that it was started for is its own.
        self.shared.idle.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }
}

/// Ends the threads once the jobs are done. Also when the supervisor thread cannot be had that was to give them some: a
/// thread that is left behind would run on in a library that its host has unloaded.
///
/// Only one that is stuck is left behind nevertheless, for its host could not end either. (A thread of Rust has values of
/// its own, which keep the library from being unloaded before it ends.)
impl Drop for Spawners {
    fn drop(&mut self) {
        self.work = None;
        while let Some(Spawner { thread, stint, ended }) = self.threads.pop() {
            let wait = || ended.recv_timeout(KILL_PATIENCE.saturating_sub(stint.length()));
            let mut end = wait();
            while end == Err(RecvTimeoutError::Timeout) && stint.length() < KILL_PATIENCE {
                end = wait();
            }
            if end == Err(RecvTimeoutError::Timeout) {
                self.shared.closed.store(true, Ordering::Release);
                let message = format_args!("a spawner thread is stuck in a file system or an exec: left behind");
                logging::write(Level::Error, message);
            } else {
                // One that panicked has been logged by the panic hook.
                let _ = thread.join();
            }
        }
    }
}

impl Shared {
    /// `limit`: so many threads are enough, if none is stuck.
    fn run(&self, mut tools: Tools, stint: &Stint, limit: usize) {
        while let Ok(work) = self.waiting.recv() {
            self.idle.fetch_sub(1, Ordering::AcqRel);
            stint.begin();
            fail::point("job:taken");
            match work {
                Work::Job(job) => self.do_job(job, &mut tools),
                Work::Look(all, progress) => self.look(all, progress),
            }
            let was_stuck = stint.length() >= STUCK_AFTER;
            stint.end();
            let too_many = |alive: usize| (was_stuck && alive > limit).then(|| alive - 1);
            if self.alive.fetch_update(Ordering::AcqRel, Ordering::Acquire, too_many).is_ok() {
                return; // another one has taken its place
            }
            self.idle.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn do_job(&self, job: Job, tools: &mut Tools) {
        let (key, spec) = match &job {
            Job::Start { key, spec, .. }
            | Job::Adopt { key, spec, .. }
            | Job::Record { key, spec, .. }
            | Job::RecordMissing { key, spec, .. }
            | Job::PidFile { key, spec, .. }
            | Job::CleanUp { key, spec, .. } => (*key, spec.clone()),
        };
        let panicked = job.panicked();
        let done = catch_unwind(AssertUnwindSafe(|| self.work(job, tools))).unwrap_or(panicked);
        if self.closed.load(Ordering::Acquire) {
            return self.undo(key, &spec, &done);
        }
        let watch = matches!(done, Done::Started { .. } | Done::Adopted { .. });
        // ORDER: the supervisor must hear of the start before it can hear of the exit.
        self.mailbox.send(Message::Done { key, spec, done });
        fail::point("job:told");
        if watch {
            self.reaper.watch(key);
        }
    }

    /// Of a start that came to its end when nobody supervises any more, and of which it was said that it had not, nothing
    /// stays.
    fn undo(&self, key: ProcessKey, spec: &Spec, done: &Done) {
        if let Done::Started { pid, .. } = done {
            let killed = self.reaper.signal_group(key, Signal::KILL);
            let killed = killed.map_err(|error| Error::os(ErrorCode::Io, format_args!("kill pid {pid}"), &error));
            if let Err(error) = killed.and_then(|()| spec.clean_up()) {
                logging::about(Level::Error, &spec.id, format_args!("{error}"));
            }
            self.reaper.release(key);
        }
    }

    fn work(&self, job: Job, tools: &mut Tools) -> Done {
        match job {
            Job::Start { key, spec, after } => match self.start(key, &spec, after.as_ref(), tools) {
                Ok((pid, written)) => Done::Started { pid, written },
                Err(error) => {
                    let hopeless = matches!(
                        error.code(),
                        ErrorCode::InvalidConfig | ErrorCode::InvalidId | ErrorCode::RootRefused
                    );
                    Done::StartFailed { error, hopeless }
                }
            },
            Job::Adopt { key, spec, claim } => match adoption::prove(&spec, &claim) {
                Ok((process, written)) => {
                    let pid = process.pid;
                    self.reaper.insert(key, process);
                    fail::point("adopt:listed");
                    Done::Adopted { pid, written }
                }
                Err(refusal) => Done::Refused(refusal),
            },
            Job::Record { key, spec, origin } => Done::Recorded(self.record(key, &spec, &origin)),
            Job::RecordMissing { key, spec, origin } => Done::Recorded(match spec.is_recorded() {
                Ok(false) => self.record(key, &spec, &origin),
                Ok(true) => self.write_pid_file(key, &spec),
                Err(error) => Err(error),
            }),
            Job::PidFile { spec, pid, .. } => Done::PidFile(pid, spec.write_pid_file(pid)),
            Job::CleanUp { spec, after, .. } => {
                Done::CleanedUp(end_leftovers(&spec, after.as_ref()).and_then(|()| spec.clean_up()))
            }
        }
    }

    fn look(&self, all: Vec<Search>, progress: Arc<Progress>) {
        let of_others = all.iter().any(|search| search.of_others);
        let (leaders, unreadable) = (self.reaper.leaders(), &self.unreadable);
        let look = caught(|| self.spare.lend(|| Look::at_all_but(&leaders, of_others, &progress, unreadable)));
        let found = all.into_iter().map(|Search { key, badge, .. }| match &look {
            Ok(look) => (key, caught(|| look.with(&badge))),
            Err(error) => (key, Err(io::Error::new(error.kind(), error.to_string()))),
        });
        let found = found.collect();
        drop(look);
        self.mailbox.send(Message::Looked { look: progress, found });
        fail::point("job:told");
    }

    /// Starts a process; its pid, and whether its pid file could be written.
    fn start(
        &self,
        key: ProcessKey,
        spec: &Spec,
        after: Option<&Claim>,
        tools: &mut Tools,
    ) -> Result<(Pid, Result<()>)> {
        validate_id(&spec.id)?;
        spec.config.validate()?;
        if !spec.context.allow_root && spec.config.command.runs_as_root(identity::effective_uid()) {
            let message = "refused to run a proxy as root: allow_root is false";
            return Err(Error::new(ErrorCode::RootRefused, message));
        }
        end_leftovers(spec, after)?;
        let streams = tools.streams.with(spec.open_outputs()?);
        let (standard, stack) = (streams.as_fds(), &mut tools.stack);
        fail::point("start:prepared");
        let started = match &spec.context.files {
            Files::DataDir(data_dir) => {
                // A process of which the next agent could not know whether it lives must not begin to.
                stat::check_mounted().map_err(|error| Error::os(ErrorCode::Io, "look for /proc/self", &error))?;
                let boot_id = identity::boot_id().map_err(|error| Error::os(ErrorCode::Io, "read boot id", &error))?;
                let plan = data_dir.plan_record(spec.record_origin(), boot_id)?;
                spawn::start(stack, spec.program(), standard, Some(&plan.as_self_record()))
            }
            Files::Paths { .. } => spawn::start(stack, spec.program(), standard, None),
        };
        let started = started.map_err(|error| start_failed(&error))?;
        drop(streams);
        // Under the lock of nobody else yet: the child cannot be reaped before it is in the table.
        let identity = if started.pidfd.is_none() { Identity::of(started.pid, None).ok().flatten() } else { None };
        let identity = identity.map(Box::new);
        self.reaper.insert(key, Process { pid: started.pid, pidfd: started.pidfd, identity });
        fail::point("start:listed");
        // The pid file is for people and scripts; the process runs whether it can be written or not.
        let written = spec.replace_pid_file(started.pid);
        fail::point("start:written-down");
        Ok((started.pid, written))
    }

    fn record(&self, key: ProcessKey, spec: &Spec, origin: &str) -> Result<()> {
        let Some(identity) = self.identity(key)? else { return Ok(()) };
        if let Files::DataDir(data_dir) = &spec.context.files {
            let process_origin = Some(origin).filter(|origin| !origin.is_empty());
            data_dir.write_record(store::Origin { process_origin, ..spec.record_origin() }, &identity)?;
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

/// A fault of this library must not leave anybody without an answer.
fn caught<T>(what: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(what)).unwrap_or_else(|_| Err(io::Error::other("a spawner thread panicked")))
}

/// Ends what an adopted process that is gone has left of its group, where the group could not be signalled.
fn end_leftovers(spec: &Spec, after: Option<&Claim>) -> Result<()> {
    let ended = after.map_or(Ok(()), |claim| adoption::end_leftovers(spec, claim));
    ended.map_err(|left| Error::new(ErrorCode::StillRunning, left))
}

fn start_failed(error: &StartError) -> Error {
    Error::os_text(ErrorCode::StartFailed, error.to_string(), error.source.raw_os_error())
}
