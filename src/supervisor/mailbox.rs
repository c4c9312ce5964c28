//! What the supervisor thread is told: by the handles that users have, by the spawners and by the reaper.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::Sender;

use super::escaped::Sighting;
use super::spec::Spec;
use super::status::ProxyStatus;
use crate::error::{Error, Result};
use crate::store::Record;
use crate::store::entry::KnownProcess;
use crate::sys::identity::{Identity, Pid};
use crate::sys::wait::ExitStatus;

/// Names a process among all that are waited for; never used twice.
pub(super) type ProcessKey = u64;

/// Not a process but the wakeup of the reaper.
pub(super) const WAKEUP: ProcessKey = 0;

/// A key that no process had before, in any supervisor of this program.
pub(super) fn new_key() -> ProcessKey {
    static NEXT: AtomicU64 = AtomicU64::new(WAKEUP + 1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

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

/// How a process comes to be.
#[derive(Debug)]
pub(crate) enum Origin {
    /// It is started.
    New,
    /// It may live already.
    Claimed {
        claim: Claim,
        /// Start it when it is gone; else it stays idle until it is started.
        start_if_gone: bool,
        /// It is of another declaration: it is stopped, and started anew from this one.
        outdated: bool,
    },
}

/// What is said of a process that may live.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Claim {
    /// By a record of this data directory, with the token that the process has.
    Recorded { identity: Identity, token: Option<String> },
    /// By a snapshot from elsewhere: a record is written once it is proven.
    Told(Identity),
    /// By a number alone: of a snapshot of Consul, or of a pid file whose record cannot be read. What the process
    /// carries has to prove it.
    Number {
        pid: Pid,
        /// Whether it runs what is declared, as far as its command tells; else its record must not say so.
        as_declared: bool,
    },
}

impl Record {
    /// What the record says of its process.
    pub(crate) fn into_claim(self) -> Claim {
        Claim::Recorded { identity: self.identity, token: self.token }
    }
}

/// Why a process was not adopted.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) reason: String,
    /// Whether the process is certainly gone. If not, it may live, and must be neither doubled nor signalled.
    pub(super) gone: bool,
}

/// Living processes, by the id of their proxy.
pub(crate) type Processes = Vec<(Arc<str>, KnownProcess)>;

/// A message of a handle.
#[derive(Debug)]
pub(crate) enum Command {
    /// This process should run. What there is under this slot becomes it: a process of another declaration is
    /// replaced, one that is just being stopped is started again when it is gone.
    Put { slot: Slot, spec: Arc<Spec>, origin: Origin, started: Option<Sender<Result<()>>> },
    /// The settings changed, and nothing that the process can see. `record`: and its record says something else then;
    /// dropped when that is written.
    Update { slot: Slot, spec: Arc<Spec>, record: Option<Sender<()>> },
    /// The process should be gone, and with `forget` its slot as well. Every stop is answered.
    Stop { slot: Slot, forget: bool, stopped: Option<Sender<StopReply>> },
    /// All processes of the owner run on unsupervised. Answered when nothing is in flight any more.
    Release { owner: Owner, released: Sender<()> },
    /// Files of the owner may have been removed: what is not recorded any more is recorded again.
    RecordMissing { owner: Owner },
    /// What the processes of the owner are doing, in any order.
    Status { owner: Owner, reply: Sender<Vec<ProxyStatus>> },
    /// The living processes of the owner.
    Processes { owner: Owner, reply: Sender<Result<Processes>> },
    /// An earlier supervisor left children behind.
    ReapLeftBehind,
    /// The last handle is gone.
    Shutdown,
}

/// How a job ended.
#[derive(Debug)]
pub(super) enum Done {
    /// And whether the pid file could be written, here and below.
    Started {
        pid: Pid,
        written: Result<()>,
    },
    StartFailed {
        error: Error,
        hopeless: bool,
    },
    Adopted {
        pid: Pid,
        written: Result<()>,
    },
    Refused(Refusal),
    Recorded(Result<()>),
    PidFile(Pid, Result<()>),
    CleanedUp(Result<()>),
    /// Those who had left the group of a process that is gone.
    Searched(std::io::Result<Sighting>),
}

/// Everything that arrives.
#[derive(Debug)]
pub(super) enum Message {
    Command(Command),
    Done { key: ProcessKey, spec: Arc<Spec>, done: Done },
    Exited { key: ProcessKey, pid: Pid, status: ExitStatus, group_left: bool },
}

/// The error of a handle whose supervisor thread is gone.
pub(super) fn gone() -> Error {
    Error::new(crate::ErrorCode::Internal, "the supervisor thread has ended")
}
