// SPDX-License-Identifier: MPL-2.0
//! The event loop's handling of the watchdog of a process: it runs while the process is ready, is checked, and has a
//! process ended that was silent for too long.

use std::time::{Duration, Instant};

use super::EventLoop;
use super::supervised::Supervised;
use crate::error::{Error, ErrorCode};
use crate::lifecycle::ProxyState;
use crate::lifecycle::machine_event::MachineEvent;
use crate::supervisor::events::ProxyOccurrence;
use crate::supervisor::process_key::ProcessKey;

impl EventLoop {
    /// The state of the process, or what its watchdog knows, may have changed: it counts while the process is ready and is
    /// not told to stop.
    pub(super) fn tend_watchdog(&mut self, key: ProcessKey) {
        let has_any = |supervised: &&mut Box<Supervised>| supervised.rare.notifications.is_some();
        let Some(supervised) = self.slots.get_mut(&key).filter(has_any) else { return };
        let is_watched = supervised.machine.state() == ProxyState::Running;
        let Some(notifications) = supervised.rare.notifications.as_mut() else { return };
        notifications.watchdog.follow(is_watched, Instant::now());
        if let Some(due) = notifications.watchdog.next_timer() {
            self.timers.arm(due, key);
        }
    }

    /// Checks the watchdog, if it is time for that.
    pub(super) fn check_watchdog(&mut self, key: ProcessKey, now: Instant) {
        let due = |supervised: &Supervised| supervised.rare.notifications.as_ref()?.watchdog.due();
        let due = self.slots.get(&key).and_then(|supervised| due(supervised));
        if due.is_none_or(|due| due > now) {
            return;
        }
        // ORDER: before it is judged, what it has sent: this thread may have stood still.
        let heard = self.read_all_notifications(key);
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        let Some(notifications) = supervised.rare.notifications.as_mut() else { return };
        let period = notifications.watchdog.period();
        if notifications.watchdog.check(heard, now) {
            return self.expire_watchdog(key, format!("no message for {} ms", period.as_millis()));
        }
        self.tend_watchdog(key);
    }

    /// The process is ended as one that hangs.
    pub(super) fn expire_watchdog(&mut self, key: ProcessKey, reason: String) {
        let Some(actions) = self.step(key, MachineEvent::WatchdogExpired) else { return };
        if let Some(supervised) = self.slots.get_mut(&key).filter(|_| !actions.is_empty()) {
            supervised.announce_watchdog_expired(reason);
        }
        self.perform_all(key, actions);
    }

    /// The process has asked for another period, which the next agent has to know.
    pub(super) fn change_watchdog_period(&mut self, key: ProcessKey, period: Duration) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        let Some(notifications) = supervised.rare.notifications.as_mut() else { return };
        if notifications.watchdog.period() == period {
            return notifications.watchdog.feed(Instant::now());
        }
        notifications.watchdog.set_period(period, Instant::now());
        // One that is being replaced is not of this declaration.
        if supervised.machine.runs() {
            let job = supervised.record_job();
            self.submit(key, job);
        }
        self.tend_watchdog(key);
    }
}

impl Supervised {
    fn announce_watchdog_expired(&mut self, mut reason: String) {
        if let Some(notifications) = &self.rare.notifications {
            reason.push_str(&notifications.status_in_words());
        }
        let error = Error::new(ErrorCode::Timeout, format!("watchdog: {reason}"));
        let happened = ProxyOccurrence::WatchdogExpired { error: &error, reason, generation: self.numbers.generation };
        self.spec.context.publisher.of_proxy(&self.slot.id, happened);
        self.rare.last_error = Some(error);
    }
}
