// SPDX-License-Identifier: MPL-2.0
//! The handover of an id from one generation to the next: two slots, each with a machine, and one handover above them.
//!
//! The id refers to the slot of the current generation, which holds the handover. The slot of the other generation
//! refers to it as its partner.

mod adopted_pair;
mod alone;
mod exchange;
pub(super) mod ongoing;
mod taking_turns;
pub(super) mod turns;

use std::sync::Arc;

use super::EventLoop;
use super::supervised::Supervised;
use crate::declaration::{Listen, Replace};
use crate::lifecycle::ProxyState;
use crate::lifecycle::generation::Generation;
use crate::lifecycle::handover::{Handover, HandoverAction, HandoverEvent};
use crate::lifecycle::machine_event::{Announcement, MachineEvent};
use crate::lifecycle::start_numbers::{Epoch, StartNumbers};
use crate::logging::Level;
use crate::store::file_place::FilePlace;
use crate::supervisor::adoption::claim::Claim;
use crate::supervisor::mailbox::{Slot, StopWaiter};
use crate::supervisor::process_key::{ProcessKey, new_key};
use crate::supervisor::spec::Spec;
use crate::supervisor::status::{OtherGeneration, ProxyStatus};
use crate::sys::fail;
use ongoing::OngoingHandover;

impl EventLoop {
    /// Has a process of this declaration started beside the one that runs, if that is how it is to be replaced; or has a
    /// handover that is under way follow it. False when it is for the machine of the current one alone.
    pub(super) fn put_beside(&mut self, slot: &Slot, spec: &Arc<Spec>, anew: bool) -> bool {
        let Some(key) = self.keys.get(slot) else { return false };
        let Some(supervised) = self.slots.get_mut(&key) else { return false };
        let same_as_current = !anew && supervised.spec.same_process(spec);
        if supervised.rare.declared.is_some() {
            supervised.rare.declared = Some(spec.clone());
            return true;
        }
        let Some(ongoing) = supervised.rare.handover.as_mut() else {
            let serves = supervised.may_serve() && !supervised.forget;
            if same_as_current || !serves || !supervised.may_be_beside(spec) {
                return false;
            }
            supervised.rare.handover = Some(OngoingHandover::of(Handover::new(), spec));
            self.hand_over(key, HandoverEvent::Wanted);
            return true;
        };
        let (other, has_next, promotes) = (ongoing.other, ongoing.machine.has_next(), ongoing.machine.is_promoting());
        ongoing.wanted = spec.clone();
        let ends = ongoing.machine.is_ending();
        let was_leaving = std::mem::take(&mut supervised.forget) || ends;
        let youngest = if has_next { other } else { key };
        let is_youngest = |it: &Supervised| !anew && !it.forget && it.spec.same_process(spec);
        let same_as_youngest = self.slots.get(&youngest).is_some_and(|it| is_youngest(it));
        let event = if same_as_youngest && !was_leaving {
            self.follow_settings(youngest, spec);
            if has_next && !promotes {
                return true;
            }
            // One that is wanted after it is not wanted any more.
            HandoverEvent::Reverted
        } else if same_as_current && !was_leaving && !promotes {
            self.follow_settings(key, spec);
            HandoverEvent::Reverted
        } else if [key, other].iter().filter_map(|key| self.slots.get(key)).all(|it| it.may_be_beside(spec)) {
            HandoverEvent::Wanted
        } else {
            self.want_alone(key, spec, false);
            return true;
        };
        self.hand_over(key, event);
        true
    }

    /// What is declared now, for a handover that is ending.
    pub(in super::super) fn follow_in_handover(&mut self, key: ProcessKey, spec: &Arc<Spec>) {
        // To look with a view to a change would allocate what few have.
        let supervised = self.slots.get_mut(&key).filter(|supervised| supervised.rare.handover.is_some());
        if let Some(ongoing) = supervised.and_then(|supervised| supervised.rare.handover.as_mut()) {
            ongoing.wanted = spec.clone();
        }
    }

    fn follow_settings(&mut self, key: ProcessKey, spec: &Arc<Spec>) {
        self.take_settings(key, spec);
        // One that was restored is started by that; one that runs is not.
        self.drive(key, MachineEvent::Start);
        self.drive(key, MachineEvent::Settings);
    }

    /// The generation that is started beside this one, if any: what is declared now is of that.
    pub(super) fn next_of(&self, key: ProcessKey) -> Option<ProcessKey> {
        let ongoing = self.slots.get(&key)?.rare.handover.as_ref()?;
        ongoing.machine.has_next().then_some(ongoing.other)
    }

    /// The generation that these settings are for, which are declared now; none while there is no process of it.
    pub(super) fn declared_now(&mut self, key: ProcessKey, spec: &Arc<Spec>) -> Option<ProcessKey> {
        let supervised = self.slots.get_mut(&key)?;
        if supervised.rare.declared.is_some() {
            supervised.rare.declared = Some(spec.clone());
            return None;
        }
        let Some(ongoing) = supervised.rare.handover.as_mut() else { return Some(key) };
        ongoing.wanted = spec.clone();
        let of_it = |key: &ProcessKey| self.slots.get(key).is_some_and(|it| it.spec.same_process(spec));
        self.next_of(key).into_iter().chain([key]).find(of_it)
    }

    /// What a proxy is doing, with its other generation.
    pub(super) fn status(&self, supervised: &Supervised) -> ProxyStatus {
        let mut status = supervised.status();
        let Some(ongoing) = &supervised.rare.handover else { return status };
        status.other = self.slots.get(&ongoing.other).map(|other| {
            let attempts = if ongoing.machine.has_next() { other.starts } else { 0 };
            // Until its first start it has the number of the current one, after which it counts on.
            let generation = other.numbers.generation.known().filter(|_| other.starts > 0);
            OtherGeneration::of(other.status(), generation, attempts)
        });
        status
    }

    /// Both generations of an id, or the one that there is.
    pub(super) fn generations_of(&self, key: ProcessKey) -> Vec<ProcessKey> {
        let ongoing = self.slots.get(&key).and_then(|supervised| supervised.rare.handover.as_ref());
        let other = ongoing.map(|ongoing| ongoing.other).filter(|other| self.slots.contains_key(other));
        std::iter::once(key).chain(other).collect()
    }

    /// The sockets that a clean-up of this generation leaves open: those of the other one, and those of what is declared.
    /// `None` when both are to be gone, and nothing comes after them.
    pub(super) fn sockets_to_keep(&self, key: ProcessKey) -> Option<Vec<Listen>> {
        let of = |key: ProcessKey| self.slots.get(&key).map_or(&[][..], |it| &it.spec.config.listen);
        let ongoing = self.slots.get(&self.holder_of(key))?.rare.handover.as_ref()?;
        let kept = match (ongoing.machine.is_ending(), ongoing.machine.awaits_next()) {
            (true, false) => return None,
            (true, true) => [&ongoing.wanted.config.listen[..], &[]],
            (false, true) => [of(self.other_of(key).unwrap_or(key)), &ongoing.wanted.config.listen],
            (false, false) => [of(self.other_of(key).unwrap_or(key)), &[]],
        };
        Some(kept.concat())
    }

    /// A stop of an id that is being handed over; its caller waits for both generations. False when there is one alone.
    pub(super) fn stop_both(&mut self, key: ProcessKey, waiter: &mut Option<StopWaiter>) -> bool {
        let ongoing = self.slots.get(&key).and_then(|supervised| supervised.rare.handover.as_ref());
        let Some(other) = ongoing.map(|ongoing| ongoing.other) else { return false };
        let both = self.generations_of(key);
        let waiter = waiter.take().map(|waiter| if both.len() == 2 { waiter.of_both() } else { waiter });
        for key in both {
            if let Some(supervised) = self.slots.get_mut(&key) {
                supervised.rare.stop_waiters.extend(waiter.clone());
            }
        }
        self.hand_over(key, HandoverEvent::Stop);
        for key in [key, other] {
            // One that is gone already answers at once.
            self.drive(key, MachineEvent::Stop);
            self.limit_wait_for_job(key);
        }
        true
    }

    /// The generations among whose processes a scan for this one searches: those of the other one are not its own, nor is
    /// what that is about to start.
    pub(super) fn scanned_generations(&self, key: ProcessKey) -> (Generation, Generation) {
        let all = (Generation::UNKNOWN, Generation::LAST);
        let Some((supervised, other)) = self.slots.get(&key).zip(self.other_of(key)) else { return all };
        let own = supervised.numbers.generation;
        match self.slots.get(&other) {
            Some(other) if other.numbers.generation < own => (other.numbers.generation.next(), own),
            Some(_) => (all.0, own),
            None => all,
        }
    }

    /// The numbers of the start of this slot that has been decided.
    pub(super) fn draw_numbers(&mut self, key: ProcessKey) -> StartNumbers {
        let beside = self.other_of(key).and_then(|other| self.slots.get(&other)).filter(|other| other.may_live());
        let epoch = Epoch::beside(beside.map(|other| other.numbers.epoch));
        if let Some(supervised) = self.slots.get_mut(&key) {
            supervised.numbers.epoch = epoch;
        }
        StartNumbers { generation: self.draw_generation(key), epoch }
    }

    /// That of the next start of this slot: greater than those of the other one, which may be being started or gone.
    fn draw_generation(&mut self, key: ProcessKey) -> Generation {
        let Some(supervised) = self.slots.get(&key) else { return Generation::UNKNOWN };
        let (own, holder) = (supervised.numbers.generation, self.holder_of(key));
        let generation = |other| self.slots.get(&other).map(|other| other.numbers.generation);
        let of_other = self.other_of(key).map(|other| (other, generation(other)));
        let Some(current) = self.slots.get_mut(&holder) else { return own.next() };
        let mut last = own.max(current.rare.spent);
        let Some((other, of_other)) = of_other else { return last.next() };
        last = last.max(of_other.unwrap_or_default());
        let Some(ongoing) = current.rare.handover.as_mut() else { return last.next() };
        if ongoing.drawn.0 == other {
            last = last.max(ongoing.drawn.1);
        }
        ongoing.drawn = (key, last.next());
        last.next()
    }

    /// The current one of two generations, which has the handover.
    fn holder_of(&self, key: ProcessKey) -> ProcessKey {
        self.slots.get(&key).and_then(|it| it.rare.partner).unwrap_or(key)
    }

    /// The other one of two generations.
    pub(super) fn other_of(&self, key: ProcessKey) -> Option<ProcessKey> {
        let rare = &self.slots.get(&key)?.rare;
        rare.partner.or_else(|| rare.handover.as_ref().map(|ongoing| ongoing.other))
    }

    /// After each step of a machine: whether it is that of a next one which is ready, or can never be.
    pub(super) fn told_if_ready(&mut self, key: ProcessKey) {
        let Some(supervised) = self.slots.get(&key) else { return };
        let Some(current) = supervised.rare.partner.filter(|partner| self.next_of(*partner) == Some(key)) else {
            return;
        };
        match supervised.machine.state() {
            // Or was, and has ended since as it may.
            ProxyState::Running | ProxyState::Completed => {
                self.hand_over(current, HandoverEvent::NextReady);
                self.exchange_if_due(current);
            }
            ProxyState::Failed => self.tell_of_failed_next(current),
            _ => {}
        }
    }

    /// Callers that wait for a state do not wait for a next one that will not be started again.
    pub(super) fn tell_of_failed_next(&mut self, key: ProcessKey) {
        let next = self.next_of(key).and_then(|next| self.slots.get(&next));
        let Some(next) = next.filter(|next| next.machine.state() == ProxyState::Failed) else { return };
        let (id, error) = (next.slot.id.clone(), next.rare.last_error.clone());
        if let Some(current) = self.slots.get_mut(&key).filter(|it| !it.rare.state_waiters.is_empty()) {
            current.rare.state_waiters.tell(&id, ProxyState::Failed, error.as_ref());
        }
    }

    /// The leader of a generation has ended by itself or as one that failed, and its machine does not know yet.
    pub(super) fn told_of_exit(&mut self, key: ProcessKey) {
        let Some(supervised) = self.slots.get(&key).filter(|supervised| supervised.rare.handover.is_some()) else {
            return;
        };
        if supervised.machine.runs() || supervised.machine.is_stopped_as_failed() {
            let slot = supervised.slot.clone();
            // What was to be started in its place is so when the other one is gone as well.
            let event = match self.replacement_of(key) {
                Some(_) => HandoverEvent::WantedAlone,
                None => HandoverEvent::CurrentEnded,
            };
            self.forget_replacement(&slot);
            self.hand_over(key, event);
        }
    }

    pub(super) fn hand_over(&mut self, key: ProcessKey, event: HandoverEvent) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        // Its manager is being closed: both run on, and the next agent goes on from their files.
        if supervised.rare.released.is_some() {
            return;
        }
        let Some(ongoing) = supervised.rare.handover.as_mut() else { return };
        for action in ongoing.machine.on(event) {
            self.perform_handover(key, action);
        }
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        let is_over = supervised.rare.handover.as_ref().is_some_and(|ongoing| ongoing.machine.is_over());
        if is_over {
            supervised.rare.handover = None;
        }
        supervised.tell_state_waiters();
        if is_over {
            if supervised.machine.state() == ProxyState::Stopped {
                self.announce(key, Announcement::Stopped);
            }
            self.drop_if_done(key);
        }
    }

    fn perform_handover(&mut self, key: ProcessKey, action: HandoverAction) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        let Some(ongoing) = supervised.rare.handover.as_mut() else { return };
        let (other, wanted) = (ongoing.other, ongoing.wanted.clone());
        match action {
            HandoverAction::StartNext => self.start_next(key, other, &wanted),
            HandoverAction::StopOther => self.stop_slot(other, true, None),
            HandoverAction::Promote => {
                (ongoing.exchange_due, ongoing.exchange_again_at) = (true, None);
                fail::point("handover:decided");
                self.exchange_if_due(key);
            }
            HandoverAction::ReplaceCurrent => {
                (supervised.spec, supervised.forget) = (wanted.at(supervised.spec.place), false);
                self.drive(key, MachineEvent::Replace);
            }
            HandoverAction::StopCurrent => self.drive(key, MachineEvent::Stop),
        }
    }

    fn start_next(&mut self, key: ProcessKey, other: ProcessKey, wanted: &Arc<Spec>) {
        let is_new = !self.slots.contains_key(&other);
        let Some(current) = self.slots.get_mut(&key) else { return };
        // What a predecessor that had the last key has asked for, as a scan, is not for this one.
        let other = if is_new { new_key() } else { other };
        if let Some(ongoing) = current.rare.handover.as_mut() {
            ongoing.other = other;
        }
        // Both have the same ones: what is declared to be open stays so for the one that serves.
        if wanted.config.may_have_sockets() && current.rare.sockets.is_none() {
            current.rare.sockets = Some(Arc::default());
        }
        let sockets = current.rare.sockets.clone();
        let (slot, last, spec) = (current.slot.clone(), current.numbers.generation, wanted.at(FilePlace::Next));
        let next = self.slots.entry(other).or_insert_with(|| Box::new(Supervised::new(slot, other, spec.clone())));
        (next.spec, next.forget, next.rare.partner, next.rare.sockets) = (spec, false, Some(key), sockets);
        next.numbers.generation = next.numbers.generation.max(last);
        fail::point("handover:begun");
        self.drive(other, if is_new { MachineEvent::Start } else { MachineEvent::Replace });
        self.drive(other, MachineEvent::Settings);
    }
}

fn say_that_it_cannot_listen(spec: &Spec) {
    let why = "it cannot listen beside its predecessor: replaced without overlap";
    spec.context.log.about(Level::Info, &spec.id, format_args!("{why}"));
}

impl Supervised {
    /// Whether a process of it lives, or may: one that is being started, or that an earlier agent has started.
    fn may_live(&self) -> bool {
        self.pid.is_some() || self.machine.is_starting() || self.machine.awaits_adoption()
    }

    /// Whether its process is ready, or may have been before this agent came, which only its next probe can tell.
    fn may_serve(&self) -> bool {
        self.machine.state() == ProxyState::Running || self.adopted && self.machine.awaits_ready()
    }

    /// Whether its process is not what is declared, and serves until that one is ready.
    pub(super) fn is_being_succeeded(&self) -> bool {
        let ongoing = self.rare.handover.as_ref();
        self.rare.declared.is_some()
            || self.rare.replacement.is_some()
            || ongoing.is_some_and(|ongoing| ongoing.machine.awaits_next())
    }

    /// Whether a process of this declaration may be started while this one lives.
    fn may_be_beside(&self, spec: &Spec) -> bool {
        let overlaps = spec.config.replace == Replace::Overlap;
        let listens = overlaps && self.can_share_sockets(spec);
        if overlaps && !listens {
            say_that_it_cannot_listen(spec);
        }
        listens
    }

    /// Whether a process of this declaration can have its sockets while this one has those of its own.
    fn can_share_sockets(&self, spec: &Spec) -> bool {
        let claimed = self.claim.as_deref();
        let own = self.spec.config.listen.iter();
        let own: Vec<&Listen> =
            own.chain(claimed.into_iter().flat_map(Claim::sockets).map(|socket| &socket.declared)).collect();
        // Of what was adopted by its pid alone it is not known which sockets it has.
        let are_known = !self.adopted || matches!(claimed, Some(Claim::Recorded { .. }));
        let is_free = |socket: &Listen| {
            let others = own.iter().filter(|its| its.address.conflicts(&socket.address));
            are_known && others.into_iter().all(|its| its.reuse_port && socket.reuse_port)
        };
        let is_open = |socket: &Listen| self.rare.sockets.as_ref().is_some_and(|open| open.has(socket));
        spec.config.listen.iter().all(|socket| is_open(socket) || is_free(socket))
    }
}
