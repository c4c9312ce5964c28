// SPDX-License-Identifier: MPL-2.0
//! A proxy that is declared but must not run: its processes are stopped like those of a removed proxy, and its slot
//! stays.

use std::sync::Arc;

use super::EventLoop;
use super::supervised::Supervised;
use crate::lifecycle::machine_event::MachineEvent;
use crate::supervisor::mailbox::{Slot, StartMode};
use crate::supervisor::process_key::ProcessKey;
use crate::supervisor::spec::Spec;

impl EventLoop {
    /// Has no process of this declaration run. One that an earlier agent may have left is identified first, whatever it is of,
    /// and stopped.
    pub(super) fn put_paused(&mut self, slot: Slot, spec: &Arc<Spec>, start: StartMode) {
        if let StartMode::Claimed { claim, others, .. } = start {
            let start = StartMode::Claimed { claim, start_if_gone: false, outdated: false, stop: None, others };
            self.put(slot.clone(), spec.clone(), start, None);
        }
        let key = self.keys.get_or_draw(&slot);
        self.slots.entry(key).or_insert_with(|| Box::new(Supervised::new(slot, key, spec.clone())));
        for key in self.generations_of(key) {
            if let Some(supervised) = self.slots.get_mut(&key) {
                supervised.spec = spec.at(supervised.spec.place);
            }
        }
        self.follow_in_handover(key, spec);
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        supervised.forget = false;
        if supervised.machine.is_idle() {
            supervised.tell_state_waiters();
            return;
        }
        self.stop_slot(key, false, None);
        // What is being stopped is under the new settings.
        self.drive(key, MachineEvent::Settings);
    }

    /// It is to run again, and has all of its attempts.
    pub(super) fn resume(&mut self, key: ProcessKey, slot: Slot, spec: Arc<Spec>) {
        self.put(slot, spec, StartMode::New, None);
        self.drive(key, MachineEvent::ResetCrashes);
    }
}
