// SPDX-License-Identifier: MPL-2.0
//! A handover that an earlier agent had begun, and an adopted process of another declaration that serves until the
//! declared one is ready.

use std::sync::Arc;

use super::super::EventLoop;
use super::super::supervised::Supervised;
use super::ongoing::OngoingHandover;
use crate::declaration::Ready;
use crate::lifecycle::handover::{Handover, HandoverEvent};
use crate::lifecycle::machine_event::MachineEvent;
use crate::logging::Level;
use crate::store::RecordedStop;
use crate::store::file_place::FilePlace;
use crate::supervisor::adoption::claim::Claim;
use crate::supervisor::mailbox::OtherClaim;
use crate::supervisor::process_key::ProcessKey;
use crate::supervisor::spec::Spec;
use crate::sys::proc::stat;

impl EventLoop {
    /// Takes over the other generation of a proxy that an earlier agent was about to hand over: the next one if it is what
    /// is declared; all else is stopped. A restore, which starts nothing, cannot have it started anew.
    pub(crate) fn adopt_other(&mut self, key: ProcessKey, other: OtherClaim, start_if_gone: bool) {
        let Some(current) = self.slots.get_mut(&key).filter(|current| current.rare.handover.is_none()) else { return };
        let serves = current.claim.as_deref().is_some_and(may_live);
        let is_next = other.as_declared && other.place == FilePlace::Next;
        let declared = current.rare.declared.take_if(|_| is_next).or_else(|| is_next.then(|| current.spec.clone()));
        let reports = |spec: &Arc<Spec>| matches!(spec.config.ready, Ready::Fd(_) | Ready::Notify);
        let is_unknown = serves && declared.as_ref().is_some_and(reports);
        let declared = declared.filter(|_| start_if_gone || !is_unknown);
        let (spec, machine) = match declared {
            Some(declared) => (declared, Handover::prepared()),
            None => {
                let (token, sockets) = (other.claim.token(), other.claim.sockets());
                (current.spec.with_stop(other.stop, token, sockets), Handover::drained())
            }
        };
        // Which the adoption of the one takes, the other one has as well.
        if !other.claim.sockets().is_empty() || spec.config.may_have_sockets() {
            current.rare.sockets.get_or_insert_default();
        }
        let (slot, sockets, begun) =
            (current.slot.clone(), current.rare.sockets.clone(), OngoingHandover::of(machine, &spec));
        let (other_key, stops, spec) = (begun.other, !begun.machine.has_next(), spec.at(other.place));
        current.rare.handover = Some(begun);
        let mut next = Supervised::new(slot, other_key, spec);
        next.numbers = other.claim.numbers();
        (next.claim, next.was_claimed) = (Some(Box::new(other.claim)), true);
        (next.rare.partner, next.rare.sockets) = (Some(key), sockets);
        self.slots.insert(other_key, Box::new(next));
        if !stops {
            self.hold_turn(other_key);
        }
        self.drive(other_key, MachineEvent::Adopt { start_if_gone: start_if_gone && !stops });
        if stops {
            self.stop_slot(other_key, true, None);
        } else if is_unknown {
            self.start_next_anew(other_key);
        }
    }

    /// Whether it became ready was for the agent that started it to hear: another one is started, and the current one serves
    /// until that is ready. Taken as ready, it might be handed over to before it is.
    fn start_next_anew(&mut self, key: ProcessKey) {
        if let Some(next) = self.slots.get(&key) {
            let what = "not known to be ready: the next process of the handover is started anew";
            next.spec.context.log.about(Level::Info, &next.slot.id, format_args!("{what}"));
        }
        self.drive(key, MachineEvent::Replace);
    }

    /// What is declared may not be started beside the two that are adopted. False when there is one alone.
    pub(crate) fn replace_adopted_pair(&mut self, key: ProcessKey, spec: &Arc<Spec>) -> bool {
        let ongoing = self.slots.get_mut(&key).and_then(|supervised| supervised.rare.handover.as_mut());
        let Some(ongoing) = ongoing else { return false };
        ongoing.wanted = spec.clone();
        self.hand_over(key, HandoverEvent::WantedAlone);
        true
    }

    /// The process of another declaration is adopted: it is replaced as is declared now.
    pub(crate) fn replace_adopted(&mut self, key: ProcessKey) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        let Some(declared) = supervised.rare.declared.take() else { return };
        let slot = supervised.slot.clone();
        if !self.put_beside(&slot, &declared, true) && !self.replace_if_possible(&slot, &declared, true) {
            if let Some(supervised) = self.slots.get_mut(&key) {
                supervised.spec = declared;
            }
            self.drive(key, MachineEvent::Replace);
        }
    }

    /// The process of another declaration is gone, and its machine does not know yet: what is declared is started instead,
    /// or has been by an earlier agent.
    pub(crate) fn told_of_refusal(&mut self, key: ProcessKey) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        if let Some(declared) = supervised.rare.declared.take() {
            supervised.spec = declared;
        }
        if supervised.rare.handover.is_some() {
            self.hand_over(key, HandoverEvent::CurrentEnded);
        }
    }
}

/// Whether the process that is claimed may live. Its adoption says for sure, but later.
fn may_live(claim: &Claim) -> bool {
    stat::read(claim.pid().as_raw()).map_or(true, |stat| stat.is_some_and(|stat| !stat.is_dead()))
}

impl Supervised {
    /// The process that is adopted is of another declaration, of which little is known. It serves until the next one is
    /// ready.
    pub(crate) fn replace_when_adopted(&mut self, stop: Option<Box<RecordedStop>>) {
        let (declared, claim) = (self.spec.clone(), self.claim.as_deref());
        let stop = stop.map_or_else(|| RecordedStop::of(&declared.config), |stop| *stop);
        self.spec = declared.with_stop(stop, claim.and_then(Claim::token), claim.map_or(&[][..], Claim::sockets));
        self.rare.declared = Some(declared);
    }
}
