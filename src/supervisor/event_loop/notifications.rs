// SPDX-License-Identifier: MPL-2.0
//! The event loop's handling of the notifications of a process: has them read, and acts on them.

use std::os::fd::OwnedFd;
use std::time::Instant;

use super::EventLoop;
use super::supervised::Supervised;
use crate::declaration::Ready;
use crate::error::{Error, ErrorCode};
use crate::lifecycle::ProxyState;
use crate::lifecycle::machine_event::MachineEvent;
use crate::logging::Level;
use crate::supervisor::adoption::claim::Claim;
use crate::supervisor::events::ProxyOccurrence;
use crate::supervisor::notifications::notice::Notice;
use crate::supervisor::notifications::{Leader, Message, Next, Notifications};
use crate::supervisor::process_key::ProcessKey;
use crate::sys::fail;
use crate::sys::notify_socket::{NotifySocket, SocketName};

/// How many notifications are read at a time, before other processes have their turn.
const BATCH: usize = 16;

impl EventLoop {
    /// The process was started, or adopted, and sends notifications to this socket.
    pub(super) fn await_notifications(&mut self, key: ProcessKey, name: SocketName, socket: NotifySocket) {
        let reaper = &self.reaper;
        if let Some(supervised) = self.slots.get_mut(&key) {
            let claimed = supervised.claim.as_deref().and_then(Claim::notifications);
            let declared = || supervised.spec.config.watchdog_period();
            let period = claimed.and_then(|claimed| claimed.watchdog_period).unwrap_or_else(declared);
            let notifications = Notifications::new((name, socket), period, Instant::now(), reaper, key);
            supervised.rare.notifications = Some(Box::new(notifications));
            self.arm_notifications(key);
        }
    }

    /// The process was adopted: if its record says to which socket it sends, that is opened again.
    pub(super) fn await_notifications_again(&mut self, key: ProcessKey) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        let Some(claimed) = supervised.claim.as_deref().and_then(Claim::notifications) else {
            return supervised.say_notifications_unheard();
        };
        let name = claimed.name;
        match NotifySocket::bind(name) {
            Ok(socket) => self.await_notifications(key, name, socket),
            Err(error) => {
                let error = Error::os(ErrorCode::Io, format_args!("open {name} for its notifications again"), &error);
                supervised.spec.context.log.about(Level::Warn, &supervised.slot.id, format_args!("{error}"));
                supervised.rare.last_error = Some(error);
            }
        }
    }

    /// Reads some of what has come, and does what it says; true when that was all.
    pub(super) fn read_notifications(&mut self, key: ProcessKey) -> bool {
        let was_all = self.read_batch(key);
        self.arm_notifications(key);
        was_all
    }

    /// One is followed before the next is read: an event does not wait for that, and the descriptors of one are stored or closed
    /// before those of the next are there, of which each can have 253.
    fn read_batch(&mut self, key: ProcessKey) -> bool {
        for _ in 0..BATCH {
            let Some(supervised) = self.slots.get_mut(&key) else { return true };
            match supervised.next_notification() {
                Next::Message(Message { notices, mut descriptors }) => {
                    for notice in notices {
                        fail::point("notify:read");
                        self.follow(key, &notice, &mut descriptors);
                        self.tell_reloads(key, &notice);
                    }
                }
                Next::Refused => {}
                Next::Nothing => return true,
                Next::Paused => return false,
            }
        }
        false
    }

    /// The same for everything that has arrived; false while some of it cannot be read.
    pub(super) fn read_all_notifications(&mut self, key: ProcessKey) -> bool {
        loop {
            let was_all = self.read_notifications(key);
            let notifications = self.slots.get(&key).and_then(|supervised| supervised.rare.notifications.as_ref());
            if was_all || notifications.is_none_or(|notifications| notifications.paused_until().is_some()) {
                return was_all;
            }
        }
    }

    fn follow(&mut self, key: ProcessKey, notice: &Notice, descriptors: &mut Vec<OwnedFd>) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        let Some(notifications) = supervised.rare.notifications.as_mut() else { return };
        let is_new = notifications.begins(notice);
        let (id, context) = (&supervised.slot.id, &supervised.spec.context);
        match notice {
            Notice::Ready if supervised.machine.awaits_ready() => {
                if supervised.is_ready_by_notification() {
                    self.drive(key, MachineEvent::Ready);
                }
            }
            Notice::Ready if is_new && supervised.machine.state() == ProxyState::Running => {
                context
                    .publisher
                    .of_proxy(id, ProxyOccurrence::Ready { generation: supervised.numbers.generation, after: None });
            }
            Notice::Ready => {}
            Notice::Reloading(_) if is_new => context.log.about(Level::Info, id, format_args!("says that it reloads")),
            Notice::Stopping if is_new => context.log.about(Level::Info, id, format_args!("says that it stops")),
            Notice::Reloading(_) | Notice::Stopping => {}
            Notice::Status(text) => notifications.set_status_text(text.clone()),
            Notice::Errno(errno) => {
                let error = std::io::Error::from_raw_os_error(*errno);
                let error = Error::os(ErrorCode::Io, "reported by the process", &error);
                if supervised.rare.last_error.as_ref().is_none_or(|said| said.to_string() != error.to_string()) {
                    context.log.about(Level::Warn, id, format_args!("{error}"));
                    supervised.rare.last_error = Some(error);
                }
            }
            Notice::ExtendTimeout(by) => {
                notifications.watchdog.pause(*by, Instant::now());
                self.drive(key, MachineEvent::MoreTime { by: *by });
            }
            Notice::StoreDescriptors(name) => self.store_descriptors(key, name, std::mem::take(descriptors)),
            Notice::RemoveStored(name) => self.remove_stored(key, name),
            Notice::Alive => notifications.watchdog.feed(Instant::now()),
            Notice::ExpireWatchdog => {
                self.expire_watchdog(key, "triggered by the process with WATCHDOG=trigger".to_owned());
            }
            Notice::WatchdogPeriod(period) => self.change_watchdog_period(key, *period),
            Notice::Leader(named) => self.name_leader(key, *named),
        }
    }

    /// Waits for notifications again, if there was a pause that is over.
    pub(super) fn resume_notifications(&mut self, key: ProcessKey, now: Instant) {
        let reaper = &self.reaper;
        let has_any = |supervised: &&mut Box<Supervised>| supervised.rare.notifications.is_some();
        let Some(supervised) = self.slots.get_mut(&key).filter(has_any) else { return };
        if let Some(notifications) = supervised.rare.notifications.as_mut().filter(|it| it.paused_until().is_some()) {
            notifications.resume(now, reaper, key);
            self.arm_notifications(key);
        }
    }

    fn arm_notifications(&mut self, key: ProcessKey) {
        let notifications = self.slots.get(&key).and_then(|supervised| supervised.rare.notifications.as_ref());
        if let Some(until) = notifications.and_then(|notifications| notifications.paused_until()) {
            self.timers.arm(until, key);
        }
    }
}

impl Supervised {
    fn next_notification(&mut self) -> Next {
        let declared_uid = self.spec.known_uid();
        let leader = self.pid.map(|pid| Leader { pid, group: self.group.unwrap_or(pid), declared_uid });
        let Some((notifications, leader)) = self.rare.notifications.as_mut().zip(leader) else { return Next::Nothing };
        let (next, complaint) = notifications.next(leader, Instant::now());
        if let Some(complaint) = complaint {
            self.spec.context.log.about(Level::Warn, &self.slot.id, format_args!("{complaint}"));
        }
        next
    }

    /// Says what is wrong with its notifications, as seldom as the rest of that is said.
    pub(super) fn complain(&mut self, wrong: &str) {
        let complaint = self.rare.notifications.as_mut().and_then(|it| it.complain(wrong, Instant::now()));
        if let Some(complaint) = complaint {
            self.spec.context.log.about(Level::Warn, &self.slot.id, format_args!("{complaint}"));
        }
    }

    /// As of a process that was taken over by a snapshot.
    fn say_notifications_unheard(&self) {
        if self.spec.config.takes_notifications() {
            let what = format_args!("its notifications are not heard: no record says to which socket it sends them");
            self.spec.context.log.about(Level::Warn, &self.slot.id, what);
        }
    }

    /// Whether it is ready once it says so by a notification.
    pub(super) fn is_ready_by_notification(&self) -> bool {
        self.spec.config.ready == Ready::Notify
    }
}
