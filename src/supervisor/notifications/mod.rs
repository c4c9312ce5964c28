// SPDX-License-Identifier: MPL-2.0
//! The notifications of one process (sd_notify(3)): its socket, and what it has reported so far. The event loop decides
//! what that causes.

mod budget;
pub(crate) mod notice;
pub(crate) mod reloads;
mod sender;

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::process_key::{ProcessKey, notifications_of};
use super::reaper::Reaper;
use super::reaper::awaited_descriptor::AwaitedDescriptor;
use crate::lifecycle::watchdog::Watchdog;
use crate::sys::fail;
use crate::sys::notify_socket::{NotifySocket, SocketName};
use crate::sys::pid::Pid;
use budget::Budget;
use notice::{Notice, notices};
use reloads::AwaitedReloads;
pub(crate) use sender::Leader;

/// How many are read in a second. A process that sends more waits until they are read, or its notifications are refused by
/// the kernel, as it has asked for (unix(7)): it cannot keep the agent busy.
const MOST_A_SECOND: u32 = 100;

/// How often it is logged that notifications are refused or cannot be read.
const COMPLAINTS: Duration = Duration::from_secs(60);

/// What a process does, as far as it says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Activity {
    Serving,
    Reloading,
    Stopping,
}

/// The socket of a process, and what it has said.
#[derive(Debug)]
pub(crate) struct Notifications {
    name: SocketName,
    socket: Arc<NotifySocket>,
    attention: Attention,
    budget: Budget,
    complaints: Budget,
    activity: Activity,
    status_text: Option<Box<str>>,
    /// Led before: what it says of itself is not of the proxy any more.
    former_leader: Option<Pid>,
    pub(crate) watchdog: Watchdog,
    pub(crate) reloads: AwaitedReloads,
}

/// Whether the socket is waited for.
#[derive(Debug)]
enum Attention {
    Awaited {
        _until_dropped: AwaitedDescriptor<Arc<NotifySocket>>,
    },
    /// Too much has come, or the kernel has no memory for the wait: it is waited for again from this time on.
    Paused(Instant),
}

/// What comes next of the notifications.
#[derive(Debug)]
pub(crate) enum Next {
    Message(Message),
    /// One that is not followed.
    Refused,
    /// There is none.
    Nothing,
    /// None is read for a while.
    Paused,
}

/// What one message says, and the descriptors that are to be stored.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) notices: Vec<Notice>,
    pub(crate) descriptors: Vec<OwnedFd>,
}

impl Notifications {
    pub(crate) fn new(
        (name, socket): (SocketName, NotifySocket),
        watchdog_period: Duration,
        now: Instant,
        reaper: &Arc<Reaper>,
        key: ProcessKey,
    ) -> Notifications {
        let mut it = Notifications {
            name,
            socket: Arc::new(socket),
            attention: Attention::Paused(now),
            budget: Budget::new(MOST_A_SECOND, Duration::from_secs(1)),
            complaints: Budget::new(1, COMPLAINTS),
            activity: Activity::Serving,
            status_text: None,
            former_leader: None,
            watchdog: Watchdog::new(watchdog_period),
            reloads: AwaitedReloads::default(),
        };
        it.resume(now, reaper, key);
        it
    }

    /// The name of the socket.
    pub(crate) fn name(&self) -> SocketName {
        self.name
    }

    /// Until when nothing is read.
    pub(crate) fn paused_until(&self) -> Option<Instant> {
        match self.attention {
            Attention::Awaited { .. } => None,
            Attention::Paused(until) => Some(until),
        }
    }

    /// When something of it is to be done.
    pub(crate) fn deadlines(&self) -> [Option<Instant>; 3] {
        [self.paused_until(), self.watchdog.due(), self.reloads.due()]
    }

    /// Waits for notifications again, if the pause is over.
    pub(crate) fn resume(&mut self, now: Instant, reaper: &Arc<Reaper>, key: ProcessKey) {
        if self.paused_until().is_some_and(|until| until <= now) {
            self.attention = match AwaitedDescriptor::readable(self.socket.clone(), reaper, notifications_of(key)) {
                Ok(awaited) => Attention::Awaited { _until_dropped: awaited },
                Err(_) => Attention::Paused(now + Duration::from_secs(1)),
            };
        }
    }

    /// Reads the next notification, and says why it was not taken, if that is to be logged now.
    pub(crate) fn next(&mut self, leader: Leader, now: Instant) -> (Next, Option<String>) {
        if let Err(until) = self.budget.take(now) {
            self.attention = Attention::Paused(until);
            return (Next::Paused, None);
        }
        let datagram = match fail::failing("notify:receive").and_then(|()| self.socket.receive()) {
            Ok(None) => return (Next::Nothing, None),
            Ok(Some(datagram)) => datagram,
            Err(error) => {
                // It would be readable for ever.
                self.attention = Attention::Paused(now + Duration::from_secs(1));
                return (Next::Paused, self.complain(&format!("cannot be read: {error}"), now));
            }
        };
        let sender = match &datagram.sender {
            Some(sender) if leader.has_sent(sender) => sender.pid,
            sender => {
                let pid = sender.as_ref().and_then(|sender| sender.pid);
                let uid = sender.as_ref().map(|sender| format!(", user {}", sender.uid)).unwrap_or_default();
                let pid = pid.map_or("a process that is not known".to_owned(), |pid| format!("pid {pid}"));
                let wrong = format!("one from {pid}{uid} was refused: the process does not belong to this proxy");
                return (Next::Refused, self.complain(&wrong, now));
            }
        };
        if datagram.is_truncated {
            return (Next::Refused, self.complain("one of more than 4096 bytes was not read", now));
        }
        let is_former = sender.is_some() && sender == self.former_leader;
        let counts = |notice: &Notice| !is_former || matches!(notice, Notice::Leader(_));
        let notices: Vec<Notice> = notices(&datagram.text).into_iter().filter(counts).collect();
        let stores = notices.iter().any(|it| matches!(it, Notice::StoreDescriptors(_)));
        let lost = (stores && datagram.lost_descriptors)
            .then_some("some descriptors that came with one were lost: this process can have no more");
        let complaint = lost.and_then(|lost| self.complain(lost, now));
        // Those of a barrier are closed.
        let descriptors = if stores { datagram.descriptors } else { Vec::new() };
        (Next::Message(Message { notices, descriptors }), complaint)
    }

    /// Another process leads in place of this one.
    pub(crate) fn leader_changed(&mut self, former: Pid) {
        self.former_leader = Some(former);
    }

    /// That a notification was not followed, if it is to be logged now.
    pub(crate) fn complain(&mut self, wrong: &str, now: Instant) -> Option<String> {
        let complaint = format!("notifications to {}: {wrong}", self.name);
        self.complaints.take(now).ok().map(|()| complaint)
    }

    /// Takes note of what the process is doing; whether it was doing something else.
    pub(crate) fn begins(&mut self, notice: &Notice) -> bool {
        let activity = match notice {
            Notice::Ready => Activity::Serving,
            Notice::Reloading(_) => Activity::Reloading,
            Notice::Stopping => Activity::Stopping,
            Notice::Status(_)
            | Notice::StoreDescriptors(_)
            | Notice::RemoveStored(_)
            | Notice::Errno(_)
            | Notice::ExtendTimeout(_)
            | Notice::Alive
            | Notice::ExpireWatchdog
            | Notice::WatchdogPeriod(_)
            | Notice::Leader(_) => return false,
        };
        std::mem::replace(&mut self.activity, activity) != activity
    }

    /// Whether it has not said that it reloads or stops.
    pub(crate) fn serves(&self) -> bool {
        self.activity == Activity::Serving
    }

    /// What it says of itself.
    pub(crate) fn status_text(&self) -> Option<&str> {
        self.status_text.as_deref()
    }

    pub(crate) fn set_status_text(&mut self, text: String) {
        self.status_text = Some(text.into_boxed_str()).filter(|text| !text.is_empty());
    }

    /// Why it is not ready.
    pub(crate) fn why_not(&self) -> String {
        format!("no READY=1 to {}{}", self.name, self.status_in_words())
    }

    /// What it says of itself, to be added to a reason.
    pub(crate) fn status_in_words(&self) -> String {
        let status = self.status_text.as_ref().map(|text| format!("; its status is \"{}\"", text.escape_debug()));
        status.unwrap_or_default()
    }
}
