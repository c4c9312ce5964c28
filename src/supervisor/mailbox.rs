// SPDX-License-Identifier: MPL-2.0
//! The messages of handles and spawners to the supervisor thread, and the queue that they go through.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use super::adoption::claim::{Claim, Refusal};
use super::command_run::CommandRun;
use super::process_key::ProcessKey;
use super::reaper::Reaper;
use super::reaper::process::Process;
use super::removed_logs::RemovedLogs;
use super::scan::process_scan::ScanResult;
use super::scan::stalled_scan::ScanProgress;
use super::spec::Spec;
use super::state_waiters::StateWaiter;
use super::status::{LogSizes, ProxyStatus};
use crate::error::{Error, Result};
use crate::lifecycle::start_numbers::StartNumbers;
use crate::store::file_place::FilePlace;
use crate::store::snapshot_entry::KnownProcess;
use crate::store::{DataDir, RecordedEnd, RecordedStop};
use crate::sys::notify_socket::{NotifySocket, SocketName};
use crate::sys::pid::Pid;
use crate::sys::proc::port_holder::{PortHolder, TakenAddress};
use crate::sys::process_identity::Identity;
use crate::sys::report_pipe::ReportReader;
use crate::sys::signal::Signal;

/// Who processes belong to: a manager, or a daemon alone.
pub(crate) type Owner = u64;

/// A supervised process: its owner, and its id there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Slot {
    pub(crate) owner: Owner,
    pub(crate) id: Arc<str>,
}

/// The answer to a stop: the slot, and what is left of it if anything is.
pub(crate) type StopReply = (Slot, Result<()>);

/// A caller that waits for a stop.
#[derive(Debug, Clone)]
pub(crate) enum StopWaiter {
    /// For the answer, whatever it is.
    Answer(Sender<StopReply>),
    /// For all of many to be over: only a failure is worth waking up for.
    Failure(Sender<StopReply>),
    /// For the answer of both generations of a proxy, as one: the first of the two is kept here.
    Both(Arc<(StopWaiter, Mutex<Option<Result<()>>>)>),
}

impl StopWaiter {
    /// The same caller, who waits for two generations.
    pub(crate) fn of_both(self) -> StopWaiter {
        StopWaiter::Both(Arc::new((self, Mutex::new(None))))
    }

    pub(crate) fn answer(&self, slot: &Slot, result: &Result<()>) {
        match self {
            StopWaiter::Failure(_) if result.is_ok() => {}
            // The caller may be gone.
            StopWaiter::Answer(waiter) | StopWaiter::Failure(waiter) => {
                let _ = waiter.send((slot.clone(), result.clone()));
            }
            StopWaiter::Both(both) => {
                let (waiter, kept) = &**both;
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                match kept.take() {
                    Some(first) => waiter.answer(slot, &first.and(result.clone())),
                    None => *kept = Some(result.clone()),
                }
            }
        }
    }
}

/// How a process comes to be.
#[derive(Debug)]
pub(crate) enum StartMode {
    /// It is started, unless it runs already as declared, or has and rests since.
    New,
    /// It is started, unless it runs already as declared: a caller asks for it.
    Asked,
    /// It is started, in place of whatever runs.
    Anew,
    /// It may live already.
    Claimed {
        claim: Box<Claim>,
        /// Start it when it is gone; else it stays idle until it is started.
        start_if_gone: bool,
        /// It is of another declaration: it is stopped, and started anew from this one.
        outdated: bool,
        /// How a process of that other declaration is stopped, where it is known.
        stop: Option<Box<RecordedStop>>,
        /// The other generations of it that may live: an earlier agent was about to hand over.
        others: Vec<OtherClaim>,
    },
}

/// A generation of a proxy that is not its current one.
#[derive(Debug)]
pub(crate) struct OtherClaim {
    pub(crate) place: FilePlace,
    pub(crate) claim: Claim,
    pub(crate) stop: RecordedStop,
    /// Whether it is of what is declared.
    pub(crate) as_declared: bool,
}

/// Living processes, by the id of their proxy.
pub(crate) type Processes = Vec<(Arc<str>, KnownProcess)>;

/// A message of a handle.
#[derive(Debug)]
pub(crate) enum SupervisorCommand {
    /// This process should run. What there is under this slot becomes it: a process of another declaration is
    /// replaced, one that is just being stopped is started again when it is gone.
    Put { slot: Slot, spec: Arc<Spec>, start: StartMode, started: Option<Sender<Result<()>>> },
    /// The settings changed, and nothing that the process can see. `record`: and its record says something else then;
    /// dropped when that is written.
    Update { slot: Slot, spec: Arc<Spec>, record: Option<Sender<()>> },
    /// A caller steers the proxy. Answered when that has begun.
    Steer { slot: Slot, what: Steering, reply: Sender<Result<()>> },
    /// This signal is for the leader, and for no other process of its group. Answered when it is sent.
    Signal { slot: Slot, signal: Signal, reply: Sender<Result<()>> },
    /// The leader should reload its configuration. Answered when that has begun, or with what the caller has to do for it.
    Reload { slot: Slot, reply: Sender<Result<BegunReload>> },
    /// A caller waits for a state. Answered when the waiter is with the process, or dropped because there is no such slot.
    Await { slot: Slot, waiter: StateWaiter, reply: Sender<()> },
    /// The process should be gone, and with `forget` its slot as well. Every stop is answered.
    Stop { slot: Slot, forget: bool, stopped: Option<Sender<StopReply>> },
    /// All processes of the owner should be gone, and their slots. What is left of one is reported; the channel closes when
    /// that is all.
    StopAll { owner: Owner, left: Sender<StopReply> },
    /// What is being ended of the owner's processes gets SIGKILL now.
    EndGrace { owner: Owner },
    /// All processes of the owner run on unsupervised. Answered when nothing is in flight any more.
    Release { owner: Owner, released: Sender<()> },
    /// Files of the owner may have been removed: what is not recorded any more is recorded again.
    RecordMissing { owner: Owner },
    /// What the processes of the owner are doing, in any order.
    Status { owner: Owner, reply: Sender<Vec<ProxyStatus>> },
    /// What one proxy is doing, if there is such a slot.
    StatusOf { slot: Slot, reply: Sender<Option<ProxyStatus>> },
    /// What is wrong with a data directory, if anything is.
    LookAt { data_dir: Arc<DataDir>, reply: Sender<Option<Error>> },
    /// How large the logs of these are.
    MeasureLogs { all: Arc<Vec<ProxyStatus>>, reply: Sender<Vec<LogSizes>> },
    /// All that an earlier agent has left has a slot, or other logs of removed proxies may stay than before.
    SweepLogs(Arc<RemovedLogs>),
    /// The living processes of the owner.
    Processes { owner: Owner, reply: Sender<Result<Processes>> },
    /// An earlier supervisor left children behind.
    ReapLeftBehind,
    /// The last handle is gone.
    Shutdown,
}

/// What a caller wants of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Steering {
    /// That its process runs anew from the same declaration, or at once if it waits for its next start.
    Restart,
    /// That what it waits for, or has failed for, is tried now.
    Retry,
    /// That its crashes are forgotten.
    ResetCrashes,
}

/// A reload that was asked for.
#[derive(Debug)]
pub(crate) enum BegunReload {
    /// Its signal is sent.
    Signalled,
    /// Its signal is sent, and here the answer comes that the process has confirmed it; none when the process is not supervised
    /// any more.
    Awaited(Receiver<Result<()>>),
    /// The command that does it, which is for the caller to run, and how long it may take.
    Command(CommandRun, Duration),
}

/// A process that was started.
#[derive(Debug)]
pub(crate) struct StartedProcess {
    pub(crate) pid: Pid,
    pub(crate) numbers: StartNumbers,
    /// Whether the pid file could be written.
    pub(crate) written: Result<()>,
    /// Of one that is detached, and so no child of ours: what it is known by when it is gone.
    pub(crate) claim: Option<Box<Claim>>,
    /// Where in its log its output begins.
    pub(crate) output_begins: Option<u64>,
    /// Of one that reports when it is ready.
    pub(crate) report: Option<ReportReader>,
    /// Of one that sends notifications.
    pub(crate) notify: Option<(SocketName, NotifySocket)>,
    /// From when a thread began with the start until the program was executed.
    pub(crate) took: Duration,
    /// The cgroup of its own that it is in.
    pub(crate) cgroup: Option<Arc<Path>>,
    /// How many processes had been ended in that for want of memory.
    pub(crate) oom_kills: u64,
}

/// A process that was named as the leader, and proven to be of the proxy.
#[derive(Debug)]
pub(crate) struct NewLeader {
    pub(crate) process: Process,
    pub(crate) identity: Identity,
    /// Whether its record and its pid file could be written.
    pub(crate) written: Result<()>,
}

/// How a job ended.
#[derive(Debug)]
pub(crate) enum Done {
    Started(StartedProcess),
    StartFailed {
        error: Error,
        hopeless: bool,
    },
    /// And whether the pid file could be written.
    Adopted {
        pid: Pid,
        /// The group that it is in.
        group: Pid,
        /// The tick in which it was started, if it is known.
        since: Option<u64>,
        written: Result<()>,
        /// More than was claimed, if that was a pid alone.
        known: Option<Box<Claim>>,
        /// The first of its sockets that could not be taken over, and why.
        untaken: Option<Error>,
        /// The cgroup of its own that it is in.
        cgroup: Option<Arc<Path>>,
        /// How many processes had been ended in it for want of memory.
        oom_kills: u64,
    },
    Refused(Refusal),
    /// A command was started, or could not be.
    Run {
        command: ProcessKey,
        started: Result<()>,
    },
    Recorded(Result<()>),
    /// Whether this cgroup has the limits that were declared.
    Limited(Option<Arc<Path>>, Result<()>),
    /// Whether a process could be started, as far as that can be known.
    Foreseen(Result<()>),
    PidFile(Pid, Result<()>),
    PidFileRemoved(Result<()>),
    /// The process that was named as the leader is of the proxy, or why it is refused.
    LeaderNamed(std::result::Result<NewLeader, String>),
    /// The record says how the process has ended.
    EndRecorded(RecordedEnd, Result<()>),
    CleanedUp(Result<()>),
    CleanedUpButRecord(Result<()>),
    /// The files of the next generation have taken the place of those of the current one.
    Promoted(Result<()>),
}

/// What a process has said before it ended.
#[derive(Debug, Default)]
pub(crate) struct LastWords {
    /// The last lines of its standard error.
    pub(crate) lines: Vec<String>,
    /// The address that could not be had, and what has it.
    pub(crate) taken_address: Option<(TakenAddress, PortHolder)>,
    /// The proxy of the same owner that this is a process of: the event loop knows.
    pub(crate) taken_by: Option<Arc<str>>,
}

/// The end of a job.
#[derive(Debug)]
pub(crate) struct DoneJob {
    pub(crate) key: ProcessKey,
    pub(crate) spec: Arc<Spec>,
    pub(crate) done: Done,
    /// What the process before has said last, if that was to be read.
    pub(crate) last_words: LastWords,
}

/// Everything that arrives.
#[derive(Debug)]
pub(crate) enum Message {
    Command(SupervisorCommand),
    /// In a place of its own: it is several times as large as a command, of which there can be a million in the queue.
    Done(Box<DoneJob>),
    /// What a scan has found, for each that asked for it: the processes that left the group of its leader, which is gone.
    Scanned {
        progress: Arc<ScanProgress>,
        found: Vec<(ProcessKey, std::io::Result<ScanResult>)>,
    },
}

/// The way to the supervisor thread, which waits for messages and for processes at once: in epoll, out of which a
/// message has to wake it.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox {
    messages: Sender<Message>,
    waits: Arc<AtomicBool>,
    reaper: Arc<Reaper>,
}

impl Mailbox {
    /// Sends a message; false when the thread has ended.
    pub(crate) fn send(&self, message: Message) -> bool {
        let sent = self.messages.send(message).is_ok();
        // ORDER: the message is in the queue before `waits` is read; and the thread that is about to wait sets `waits` before
        // it reads the queue. So one of the two sees the other.
        fence(Ordering::SeqCst);
        if self.waits.swap(false, Ordering::SeqCst) {
            self.reaper.wake();
        }
        sent
    }
}

/// The supervisor thread's end of it.
#[derive(Debug)]
pub(crate) struct Inbox {
    messages: Receiver<Message>,
    waits: Arc<AtomicBool>,
    reaper: Arc<Reaper>,
}

/// The mailbox of the thread that waits for the processes of `reaper`.
pub(crate) fn mailbox(reaper: &Arc<Reaper>) -> (Mailbox, Inbox) {
    let (sender, messages) = crossbeam_channel::unbounded();
    let waits = Arc::new(AtomicBool::new(false));
    let inbox = Inbox { messages, waits: waits.clone(), reaper: reaper.clone() };
    (Mailbox { messages: sender, waits, reaper: reaper.clone() }, inbox)
}

impl Inbox {
    /// Waits for a message or for the end of a process, at most for `patience`; whose end that may be is in `ready`.
    ///
    /// ORDER: what was sent before the wait for a process began is among the messages when `ready` names the process,
    /// and has to be taken first: a start must be heard of before the exit.
    pub(crate) fn wait(&self, patience: Option<Duration>, ready: &mut Vec<ProcessKey>) {
        self.waits.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let patience = if self.messages.is_empty() { patience } else { Some(Duration::ZERO) };
        self.reaper.wait(patience, ready);
        self.waits.store(false, Ordering::SeqCst);
    }

    /// How many messages have arrived by now.
    pub(crate) fn arrived(&self) -> usize {
        self.messages.len()
    }

    /// The next message.
    pub(crate) fn take(&self) -> Option<Message> {
        self.messages.try_recv().ok()
    }
}

/// The error of a handle whose supervisor thread is gone.
pub(crate) fn gone() -> Error {
    Error::new(crate::ErrorCode::Internal, "the supervisor thread has ended")
}
