// SPDX-License-Identifier: MPL-2.0
//! The messages from handles and spawners to the supervisor thread, and their queue.

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

/// The owner of processes: a manager, or a daemon without a manager.
pub(crate) type Owner = u64;

/// A supervised process: its owner, and its id there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Slot {
    pub(crate) owner: Owner,
    pub(crate) id: Arc<str>,
}

/// The answer to a stop: the slot, and the processes that are left of it.
pub(crate) type StopReply = (Slot, Result<()>);

/// A caller that waits for a stop.
#[derive(Debug, Clone)]
pub(crate) enum StopWaiter {
    /// For the answer, whether success or failure.
    Answer(Sender<StopReply>),
    /// For many stops to be complete: only a failure wakes the caller.
    Failure(Sender<StopReply>),
    /// For the answers of both generations of a proxy, combined: the first of the two is kept here.
    Both(Arc<(StopWaiter, Mutex<Option<Result<()>>>)>),
}

impl StopWaiter {
    /// The same caller, waiting for two generations.
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

/// How a process is obtained.
#[derive(Debug)]
pub(crate) enum StartMode {
    /// It is started, unless it already runs as declared, or ran and is not started again.
    New,
    /// It is started, unless it already runs as declared: a caller requested it.
    Asked,
    /// It is started in place of a running one.
    Anew,
    /// It may already be alive.
    Claimed {
        claim: Box<Claim>,
        /// Start it if it is gone; otherwise it stays idle until it is started.
        start_if_gone: bool,
        /// It belongs to another declaration: it is stopped, and started again from this one.
        outdated: bool,
        /// How a process of that other declaration is stopped, if it is known.
        stop: Option<Box<RecordedStop>>,
        /// The other generations that may be alive: an earlier agent was in a handover.
        others: Vec<OtherClaim>,
    },
}

/// A generation of a proxy that is not the current one.
#[derive(Debug)]
pub(crate) struct OtherClaim {
    pub(crate) place: FilePlace,
    pub(crate) claim: Claim,
    pub(crate) stop: RecordedStop,
    /// Whether it belongs to the present declaration.
    pub(crate) as_declared: bool,
}

/// Living processes, by the id of their proxy.
pub(crate) type Processes = Vec<(Arc<str>, KnownProcess)>;

/// A message from a handle.
#[derive(Debug)]
pub(crate) enum SupervisorCommand {
    /// This process should run. What there is under this slot becomes it: a process of another declaration is
    /// replaced, one that is just being stopped is started again when it is gone.
    Put { slot: Slot, spec: Arc<Spec>, start: StartMode, started: Option<Sender<Result<()>>> },
    /// The settings changed, but nothing that the process can see. `record`: its record changes as well; dropped when
    /// it is written.
    Update { slot: Slot, spec: Arc<Spec>, record: Option<Sender<()>> },
    /// A caller controls the proxy. Answered when the action has begun.
    Steer { slot: Slot, what: Steering, reply: Sender<Result<()>> },
    /// Send this signal to the leader, and to no other process of its group. Answered when it is sent.
    Signal { slot: Slot, signal: Signal, reply: Sender<Result<()>> },
    /// The leader should reload its configuration. Answered when that has begun, or with what the caller must do for
    /// it.
    Reload { slot: Slot, reply: Sender<Result<BegunReload>> },
    /// A caller waits for a state. Answered when the waiter is registered, or dropped because there is no such slot.
    Await { slot: Slot, waiter: StateWaiter, reply: Sender<()> },
    /// The process should be gone, and with `forget` its slot as well. Every stop is answered.
    Stop { slot: Slot, forget: bool, stopped: Option<Sender<StopReply>> },
    /// All processes of the owner should be gone, and their slots. Processes that are left are reported; the channel is
    /// closed when the report is complete.
    StopAll { owner: Owner, left: Sender<StopReply> },
    /// Processes of the owner that are being ended get SIGKILL now.
    EndGrace { owner: Owner },
    /// All processes of the owner keep running, unsupervised. Answered when no job is in progress any more.
    Release { owner: Owner, released: Sender<()> },
    /// Files of the owner may have been removed: missing records are written again.
    RecordMissing { owner: Owner },
    /// The status of the owner's processes, in any order.
    Status { owner: Owner, reply: Sender<Vec<ProxyStatus>> },
    /// The status of one proxy, if there is such a slot.
    StatusOf { slot: Slot, reply: Sender<Option<ProxyStatus>> },
    /// The problem with a data directory, if there is one.
    LookAt { data_dir: Arc<DataDir>, reply: Sender<Option<Error>> },
    /// The sizes of these logs.
    MeasureLogs { all: Arc<Vec<ProxyStatus>>, reply: Sender<Vec<LogSizes>> },
    /// Everything that an earlier agent left has a slot now, or the number of kept logs of removed proxies has changed.
    SweepLogs(Arc<RemovedLogs>),
    /// The living processes of the owner.
    Processes { owner: Owner, reply: Sender<Result<Processes>> },
    /// An earlier supervisor left children.
    ReapLeftBehind,
    /// The last handle was dropped.
    Shutdown,
}

/// What a caller requests for a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Steering {
    /// Run its process again from the same declaration, or at once if it waits for its next start.
    Restart,
    /// Try now a start that it waits for, or that has failed.
    Retry,
    /// Forget its crashes.
    ResetCrashes,
}

/// A reload that was requested.
#[derive(Debug)]
pub(crate) enum BegunReload {
    /// Its signal is sent.
    Signalled,
    /// Its signal is sent, and the answer comes here when the process confirms it; none if the process is not
    /// supervised any more.
    Awaited(Receiver<Result<()>>),
    /// The command that reloads, which the caller must run, and its timeout.
    Command(CommandRun, Duration),
}

/// A process that was started.
#[derive(Debug)]
pub(crate) struct StartedProcess {
    pub(crate) pid: Pid,
    pub(crate) numbers: StartNumbers,
    /// Whether the pid file could be written.
    pub(crate) written: Result<()>,
    /// For a detached process, which is not a child of ours: what identifies it when it is gone.
    pub(crate) claim: Option<Box<Claim>>,
    /// Where in its log its output begins.
    pub(crate) output_begins: Option<u64>,
    /// For a process that reports when it is ready.
    pub(crate) report: Option<ReportReader>,
    /// For a process that sends notifications.
    pub(crate) notify: Option<(SocketName, NotifySocket)>,
    /// The time from the beginning of the start on a spawner thread until the program was executed.
    pub(crate) took: Duration,
    /// The cgroup of the process.
    pub(crate) cgroup: Option<Arc<Path>>,
    /// How many processes had been killed in it for lack of memory.
    pub(crate) oom_kills: u64,
}

/// A process that was named as the leader, and proven to belong to the proxy.
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
        /// More than was claimed, if the claim had only a pid.
        known: Option<Box<Claim>>,
        /// The first of its sockets that could not be taken over, and why.
        untaken: Option<Error>,
        /// The cgroup of the process.
        cgroup: Option<Arc<Path>>,
        /// How many processes had been killed in it for lack of memory.
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
    /// The process that was named as the leader belongs to the proxy, or why it is refused.
    LeaderNamed(std::result::Result<NewLeader, String>),
    /// The record says how the process ended.
    EndRecorded(RecordedEnd, Result<()>),
    CleanedUp(Result<()>),
    CleanedUpButRecord(Result<()>),
    /// The files of the next generation have replaced those of the current one.
    Promoted(Result<()>),
}

/// What a process wrote before it ended.
#[derive(Debug, Default)]
pub(crate) struct LastWords {
    /// The last lines of its standard error.
    pub(crate) lines: Vec<String>,
    /// The address that was in use, and the process that uses it.
    pub(crate) taken_address: Option<(TakenAddress, PortHolder)>,
    /// The proxy of the same owner to which this process belongs: the event loop knows it.
    pub(crate) taken_by: Option<Arc<str>>,
}

/// The end of a job.
#[derive(Debug)]
pub(crate) struct DoneJob {
    pub(crate) key: ProcessKey,
    pub(crate) spec: Arc<Spec>,
    pub(crate) done: Done,
    /// The last lines of the previous process, if they were to be read.
    pub(crate) last_words: LastWords,
}

/// Everything that arrives.
#[derive(Debug)]
pub(crate) enum Message {
    Command(SupervisorCommand),
    /// Boxed: it is several times as large as a command, of which there can be a million in the queue.
    Done(Box<DoneJob>),
    /// The result of a scan for each requester: the processes that left the group of its leader, which is gone.
    Scanned {
        progress: Arc<ScanProgress>,
        found: Vec<(ProcessKey, std::io::Result<ScanResult>)>,
    },
}

/// The way to the supervisor thread, which waits for messages and for processes at once: in epoll, out of which a
/// message must wake it.
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
    /// Waits for a message or for the end of a process, at most for `patience`; `ready` names processes that may have
    /// ended.
    ///
    /// ORDER: messages that were sent before the wait for a process began are in the queue when `ready` names the
    /// process, and must be taken first: a start must be processed before the exit.
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
