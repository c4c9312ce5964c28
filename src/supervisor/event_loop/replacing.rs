// SPDX-License-Identifier: MPL-2.0
//! A process is stopped for another one only once it is known that this could be started, as far as that can be known; until
//! then it serves on under its own declaration. One that ends meanwhile by itself is succeeded by what is declared, as ever.

use std::sync::Arc;
use std::time::Instant;

use super::EventLoop;
use super::repair::repair_wait;
use super::replacement::Replacement;
use crate::error::Result;
use crate::lifecycle::handover::HandoverEvent;
use crate::lifecycle::machine_event::{MachineAction, MachineEvent};
use crate::supervisor::events::ProxyOccurrence;
use crate::supervisor::mailbox::Slot;
use crate::supervisor::process_key::ProcessKey;
use crate::supervisor::spawner::job::Job;
use crate::supervisor::spec::Spec;

impl EventLoop {
    /// Has the process of a slot replaced by one of this declaration, once that is known to be possible. False when there is none
    /// that runs, or it is of this declaration and not to be started anew.
    pub(super) fn replace_if_possible(&mut self, slot: &Slot, spec: &Arc<Spec>, anew: bool) -> bool {
        let Some(key) = self.keys.get(slot) else { return false };
        let Some(supervised) = self.slots.get_mut(&key) else { return false };
        let is_as_declared = !anew && supervised.spec.same_process(spec);
        if is_as_declared || supervised.forget || !supervised.machine.runs() {
            return false;
        }
        supervised.rare.replacement = Some(Box::new(Replacement::new(spec.clone())));
        self.foresee(key);
        true
    }

    /// The same for a restart that was asked for, from what is declared now; in a handover, where that is how it is made.
    pub(super) fn restart_if_possible(&mut self, slot: &Slot, key: ProcessKey) -> bool {
        let Some(supervised) = self.slots.get_mut(&key) else { return false };
        let pending = supervised.withdraw_replacement();
        let declared = pending.as_ref().map_or(&supervised.spec, |pending| &pending.spec).clone();
        let spec = self.wanted_in_handover(key).unwrap_or(declared);
        let begun = self.put_beside(slot, &spec, true) || self.replace_if_possible(slot, &spec, true);
        if let Some(supervised) = self.slots.get_mut(&key).filter(|_| !begun && pending.is_some()) {
            // It is being stopped already, and what comes after it is what it was.
            supervised.rare.replacement = pending;
        }
        begun
    }

    /// Nothing is to be started in place of its process any more, or something else.
    pub(super) fn forget_replacement(&mut self, slot: &Slot) {
        if let Some(supervised) = self.keys.get(slot).and_then(|key| self.slots.get_mut(&key)) {
            supervised.withdraw_replacement();
        }
    }

    /// What is to be started in place of its process, if anything is.
    pub(super) fn replacement_of(&self, key: ProcessKey) -> Option<&Arc<Spec>> {
        self.slots.get(&key)?.rare.replacement.as_ref().map(|replacement| &replacement.spec)
    }

    /// The settings of what is to be started in place of its process have changed, by which it may be possible now.
    pub(super) fn replacement_follows(&mut self, key: ProcessKey, spec: &Arc<Spec>) -> bool {
        let Some(supervised) = self.slots.get_mut(&key).filter(|it| it.rare.replacement.is_some()) else {
            return false;
        };
        if let Some(replacement) = supervised.rare.replacement.as_mut() {
            replacement.spec = spec.clone();
        }
        self.follow_in_handover(key, spec);
        self.foresee(key);
        true
    }

    /// Has it found out now whether its process can be replaced, if it is to be.
    pub(super) fn foresee(&mut self, key: ProcessKey) {
        let Some(spec) = self.replacement_of(key).cloned() else { return };
        self.submit(key, Job::Foresee { key, spec });
    }

    /// The same, when it is time to do so again.
    pub(super) fn foresee_if_due(&mut self, key: ProcessKey, now: Instant) {
        let Some(supervised) = self.slots.get_mut(&key).filter(|it| it.rare.replacement.is_some()) else { return };
        let replacement = supervised.rare.replacement.as_mut();
        if replacement.is_some_and(|it| it.retry_at.take_if(|at| *at <= now).is_some()) {
            self.foresee(key);
        }
    }

    /// It is known whether a process of this declaration could be started, if that is still what is wanted.
    pub(super) fn foreseen(&mut self, key: ProcessKey, spec: &Arc<Spec>, result: Result<()>) {
        let is_wanted = self.replacement_of(key).is_some_and(|wanted| Arc::ptr_eq(wanted, spec));
        let Some(supervised) = self.slots.get_mut(&key).filter(|it| is_wanted && it.rare.released.is_none()) else {
            return;
        };
        match (result, supervised.rare.replacement.take()) {
            (Ok(()), replacement) => self.replace_now(key, spec, replacement.is_some_and(|it| it.alone)),
            (Err(error), Some(mut replacement)) => {
                let error = error.within("not replaced");
                if replacement.error.as_ref() != Some(&error) {
                    let publisher = spec.context.publisher.clone();
                    publisher.of_proxy(&supervised.slot.id, ProxyOccurrence::StartFailed { error: &error });
                }
                let at = Instant::now() + repair_wait(replacement.failures);
                replacement.failures = replacement.failures.saturating_add(1);
                (replacement.error, replacement.retry_at) = (Some(error), Some(at));
                supervised.rare.replacement = Some(replacement);
                self.timers.arm(at, key);
            }
            (Err(_), None) => {}
        }
    }

    /// Stops its process for one of this declaration; or has that started beside it first.
    fn replace_now(&mut self, key: ProcessKey, spec: &Arc<Spec>, alone: bool) {
        let Some(supervised) = self.slots.get(&key) else { return };
        if supervised.rare.handover.is_some() {
            // The other generation is still being ended.
            return self.hand_over(key, HandoverEvent::WantedAlone);
        }
        let slot = supervised.slot.clone();
        // It may have become ready since.
        if alone || !self.put_beside(&slot, spec, true) {
            self.take_replacement(key, spec.clone());
            self.drive(key, MachineEvent::Replace);
            // What is being stopped is under the new settings.
            self.drive(key, MachineEvent::Settings);
        }
    }

    /// From now on this is declared of its process, which is about to end, or has ended.
    fn take_replacement(&mut self, key: ProcessKey, spec: Arc<Spec>) {
        if let Some(supervised) = self.slots.get_mut(&key) {
            supervised.spec = spec.at(supervised.spec.place);
        }
        self.keep_logs(key);
    }

    /// Its process has ended by itself, and its machine does not know yet: what was to be started in its place is what follows.
    pub(super) fn replaced_by_end(&mut self, key: ProcessKey) -> bool {
        let replacement = self.slots.get_mut(&key).and_then(|supervised| supervised.withdraw_replacement());
        let Some(Replacement { spec, .. }) = replacement.map(|replacement| *replacement) else { return false };
        self.take_replacement(key, spec);
        true
    }

    /// And its machine knows, but nothing has followed yet: a new declaration begins without the failures of the one before, and
    /// neither waits for them nor ends as that did.
    pub(super) fn begin_after_end(&mut self, key: ProcessKey) -> Vec<MachineAction> {
        // One that is started already is of the new declaration.
        let begins = self.slots.get(&key).is_some_and(|supervised| !supervised.machine.is_starting());
        begins.then(|| self.step(key, MachineEvent::Replace)).flatten().unwrap_or_default()
    }
}
