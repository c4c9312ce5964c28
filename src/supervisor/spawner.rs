//! The spawners: threads that open logs, start processes and identify old ones, at most one a core.
//!
//! Everything that may block on a disk or on an exec happens here, so that the supervisor thread never does.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};

use super::adoption;
use super::escaped::{Badge, Look, Spare};
use super::mailbox::{Claim, Done, Mailbox, Message, ProcessKey, Refusal};
use super::process::Process;
use super::reaper::Reaper;
use super::spec::{Files, Spec};
use crate::declaration::validate_id;
use crate::error::{Error, ErrorCode, Result};
use crate::logging::{self, Level};
use crate::store;
use crate::sys::fail;
use crate::sys::identity::{self, Identity, Pid};
use crate::sys::spawn::{self, ChildStack, StartError};
use crate::sys::streams::StandardStreams;
use crate::sys::{stat, thread};

/// More would only queue for the same kernel locks; and with the supervisor, a manager's and the host's own thread they
/// are six.
const MAX_THREADS: usize = 3;

/// Whose group is gone: those who left it before are looked for.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) key: ProcessKey,
    pub(super) spec: Arc<Spec>,
    pub(super) badge: Badge,
    /// Whether it may have been a child of an earlier agent.
    pub(super) of_others: bool,
}

/// What the threads do.
#[derive(Debug)]
enum Work {
    Job(Job),
    /// One look at all processes.
    Look(Vec<Search>),
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
    threads: Vec<JoinHandle<()>>,
    limit: usize,
}

#[derive(Debug)]
struct Shared {
    waiting: Receiver<Work>,
    mailbox: Mailbox,
    reaper: Arc<Reaper>,
    spare: Spare,
    /// Threads that wait for a job, or are about to.
    idle: AtomicI64,
}

impl Spawners {
    /// Starts the first thread; others follow when there is work for them.
    pub(super) fn start(mailbox: Mailbox, reaper: Arc<Reaper>) -> io::Result<Spawners> {
        let (work, waiting) = crossbeam_channel::unbounded();
        let shared = Arc::new(Shared { waiting, mailbox, reaper, spare: Spare::new()?, idle: AtomicI64::new(0) });
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let mut spawners = Spawners { work: Some(work), shared, threads: Vec::new(), limit: cores.min(MAX_THREADS) };
        spawners.add_thread()?;
        Ok(spawners)
    }

    pub(super) fn submit(&mut self, job: Job) {
        self.hand_over(Work::Job(job));
    }

    /// Has it looked for those who escaped, for all of these.
    pub(super) fn look(&mut self, all: Vec<Search>) {
        self.hand_over(Work::Look(all));
    }

    fn hand_over(&mut self, work: Work) {
        // One more thread is a help, not a need: if there is none to be had, the first does the work.
        if self.threads.len() < self.limit && self.shared.idle.load(Ordering::Acquire) <= 0 {
            if let Err(error) = self.add_thread() {
                logging::write(Level::Warn, format_args!("start one more spawner thread: {error}"));
            }
        }
        if let Some(waiting) = &self.work {
            // The receiver lives in `shared`, so the channel is open.
            let _ = waiting.send(work);
        }
    }

    fn add_thread(&mut self) -> io::Result<()> {
        let tools = Tools { stack: ChildStack::new()?, streams: StandardStreams::new()? };
        let shared = self.shared.clone();
        let name = format!("proxy-spawner-{}", self.threads.len() + 1);
        self.threads.push(thread::start(&name, move || shared.run(tools))?);
        // Counted here and not by the thread: until it runs, the job that it was started for is its own.
        self.shared.idle.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }
}

/// Ends the threads once the jobs are done. Also when the supervisor thread cannot be had that was to give them some: a
/// thread that is left behind would run on in a library that its host has unloaded.
impl Drop for Spawners {
    fn drop(&mut self) {
        self.work = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has been logged by the panic hook.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self, mut tools: Tools) {
        while let Ok(work) = self.waiting.recv() {
            self.idle.fetch_sub(1, Ordering::AcqRel);
            fail::point("job:taken");
            match work {
                Work::Job(job) => self.do_job(job, &mut tools),
                Work::Look(all) => self.look(all),
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
        let watch = matches!(done, Done::Started { .. } | Done::Adopted { .. });
        // ORDER: the supervisor must hear of the start before it can hear of the exit.
        self.mailbox.send(Message::Done { key, spec, done });
        fail::point("job:told");
        if watch {
            self.reaper.watch(key);
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

    fn look(&self, all: Vec<Search>) {
        let of_others = all.iter().any(|search| search.of_others);
        let look = caught(|| self.spare.lend(|| Look::at_all_but(&self.reaper.leaders(), of_others)));
        for Search { key, spec, badge, .. } in all {
            let found = match &look {
                Ok(look) => caught(|| look.with(&badge)),
                Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
            };
            self.mailbox.send(Message::Done { key, spec, done: Done::Searched(found) });
            fail::point("job:told");
        }
        self.mailbox.send(Message::Looked);
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
