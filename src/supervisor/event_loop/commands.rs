// SPDX-License-Identifier: MPL-2.0
//! What the event loop does for a command of a manager or a daemon.

use std::sync::Arc;

use crossbeam_channel::Sender;

use super::EventLoop;
use super::supervised::Supervised;
use crate::declaration::{Fingerprint, Replace};
use crate::error::{Error, ErrorCode, Result, excerpt};
use crate::lifecycle::ProxyState;
use crate::lifecycle::machine_event::MachineEvent;
use crate::lifecycle::start_numbers::StartNumbers;
use crate::store::snapshot_entry::KnownProcess;
use crate::supervisor::mailbox::{Owner, Processes, Slot, StartMode, StopReply, StopWaiter, SupervisorCommand};
use crate::supervisor::process_key::ProcessKey;
use crate::supervisor::spec::Spec;

impl EventLoop {
    pub(super) fn obey(&mut self, command: SupervisorCommand) {
        match command {
            SupervisorCommand::Put { slot, spec, start, started } => self.put(slot, spec, start, started),
            SupervisorCommand::Update { slot, spec, record } => self.update(&slot, spec, record),
            SupervisorCommand::Steer { slot, what, reply } => {
                let _ = reply.send(self.steer(&slot, what));
            }
            SupervisorCommand::Signal { slot, signal, reply } => {
                let _ = reply.send(self.signal_leader(&slot, signal));
            }
            SupervisorCommand::Reload { slot, reply } => {
                let _ = reply.send(self.reload(&slot));
            }
            SupervisorCommand::Await { slot, waiter, reply } => {
                self.await_state(&slot, waiter);
                let _ = reply.send(());
            }
            SupervisorCommand::Stop { slot, forget, stopped } => self.stop(slot, forget, stopped),
            SupervisorCommand::StopAll { owner, left } => self.stop_all(owner, &left),
            SupervisorCommand::EndGrace { owner } => self.end_grace(owner),
            SupervisorCommand::Release { owner, released } => self.release(owner, &released),
            SupervisorCommand::RecordMissing { owner } => self.record_missing(owner),
            SupervisorCommand::Status { owner, reply } => {
                // Of ten thousand nothing is moved while they become more.
                let mut all = Vec::with_capacity(self.slots.len());
                all.extend(self.of_owner(owner).map(|supervised| self.status(supervised)));
                let _ = reply.send(all);
            }
            SupervisorCommand::StatusOf { slot, reply } => {
                let supervised = self.keys.get(&slot).and_then(|key| self.slots.get(&key));
                let _ = reply.send(supervised.map(|supervised| self.status(supervised)));
            }
            SupervisorCommand::LookAt { data_dir, reply } => self.spawners.look_at(data_dir, reply),
            SupervisorCommand::MeasureLogs { all, reply } => self.spawners.measure_logs(all, reply),
            SupervisorCommand::SweepLogs(removed) => self.log_keeper.sweep(removed),
            SupervisorCommand::Processes { owner, reply } => {
                let _ = reply.send(self.processes(owner));
            }
            SupervisorCommand::ReapLeftBehind => self.reaper.take_left_behind(),
            SupervisorCommand::Shutdown => self.ending = true,
        }
    }

    pub(super) fn put(&mut self, slot: Slot, spec: Arc<Spec>, start: StartMode, started: Option<Sender<Result<()>>>) {
        if let Some(removed) = &spec.context.removed_logs {
            removed.begin_use(&slot.id);
        }
        // A restore starts and stops nothing.
        let restores = matches!(start, StartMode::Claimed { start_if_gone: false, .. });
        if spec.is_paused() && !restores {
            return self.put_paused(slot, &spec, start);
        }
        let anew = match &start {
            StartMode::New | StartMode::Asked => Some(false),
            StartMode::Anew => Some(true),
            StartMode::Claimed { .. } => None,
        };
        self.forget_replacement(&slot);
        let is_for_later =
            |it: &mut EventLoop, anew| it.put_beside(&slot, &spec, anew) || it.replace_if_possible(&slot, &spec, anew);
        if anew.is_some_and(|anew| is_for_later(self, anew)) {
            started.into_iter().for_each(|started| drop(started.send(Ok(()))));
            return;
        }
        let key = self.keys.get_or_draw(&slot);
        let supervised = self.slots.entry(key).or_insert_with(|| Box::new(Supervised::new(slot, key, spec.clone())));
        // A slot that was on its way out is wanted again: what is left of its old process goes first.
        let was_leaving = std::mem::take(&mut supervised.forget);
        let same = !was_leaving && supervised.spec.same_process(&spec);
        let before = std::mem::replace(&mut supervised.spec, spec.clone());
        supervised.rare.start_waiters.extend(started);
        let event = match start {
            StartMode::Claimed { claim, start_if_gone, outdated, stop, others } => {
                let (claimed, last) = (claim.numbers(), supervised.numbers.generation);
                supervised.numbers = StartNumbers { generation: last.max(claimed.generation), ..claimed };
                (supervised.claim, supervised.was_claimed) = (Some(claim), true);
                // Of one that is alone it is known first whether what is declared can be started.
                let serves_on = outdated && (others.is_empty() || supervised.spec.config.replace == Replace::Overlap);
                if serves_on {
                    supervised.replace_when_adopted(stop);
                }
                if !others.is_empty() {
                    supervised.rare.claimed_in_pair = true;
                }
                self.drive(key, MachineEvent::Adopt { start_if_gone });
                for other in others {
                    self.adopt_other(key, other, start_if_gone);
                }
                if !outdated || serves_on || self.replace_adopted_pair(key, &spec) {
                    return;
                }
                MachineEvent::Replace
            }
            StartMode::Asked if same && supervised.machine.rests() => MachineEvent::Replace,
            StartMode::New | StartMode::Asked if same => MachineEvent::Start,
            StartMode::New | StartMode::Asked | StartMode::Anew => MachineEvent::Replace,
        };
        self.keep_logs(key);
        // What is replaced keeps its own until it is gone.
        if same && event == MachineEvent::Start {
            self.limit_anew(key, &before);
        }
        self.drive(key, event);
        // What is still being stopped, or waits, is under the new settings.
        self.drive(key, MachineEvent::Settings);
        self.answer_if_settled(key);
    }

    /// A start that changes nothing, because the process runs or waits already, is answered at once.
    pub(super) fn answer_if_settled(&mut self, key: ProcessKey) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        let machine = &supervised.machine;
        let runs_or_ran = machine.runs() || machine.is_stopped_as_failed();
        let settled = runs_or_ran || matches!(machine.state(), ProxyState::Waiting | ProxyState::Clearing);
        if settled && !machine.awaits_reap() {
            supervised.answer_start(&Ok(()));
        }
    }

    pub(super) fn update(&mut self, slot: &Slot, spec: Arc<Spec>, record: Option<Sender<()>>) {
        let Some(key) = self.keys.get(slot) else { return };
        let was_paused = self.slots.get(&key).is_some_and(|supervised| supervised.spec.is_paused());
        match (was_paused, spec.is_paused()) {
            (_, true) => return self.put_paused(slot.clone(), &spec, StartMode::New),
            (true, false) => return self.resume(key, slot.clone(), spec),
            (false, false) => {}
        }
        if self.replacement_follows(key, &spec) {
            return;
        }
        let Some(of_it) = self.declared_now(key, &spec) else { return };
        if spec.config.replace == Replace::StopFirst {
            self.end_overlap(key);
        }
        let key = of_it;
        self.take_settings(key, &spec);
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        // A process that is being replaced is not one of this declaration; one that is being started is recorded then.
        if record.is_some() && supervised.machine.runs() {
            supervised.rare.record_waiters.extend(record);
            let job = supervised.record_job();
            self.submit(key, job);
        }
        self.drive(key, MachineEvent::Settings);
    }

    /// The process of a slot goes on under another declaration, which is of the same process.
    pub(super) fn take_settings(&mut self, key: ProcessKey, spec: &Arc<Spec>) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        let spec = spec.at(supervised.spec.place);
        let before = std::mem::replace(&mut supervised.spec, spec);
        self.keep_logs(key);
        self.limit_anew(key, &before);
    }

    pub(super) fn stop(&mut self, slot: Slot, forget: bool, stopped: Option<Sender<StopReply>>) {
        let Some(key) = self.keys.get(&slot) else {
            if let Some(stopped) = stopped {
                let _ = stopped.send((slot, Ok(())));
            }
            return;
        };
        self.stop_slot(key, forget, stopped.map(StopWaiter::Answer));
    }

    pub(super) fn stop_all(&mut self, owner: Owner, left: &Sender<StopReply>) {
        for key in self.keys.of(owner).collect::<Vec<_>>() {
            self.stop_slot(key, true, Some(StopWaiter::Failure(left.clone())));
        }
        // The waiter's channel closes when the last of these clones is dropped.
    }

    fn end_grace(&mut self, owner: Owner) {
        for key in self.keys.of(owner).flat_map(|key| self.generations_of(key)).collect::<Vec<_>>() {
            self.drive(key, MachineEvent::EndGrace);
            self.shorten_wait_for_job(key);
        }
    }

    pub(super) fn stop_slot(&mut self, key: ProcessKey, forget: bool, mut waiter: Option<StopWaiter>) {
        if let Some(supervised) = self.slots.get_mut(&key) {
            supervised.forget |= forget;
            if supervised.rare.declared.is_some() {
                supervised.rare.declared = None;
            }
            supervised.withdraw_replacement();
            if forget && !supervised.rare.state_waiters.is_empty() {
                supervised.rare.state_waiters.dismiss();
            }
            supervised.answer_start(&Err(Error::new(ErrorCode::Stopped, "stopped before it was started")));
        }
        if self.stop_both(key, &mut waiter) {
            return;
        }
        if let Some(supervised) = self.slots.get_mut(&key) {
            supervised.rare.stop_waiters.extend(waiter);
        }
        self.drive(key, MachineEvent::Stop);
        self.limit_wait_for_job(key);
    }

    pub(super) fn record_missing(&mut self, owner: Owner) {
        let keys = self.keys.of(owner).flat_map(|key| self.generations_of(key)).collect::<Vec<_>>();
        for key in keys {
            let Some(supervised) = self.slots.get_mut(&key) else { continue };
            if supervised.machine.runs() {
                let job = supervised.record_missing_job();
                self.submit(key, job);
            } else if supervised.busy {
                supervised.rare.unsure_of_record = true;
            }
        }
    }

    pub(super) fn release(&mut self, owner: Owner, released: &Sender<()>) {
        let all = self.keys.of(owner).flat_map(|key| self.generations_of(key)).collect::<Vec<_>>();
        // ORDER: all of them first: what one does not need any more is given to none of the others.
        for key in &all {
            if let Some(supervised) = self.slots.get_mut(key) {
                supervised.rare.released = Some(released.clone());
                supervised.rare.state_waiters.dismiss();
            }
        }
        for key in all {
            self.revoke_commands(key);
            self.limit_wait_for_job(key);
            self.drop_if_done(key);
        }
        // The waiter's channel closes when the last of these clones is dropped.
    }

    pub(super) fn processes(&self, owner: Owner) -> Result<Processes> {
        let mut known = Vec::new();
        for supervised in self.of_owner(owner).filter(|supervised| supervised.pid.is_some()) {
            let id = &supervised.slot.id;
            let failed =
                |error| Error::os(ErrorCode::Io, format_args!("identify the process of proxy {}", excerpt(id)), &error);
            let Some(identity) = self.reaper.identity(supervised.key).map_err(failed)? else { continue };
            // What is being stopped may be of another declaration than the one that takes its place.
            let fingerprint =
                if supervised.machine.runs() { supervised.spec.fingerprint() } else { Fingerprint::new() };
            let owner_tag = Some(supervised.owner_tag().to_string()).filter(|owner_tag| !owner_tag.is_empty());
            known.push((id.clone(), KnownProcess { identity, fingerprint, owner_tag, numbers: supervised.numbers }));
        }
        Ok(known)
    }
}
