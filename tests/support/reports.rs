// SPDX-License-Identifier: MPL-2.0
//! The messages of the helper processes of one test, and the reaping of those whose parent is gone.

use std::collections::VecDeque;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::deadline::Deadline;
use super::message::{Event, Inspection, Message};
use super::process::Process;

/// A process that has taken its role.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    pub(crate) id: String,
    pub(crate) role: String,
    pub(crate) pid: u32,
    pub(crate) ppid: u32,
    /// Monotonic time of the first instruction.
    pub(crate) at_ns: u64,
    pub(crate) inspection: Option<Box<Inspection>>,
    pub(crate) process: Process,
}

/// What a message says.
#[derive(Debug)]
enum Report {
    Start(Start),
    Signal { pid: u32, name: String },
}

enum Item {
    Report(Report),
    Duplicate(String),
    Flushed,
}

/// The socket, read by a thread: a process never waits for its test.
#[derive(Debug)]
pub(crate) struct Reports {
    inbox: Mutex<Inbox>,
    control: UnixDatagram,
    adopted: Sender<Process>,
    /// Whether zombies are left for now.
    holds_zombies: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Inbox {
    items: Receiver<Item>,
    /// Came while something else was waited for.
    unread: VecDeque<Report>,
    /// All processes that ever started.
    processes: Vec<Process>,
}

/// The role of the process that a helper starts in its own group.
const GRANDCHILD: &str = "grandchild";
const FLUSH: &[u8] = b"flush";
const END: &[u8] = b"end";

impl Reports {
    /// Listens on an abstract socket. With `reap`, the processes that become children of this one because their parent
    /// was killed are reaped when they end, as an init does; the children of a library under test are not ours to take.
    pub(crate) fn listen(name: &str, reap: bool) -> Reports {
        let address = SocketAddr::from_abstract_name(name).expect("a short name");
        let socket = UnixDatagram::bind_addr(&address).expect("bind the report socket");
        let control = UnixDatagram::unbound().expect("make a socket");
        control.connect_addr(&address).expect("connect to the report socket");
        let (sender, items) = channel();
        let (adopted, adopting) = channel();
        let holds_zombies = Arc::new(AtomicBool::new(false));
        let holds = Arc::clone(&holds_zombies);
        let reader = Reader { socket, sender, adopting, alive: Vec::new(), dead: Vec::new(), reap, holds };
        let thread = std::thread::spawn(move || reader.run());
        let inbox = Inbox { items, unread: VecDeque::new(), processes: Vec::new() };
        Reports { inbox: Mutex::new(inbox), control, adopted, holds_zombies, thread: Some(thread) }
    }

    /// Whether the processes that end from now on are left as zombies, as by a careless init.
    pub(crate) fn hold_zombies(&self, hold: bool) {
        self.holds_zombies.store(hold, Ordering::SeqCst);
        // The reader has seen it when this has passed.
        self.flush();
    }

    /// Waits for the next start under this id, grandchildren left out.
    #[track_caller]
    pub(crate) fn start(&self, id: &str) -> Start {
        self.next_start(&format!("a start of {id}"), |start| start.id == id && start.role != GRANDCHILD)
    }

    /// Waits for the next start of any id.
    #[track_caller]
    pub(crate) fn any_start(&self) -> Start {
        self.next_start("a start", |start| start.role != GRANDCHILD)
    }

    /// Waits for the next start of a grandchild under this id.
    #[track_caller]
    pub(crate) fn grandchild(&self, id: &str) -> Start {
        self.next_start(&format!("a grandchild of {id}"), |start| start.id == id && start.role == GRANDCHILD)
    }

    /// Waits until this process says that it has handled a signal, and returns the signal's name.
    #[track_caller]
    pub(crate) fn signal(&self, of: &Start) -> String {
        let wanted = |report: &Report| matches!(report, Report::Signal { pid, .. } if *pid == of.pid);
        match self.next(&format!("a signal to {} ({})", of.id, of.pid), wanted) {
            Report::Signal { name, .. } => name,
            Report::Start(_) => unreachable!("a signal was wanted"),
        }
    }

    #[track_caller]
    fn next_start(&self, what: &str, wanted: impl Fn(&Start) -> bool) -> Start {
        match self.next(what, |report| matches!(report, Report::Start(start) if wanted(start))) {
            Report::Start(start) => start,
            Report::Signal { .. } => unreachable!("a start was wanted"),
        }
    }

    /// Takes the oldest report that is wanted, and keeps the others for later.
    #[track_caller]
    fn next(&self, what: &str, wanted: impl Fn(&Report) -> bool) -> Report {
        let mut inbox = self.inbox();
        let kept = inbox.unread.iter().position(&wanted);
        if let Some(report) = kept.and_then(|at| inbox.unread.remove(at)) {
            return report;
        }
        let deadline = Deadline::of(what);
        loop {
            match inbox.receive(&deadline) {
                Some(report) if wanted(&report) => return report,
                other => inbox.unread.extend(other),
            }
        }
    }

    /// Forgets all reports that were not waited for: of a process that is started over and over.
    pub(crate) fn forget_unread(&self) {
        self.flush();
        self.inbox().unread.clear();
    }

    /// Forgets the signals that were not waited for: how many a process handles before it is killed is left to chance.
    pub(crate) fn forget_signals(&self) {
        self.flush();
        self.inbox().unread.retain(|report| matches!(report, Report::Start(_)));
    }

    /// What came and was not waited for.
    pub(crate) fn unread(&self) -> Vec<String> {
        self.flush();
        self.inbox().unread.iter().map(|report| format!("{report:?}")).collect()
    }

    /// Every process that has reported, also those that were not waited for.
    pub(crate) fn processes(&self) -> Vec<Process> {
        self.flush();
        self.inbox().processes.clone()
    }

    /// The processes that were read of so far.
    pub(crate) fn known_processes(&self) -> Vec<Process> {
        self.inbox().processes.clone()
    }

    /// Has a process that is no helper reaped like those that are, should it become a child of this one.
    pub(crate) fn adopt(&self, process: &Process) {
        self.inbox().processes.push(process.clone());
        self.adopted.send(process.clone()).expect("the reader lives");
        self.flush();
    }

    /// Waits until all that was sent so far is in the inbox.
    fn flush(&self) {
        self.control.send(FLUSH).expect("the reader lives");
        let mut inbox = self.inbox();
        let deadline = Deadline::of("the reader of reports");
        while let Some(report) = inbox.receive(&deadline) {
            inbox.unread.push_back(report);
        }
    }

    fn inbox(&self) -> std::sync::MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox {
    /// Waits for a report; `None` when all is read.
    #[track_caller]
    fn receive(&mut self, deadline: &Deadline) -> Option<Report> {
        loop {
            match self.items.recv_timeout(deadline.left()) {
                Ok(Item::Report(report)) => {
                    if let Report::Start(start) = &report {
                        self.processes.push(start.process.clone());
                    }
                    return Some(report);
                }
                Ok(Item::Duplicate(message)) => panic!("{message}"),
                Ok(Item::Flushed) => return None,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => panic!("the reader of reports has ended"),
            }
        }
    }
}

impl Drop for Reports {
    fn drop(&mut self) {
        let _ = self.control.send(END);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread.
struct Reader {
    socket: UnixDatagram,
    sender: Sender<Item>,
    adopting: Receiver<Process>,
    alive: Vec<Process>,
    /// Ended, and either their parent's to reap or ours once the parent is gone too.
    dead: Vec<Process>,
    reap: bool,
    holds: Arc<AtomicBool>,
}

impl Reader {
    fn run(mut self) {
        loop {
            let fds = std::iter::once(self.socket.as_fd()).chain(self.alive.iter().map(Process::fd));
            let mut fds: Vec<_> = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
            // No event tells that a zombie was passed on to us, so it is tried now and then.
            let retry = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
            let _ = poll(&mut fds, (!self.dead.is_empty()).then_some(&retry));
            let readable = fds.first().is_some_and(|fd| !fd.revents().is_empty());
            if self.reap {
                self.alive.extend(self.adopting.try_iter());
                let (gone, alive) = self.alive.drain(..).partition(Process::is_gone);
                self.alive = alive;
                let gone: Vec<Process> = gone;
                self.dead.extend(gone);
                if !self.holds.load(Ordering::SeqCst) {
                    self.dead.retain(|process| !process.reap());
                }
            }
            if readable && !self.read() {
                return;
            }
        }
    }

    /// Reads one message; false when it is the last.
    fn read(&mut self) -> bool {
        let mut text = vec![0; 1 << 20];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(&self.socket, &mut [IoSliceMut::new(&mut text)], &mut control, RecvFlags::CMSG_CLOEXEC);
        let Ok(received) = received else { return true };
        let pidfd = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        match &text[..received.bytes] {
            END => return false,
            FLUSH => drop(self.sender.send(Item::Flushed)),
            text => self.pass_on(serde_json::from_slice(text).expect("a message of a helper"), pidfd),
        }
        true
    }

    fn pass_on(&mut self, message: Message, pidfd: Option<OwnedFd>) {
        let Message { id, role, pid, ppid, at_ns, event } = message;
        let report = match event {
            Event::Started { duplicate, inspection } => {
                let process = Process::new(pid, pidfd.expect("the pidfd of a start"));
                if self.reap {
                    self.alive.push(process.clone());
                }
                if duplicate {
                    let message = format!("DUPLICATE: process {pid} of {id} ({role}) runs beside another one");
                    drop(self.sender.send(Item::Duplicate(message)));
                }
                Report::Start(Start { id, role, pid, ppid, at_ns, inspection, process })
            }
            Event::Signal(name) => Report::Signal { pid, name },
        };
        drop(self.sender.send(Item::Report(report)));
    }
}
