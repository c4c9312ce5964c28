// SPDX-License-Identifier: MPL-2.0
//! A handover that is given up for a declaration of which no process may be started beside those that there are.

use std::sync::Arc;

use super::super::EventLoop;
use super::super::replacement::Replacement;
use super::ongoing::OngoingHandover;
use super::say_that_it_cannot_listen;
use crate::lifecycle::handover::HandoverEvent;
use crate::supervisor::process_key::ProcessKey;
use crate::supervisor::spec::Spec;

impl EventLoop {
    /// The current generation is to be replaced by this declaration once it is known that this can be started, and serves on until
    /// then. The other one is not wanted, however that may be. `was_tried`: to start it beside the current one.
    pub(super) fn want_alone(&mut self, key: ProcessKey, spec: &Arc<Spec>, was_tried: bool) {
        let Some(current) = self.slots.get_mut(&key) else { return };
        let Some(ongoing) = current.rare.handover.as_mut() else { return };
        ongoing.wanted = spec.clone();
        // Which of the two serves is known only after a promotion, and when both are ending, none does.
        let is_settled = !ongoing.machine.is_promoting() && !ongoing.machine.is_ending();
        if !is_settled || current.forget || !current.machine.runs() {
            return self.hand_over(key, HandoverEvent::WantedAlone);
        }
        current.rare.replacement = Some(Box::new(Replacement { alone: was_tried, ..Replacement::new(spec.clone()) }));
        self.hand_over(key, HandoverEvent::Reverted);
        self.foresee(key);
    }

    /// The next generation cannot have its sockets while the current one lives, whose process has bound an address of them by
    /// itself: what is declared is started when both are gone.
    pub(in super::super) fn replace_alone(&mut self, key: ProcessKey) {
        let Some(wanted) = self.wanted_in_handover(key) else { return };
        say_that_it_cannot_listen(&wanted);
        self.want_alone(key, &wanted, true);
    }

    /// The declaration of the next generation is not to be started beside the current one any more.
    pub(in super::super) fn end_overlap(&mut self, key: ProcessKey) {
        let prepares =
            |it: &OngoingHandover| it.machine.has_next() && it.machine.awaits_next() && !it.machine.is_promoting();
        let ongoing = self.slots.get(&key).and_then(|current| current.rare.handover.as_ref());
        if let Some(wanted) = ongoing.filter(|it| prepares(it)).map(|it| it.wanted.clone()) {
            self.want_alone(key, &wanted, false);
        }
    }

    /// What is declared, while its process is being handed over.
    pub(in super::super) fn wanted_in_handover(&self, key: ProcessKey) -> Option<Arc<Spec>> {
        let ongoing = self.slots.get(&key)?.rare.handover.as_ref()?;
        Some(ongoing.wanted.clone())
    }
}
