// SPDX-License-Identifier: MPL-2.0
//! Promoting a next generation: its files replace those of the current one, and the id refers to it.

use std::time::Instant;

use super::super::EventLoop;
use super::super::repair::repair_wait;
use super::super::supervised::Supervised;
use crate::error::Result;
use crate::lifecycle::ProxyState;
use crate::lifecycle::handover::HandoverEvent;
use crate::lifecycle::machine_event::MachineEvent;
use crate::logging::Level;
use crate::store::file_place::FilePlace;
use crate::supervisor::process_key::ProcessKey;
use crate::supervisor::spawner::job::Job;
use crate::sys::fail;

impl EventLoop {
    /// Has the files of the two exchanged, when no job of either is being done: each writes to its own by their names.
    pub(crate) fn exchange_if_due(&mut self, key: ProcessKey) {
        let current = self.holder_of(key);
        let Some(supervised) = self.slots.get(&current) else { return };
        let Some(ongoing) = supervised.rare.handover.as_ref().filter(|ongoing| ongoing.exchange_due) else { return };
        let (other, spec) = (ongoing.other, supervised.spec.clone());
        let Some(next) = self.slots.get(&other) else { return };
        if supervised.busy || next.busy || supervised.rare.released.is_some() {
            return;
        }
        let (may_be, pid) = (supervised.may_be_succeeded_by(next), next.pid);
        for key in [current, other] {
            if let Some(it) = self.slots.get_mut(&key) {
                it.busy = may_be;
                if let Some(ongoing) = it.rare.handover.as_mut() {
                    ongoing.exchange_due = false;
                }
            }
        }
        if may_be {
            self.spawners.submit(Job::Promote { key: current, spec, pid });
        } else {
            // It has ended since.
            self.hand_over(current, HandoverEvent::NotPromoted);
        }
    }

    /// Tries an exchange that has failed again, when its time has come.
    pub(crate) fn exchange_again(&mut self, key: ProcessKey, now: Instant) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        let Some(ongoing) = supervised.rare.handover.as_mut() else { return };
        if ongoing.exchange_again_at.take_if(|at| *at <= now).is_none() {
            return;
        }
        let other = ongoing.other;
        let next = self.slots.get(&other).zip(self.slots.get(&key));
        if next.is_some_and(|(next, current)| current.may_be_succeeded_by(next)) {
            self.hand_over(key, HandoverEvent::NextReady);
        }
    }

    /// The files of the two were exchanged, or could not be: then that is tried again.
    pub(crate) fn exchanged(&mut self, key: ProcessKey, result: Result<()>) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        let at = result.is_err().then(|| Instant::now() + repair_wait(supervised.rare.failures));
        let Some(ongoing) = supervised.rare.handover.as_mut() else { return };
        let other = ongoing.other;
        ongoing.exchange_again_at = at;
        if let Err(error) = result {
            supervised.spec.context.log.about(Level::Error, &supervised.slot.id, format_args!("{error}"));
            supervised.rare.last_error = Some(error);
            supervised.rare.failures = supervised.rare.failures.saturating_add(1);
        } else if supervised.rare.failures != 0 {
            supervised.rare.failures = 0;
        }
        if let Some(next) = self.slots.get_mut(&other) {
            next.busy = false;
        }
        if let Some(at) = at {
            self.timers.arm(at, key);
            self.hand_over(key, HandoverEvent::NotPromoted);
            return self.next_job(other);
        }
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        let Some(mut ongoing) = supervised.rare.handover.take() else { return };
        supervised.spec.context.publisher.counters().count_handover();
        supervised.rare.partner = Some(other);
        supervised.take_place(FilePlace::Predecessor);
        let (slot, starts, last_end) = (supervised.slot.clone(), supervised.starts, supervised.end.clone());
        let state_waiters = std::mem::take(&mut supervised.rare.state_waiters);
        // Stopped meanwhile: whether the slot of the id is to stay is known of the one that had it.
        let forget = ongoing.machine.is_ending().then(|| std::mem::replace(&mut supervised.forget, true));
        ongoing.other = key;
        if let Some(next) = self.slots.get_mut(&other) {
            next.rare.partner = None;
            next.forget = forget.unwrap_or(next.forget);
            next.take_place(FilePlace::Current);
            next.starts += starts;
            next.inherit_last_end(last_end);
            next.rare.state_waiters = state_waiters;
            next.rare.handover = Some(ongoing);
        }
        self.keys.lead_to(&slot, other);
        fail::point("handover:promoted");
        self.hand_over(other, HandoverEvent::Promoted);
        // It was to be started beside the one that has ended: now nothing else serves.
        self.drive(other, MachineEvent::Turn);
        self.next_job(other);
    }
}

impl Supervised {
    /// Whether this one may take its place: it is ready, or has done its work; or there is no process that serves.
    fn may_be_succeeded_by(&self, next: &Supervised) -> bool {
        matches!(next.machine.state(), ProxyState::Running | ProxyState::Completed) || self.pid.is_none()
    }

    /// Its process has these files from now on; so it is for what is to be done yet.
    fn take_place(&mut self, place: FilePlace) {
        let after = self.spec.at(place);
        let before = std::mem::replace(&mut self.spec, after);
        self.rare.queued.iter_mut().for_each(|job| job.take_place(place));
        if let Some(repair) = &mut self.rare.repair {
            repair.what.take_place(place, &before, &self.spec);
        }
    }
}
