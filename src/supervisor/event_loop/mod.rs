//! The supervisor thread: takes messages, ends of processes and timers, asks the machines, and has others do what they
//! say.
//!
//! It never blocks on a disk, on an exec or on a slow process, and starts nothing itself.

mod job_results;
mod keys_by_owner;
mod pending_repair;
mod scan_results;
mod supervised;
mod timers;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::Sender;

use super::events::EventKind;
use super::mailbox::{
    Inbox, Message, Owner, ProcessKey, Processes, Slot, StartMode, StopReply, StopWaiter, SupervisorCommand,
};
use super::reaper::{Exit, Group, Leftovers, Reaper};
use super::scan::escaped_process::Escaped;
use super::scan::scan_queue::ScanQueue;
use super::spawner::job::{Job, ScanRequest};
use super::spawner::threads::Spawners;
use super::spec::Spec;
use super::zombies::{WaitedInVain, Zombie};
use crate::declaration::Fingerprint;
use crate::error::{Error, ErrorCode, Result, excerpt};
use crate::lifecycle::ProxyState;
use crate::lifecycle::machine_event::{Announcement, MachineAction, MachineEvent};
use crate::logging::{self, Level};
use crate::store::snapshot_entry::KnownProcess;
use crate::sys::boot_time::BootTime;
use crate::sys::process_identity::Pid;
use crate::sys::signal::Signal;
use crate::sys::wait::ExitStatus;
use crate::sys::{fail, pidfd};
use keys_by_owner::Keys;
use pending_repair::RepairTask;
use supervised::Supervised;
use timers::Timers;

/// The thread's state.
pub(crate) struct Loop {
    inbox: Inbox,
    /// By key, which is the order in which they came, mostly that of their ids and of their places in memory.
    pub(crate) slots: BTreeMap<ProcessKey, Box<Supervised>>,
    keys: Keys,
    pub(crate) timers: Timers,
    pub(crate) spawners: Spawners,
    reaper: Arc<Reaper>,
    pub(crate) scan_queue: ScanQueue<ScanRequest>,
    /// How many processes were told to stop and have not ended yet.
    pub(crate) awaited: usize,
    waited_in_vain: WaitedInVain,
    /// The last handle is gone.
    ending: bool,
}

impl Loop {
    pub(crate) fn new(inbox: Inbox, spawners: Spawners, reaper: Arc<Reaper>) -> Loop {
        let (slots, keys, timers) = (BTreeMap::new(), Keys::default(), Timers::default());
        let (scan_queue, awaited, ending) = (ScanQueue::default(), 0, false);
        let waited_in_vain = WaitedInVain::default();
        Loop { inbox, slots, keys, timers, spawners, reaper, scan_queue, awaited, waited_in_vain, ending }
    }

    /// Runs until the last handle is gone.
    pub(crate) fn run(mut self) {
        let mut ready = Vec::new();
        while !self.ending {
            let others = [self.scan_queue.deadline(), self.spawners.deadline()];
            let deadline = self.timers.next().into_iter().chain(others.into_iter().flatten()).min();
            let patience = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            self.inbox.wait(patience, &mut ready);
            for _ in 0..self.inbox.arrived() {
                let Some(message) = self.inbox.take() else { break };
                self.guarded(|it| it.take(message));
                // However many messages come, no timer waits for a pause between them.
                self.guarded(Loop::fire_timers);
            }
            for &key in &ready {
                self.guarded(|it| it.look_at(key));
                self.reaper.forget_gone();
            }
            self.guarded(Loop::fire_timers);
            self.guarded(Loop::begin_scan);
            self.guarded(|it| it.spawners.reinforce(Instant::now()));
        }
        drop(self.spawners);
        self.reaper.leave_all_behind();
    }

    /// A fault of this library in one step must not end the supervision of all others.
    fn guarded(&mut self, step: impl FnOnce(&mut Loop)) {
        if catch_unwind(AssertUnwindSafe(|| step(self))).is_err() {
            logging::write(Level::Error, format_args!("the supervisor thread panicked and goes on"));
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Command(command) => self.obey(command),
            Message::Done { key, spec, done } => self.done(key, &spec, done),
            Message::Scanned { progress, found } => self.scanned(&progress, found),
        }
    }

    fn look_at(&mut self, key: ProcessKey) {
        // Who is not looked at now is reported again.
        if fail::failing("exit:seen").is_err() {
            return;
        }
        // ORDER: a start is told before its end. What is left in a list of the process before, which had the same key, can
        // name a process that was started meanwhile; its own end is reported again, once it is waited for.
        let is_told = |supervised: &Supervised| {
            !matches!(supervised.machine.state(), ProxyState::Starting | ProxyState::Adopting)
        };
        if !self.slots.get(&key).is_none_or(|supervised| is_told(supervised)) {
            return;
        }
        let kills = |supervised: &Supervised| {
            let ends_by_itself = supervised.machine.state() == ProxyState::Running;
            ends_by_itself && supervised.spec.config.stop.leftover_grace.is_zero()
        };
        let kills = self.slots.get(&key).is_some_and(|supervised| kills(supervised));
        let leftovers = if kills { Leftovers::Kill } else { Leftovers::Leave };
        if let Some(exit) = self.reaper.look_at(key, leftovers) {
            self.exited(key, exit);
        }
    }

    fn obey(&mut self, command: SupervisorCommand) {
        match command {
            SupervisorCommand::Put { slot, spec, origin, started } => self.put(slot, spec, origin, started),
            SupervisorCommand::Update { slot, spec, record } => self.update(&slot, spec, record),
            SupervisorCommand::Stop { slot, forget, stopped } => self.stop(slot, forget, stopped),
            SupervisorCommand::StopAll { owner, left } => self.stop_all(owner, &left),
            SupervisorCommand::Release { owner, released } => self.release(owner, &released),
            SupervisorCommand::RecordMissing { owner } => self.record_missing(owner),
            SupervisorCommand::Status { owner, reply } => {
                let _ = reply.send(self.of_owner(owner).map(Supervised::status).collect());
            }
            SupervisorCommand::Processes { owner, reply } => {
                let _ = reply.send(self.processes(owner));
            }
            SupervisorCommand::ReapLeftBehind => self.reaper.take_left_behind(),
            SupervisorCommand::Shutdown => self.ending = true,
        }
    }

    fn of_owner(&self, owner: Owner) -> impl Iterator<Item = &Supervised> {
        self.keys.of(owner).filter_map(|key| self.slots.get(&key).map(|supervised| &**supervised))
    }

    fn put(&mut self, slot: Slot, spec: Arc<Spec>, origin: StartMode, started: Option<Sender<Result<()>>>) {
        let key = self.keys.get_or_draw(&slot);
        let supervised = self.slots.entry(key).or_insert_with(|| Box::new(Supervised::new(slot, key, spec.clone())));
        // A slot that was on its way out is wanted again: what is left of its old process goes first.
        let was_leaving = std::mem::take(&mut supervised.forget);
        let same = !was_leaving && supervised.spec.same_process(&spec);
        supervised.spec = spec;
        supervised.rare.start_waiters.extend(started);
        let event = match origin {
            StartMode::Claimed { claim, start_if_gone, outdated } => {
                (supervised.claim, supervised.was_claimed) = (Some(Box::new(claim)), true);
                self.drive(key, MachineEvent::Adopt { start_if_gone });
                if outdated { MachineEvent::Replace } else { return }
            }
            StartMode::New if same => MachineEvent::Start,
            StartMode::New | StartMode::Anew => MachineEvent::Replace,
        };
        self.drive(key, event);
        // What is still being stopped, or waits, is under the new settings.
        self.drive(key, MachineEvent::Settings);
        self.answer_if_settled(key);
    }

    /// A start that changes nothing, because the process runs or waits already, is answered at once.
    fn answer_if_settled(&mut self, key: ProcessKey) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        let settled =
            matches!(supervised.machine.state(), ProxyState::Running | ProxyState::Waiting | ProxyState::Clearing);
        if settled && !supervised.machine.awaits_reap() {
            supervised.answer_start(&Ok(()));
        }
    }

    fn update(&mut self, slot: &Slot, spec: Arc<Spec>, record: Option<Sender<()>>) {
        let Some(supervised) = self.keys.get(slot).and_then(|key| self.slots.get_mut(&key)) else { return };
        supervised.spec = spec.clone();
        let key = supervised.key;
        // A process that is being replaced is not one of this declaration; one that is being started is recorded then.
        if record.is_some() && supervised.machine.state() == ProxyState::Running {
            supervised.rare.record_waiters.extend(record);
            let origin = supervised.process_origin();
            self.submit(key, Job::Record { key, spec, origin });
        }
        self.drive(key, MachineEvent::Settings);
    }

    fn stop(&mut self, slot: Slot, forget: bool, stopped: Option<Sender<StopReply>>) {
        let Some(key) = self.keys.get(&slot) else {
            if let Some(stopped) = stopped {
                let _ = stopped.send((slot, Ok(())));
            }
            return;
        };
        self.stop_slot(key, forget, stopped.map(StopWaiter::Answer));
    }

    fn stop_all(&mut self, owner: Owner, left: &Sender<StopReply>) {
        for key in self.keys.of(owner).collect::<Vec<_>>() {
            self.stop_slot(key, true, Some(StopWaiter::Failure(left.clone())));
        }
        // The waiter's channel closes when the last of these clones is dropped.
    }

    fn stop_slot(&mut self, key: ProcessKey, forget: bool, waiter: Option<StopWaiter>) {
        if let Some(supervised) = self.slots.get_mut(&key) {
            supervised.forget |= forget;
            supervised.rare.stop_waiters.extend(waiter);
            supervised.answer_start(&Err(Error::new(ErrorCode::Stopped, "stopped before it was started")));
        }
        self.drive(key, MachineEvent::Stop);
        self.limit_wait_for_job(key);
    }

    fn record_missing(&mut self, owner: Owner) {
        let running = self.of_owner(owner).filter(|supervised| supervised.machine.state() == ProxyState::Running);
        let jobs = running.map(|supervised| {
            let (key, spec, origin) = (supervised.key, supervised.spec.clone(), supervised.process_origin());
            (key, Job::RecordMissing { key, spec, origin })
        });
        for (key, job) in jobs.collect::<Vec<_>>() {
            self.submit(key, job);
        }
    }

    fn release(&mut self, owner: Owner, released: &Sender<()>) {
        for key in self.keys.of(owner).collect::<Vec<_>>() {
            if let Some(supervised) = self.slots.get_mut(&key) {
                supervised.rare.released = Some(released.clone());
            }
            self.limit_wait_for_job(key);
            self.drop_if_done(key);
        }
        // The waiter's channel closes when the last of these clones is dropped.
    }

    fn processes(&self, owner: Owner) -> Result<Processes> {
        let mut known = Vec::new();
        for supervised in self.of_owner(owner).filter(|supervised| supervised.pid.is_some()) {
            let id = &supervised.slot.id;
            let failed =
                |error| Error::os(ErrorCode::Io, format_args!("identify the process of proxy {}", excerpt(id)), &error);
            let Some(identity) = self.reaper.identity(supervised.key).map_err(failed)? else { continue };
            // What is being stopped may be of another declaration than the one that takes its place.
            let running = supervised.machine.state() == ProxyState::Running;
            let fingerprint = if running { supervised.spec.fingerprint() } else { Fingerprint::new() };
            let origin = Some(supervised.process_origin().to_string()).filter(|origin| !origin.is_empty());
            known.push((id.clone(), KnownProcess { identity, fingerprint, origin }));
        }
        Ok(known)
    }

    fn fire_timers(&mut self) {
        if self.timers.next().is_none() {
            return;
        }
        let now = Instant::now();
        while let Some(key) = self.timers.due(now) {
            // This thread may have stood still, with the whole program or for want of a processor: then who has ended long
            // ago is not known to have, and would be killed, or named as one whom SIGKILL does not end.
            if self.slots.get(&key).is_some_and(|supervised| supervised.machine.awaits_end()) {
                self.look_at(key);
            }
            let Some(supervised) = self.slots.get_mut(&key) else { continue };
            if supervised.machine.deadline().is_some_and(|deadline| deadline <= now) {
                fail::point("timer:due");
                supervised.armed = None;
                self.drive(key, MachineEvent::Timer);
            }
            self.answer_without_job(key, now);
            self.repair(key, now);
        }
        self.reaper.forget_gone();
        self.timers.tidy(|at, key| self.slots.get(&key).is_some_and(|supervised| supervised.is_due_at(at)));
    }

    /// Gives an event to a machine and does what it says.
    pub(crate) fn drive(&mut self, key: ProcessKey, event: MachineEvent) {
        if let Some(actions) = self.step(key, event) {
            self.perform_all(key, actions);
        }
    }

    fn step(&mut self, key: ProcessKey, event: MachineEvent) -> Option<Vec<MachineAction>> {
        let supervised = self.slots.get_mut(&key)?;
        let before = supervised.machine.awaits_end();
        let actions = supervised.on(event, Instant::now());
        match (before, supervised.machine.awaits_end()) {
            (false, true) => self.awaited += 1,
            (true, false) => self.awaited -= 1,
            _ => {}
        }
        Some(actions)
    }

    fn perform_all(&mut self, key: ProcessKey, actions: Vec<MachineAction>) {
        for action in actions {
            self.perform(key, action);
        }
        if let Some(supervised) = self.slots.get_mut(&key) {
            let deadline = supervised.machine.deadline();
            if deadline != supervised.armed {
                supervised.armed = deadline;
                if let Some(deadline) = deadline {
                    self.timers.arm(deadline, key);
                }
            }
        }
        self.drop_if_done(key);
    }

    fn perform(&mut self, key: ProcessKey, action: MachineAction) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        match action {
            MachineAction::Spawn => {
                (supervised.claim, supervised.group, supervised.rare.repair) = (None, None, None);
                supervised.rare.told = None;
                supervised.unscanned_since = supervised.unscanned_since.or_else(BootTime::tick_now);
                supervised.warn_of_held();
                fail::point("spawn:decided");
                let (spec, after) = (supervised.spec.clone(), supervised.rare.uncleared.clone());
                self.submit(key, Job::Start { key, spec, after });
            }
            MachineAction::Adopt => {
                (supervised.rare.repair, supervised.rare.told) = (None, None);
                let (spec, claim) = (supervised.spec.clone(), supervised.claim.clone());
                if let Some(claim) = claim {
                    self.submit(key, Job::Adopt { key, spec, claim: *claim });
                }
            }
            MachineAction::Scan => {
                supervised.rare.escaped.clear();
                match supervised.scan_request() {
                    Some(request) => self.request_scan(request),
                    None => self.drive(key, MachineEvent::Scanned { left: false, held: false }),
                }
            }
            MachineAction::ProbeHeld => {
                let left = supervised.unproven().iter().any(|unproven| unproven.holds_start());
                self.drive(key, MachineEvent::Held { left });
            }
            MachineAction::SignalStop => self.signal(key, None),
            MachineAction::Kill => self.signal(key, Some(Signal::KILL)),
            MachineAction::ProbeGroup => {
                let group = self.reaper.group_left(key).unwrap_or_else(|error| {
                    supervised.cannot_look_for_group(&error);
                    Group::Alive
                });
                let left = supervised.probed(&group);
                if !supervised.rare.zombies.is_empty() {
                    self.drive(key, MachineEvent::Unreaped);
                }
                self.drive(key, MachineEvent::Group { left });
            }
            MachineAction::ProbeZombies => {
                supervised.rare.zombies.retain(Zombie::is_there);
                let first = supervised.rare.zombies.first();
                let useless = first.is_some_and(|zombie| self.waited_in_vain.is_useless(zombie));
                let left = first.is_some();
                self.drive(key, MachineEvent::Zombies { left, useless });
            }
            MachineAction::TellZombies => {
                if let Some(zombie) = supervised.tell_zombies() {
                    self.waited_in_vain.add(zombie);
                }
            }
            MachineAction::RemovePidFile => {
                if supervised.spec.has_pid_file() {
                    let spec = supervised.spec.clone();
                    self.submit(key, Job::RemovePidFile { key, spec });
                }
            }
            MachineAction::CleanUp => {
                (supervised.group, supervised.rare.repair, supervised.rare.told) = (None, None, None);
                fail::point("clean-up:decided");
                let (spec, after) = (supervised.spec.clone(), supervised.rare.uncleared.clone());
                self.submit(key, Job::CleanUp { key, spec, after });
            }
            MachineAction::Settle => {
                fail::point("stop:settled");
                supervised.group = None;
                if supervised.busy {
                    supervised.settle = true;
                    self.limit_wait_for_job(key);
                } else {
                    let result = supervised.stopped();
                    supervised.answer_stop(&result);
                }
            }
            MachineAction::Stuck => {
                let error = supervised.still_running(&self.reaper.members(key));
                supervised.spec.context.log.write(Level::Error, format_args!("{error}"));
                supervised.answer_stop(&Err(error));
            }
            MachineAction::Announce(announcement) => self.announce(key, announcement),
        }
    }

    pub(crate) fn signal(&mut self, key: ProcessKey, signal: Option<Signal>) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        let signal = signal.unwrap_or(supervised.spec.config.stop.signal);
        supervised.spec.context.log.about(Level::Debug, &supervised.slot.id, format_args!("sending {signal}"));
        fail::point("signal:decided");
        let sent = self.reaper.signal_group(key, signal);
        if signal != Signal::KILL && matches!(sent, Ok(true)) {
            supervised.rare.told = supervised.group;
        }
        // To many programs a second stop signal means "at once".
        let told = supervised.rare.told.filter(|_| signal != Signal::KILL);
        // SIGCONT it needs all the same: to the group it is sent after the signal, when the leader may be gone already.
        let due = |escaped: &Escaped| match told {
            Some(leader) if escaped.is_in_group_of(leader) => Signal::CONT,
            _ => signal,
        };
        let each = supervised.rare.escaped.iter().map(|escaped| escaped.signal(due(escaped)));
        let sent = each.fold(sent.map(drop), |sent, one| sent.and(one));
        fail::point("signal:sent");
        let group = supervised.group_name();
        let failed = |error| Error::os(ErrorCode::Io, format_args!("send {signal} to {group}"), &error);
        supervised.note(RepairTask::Signal(signal), sent.map_err(failed));
        self.arm_repair(key);
    }

    fn announce(&mut self, key: ProcessKey, announcement: Announcement) {
        let Some(supervised) = self.slots.get(&key) else { return };
        let (id, log) = (&supervised.slot.id, &supervised.spec.context.log);
        let error = supervised.rare.last_error.as_ref().map(Error::to_string).unwrap_or_default();
        let kind = match announcement {
            Announcement::Waiting(wait) => {
                fail::point("backoff:begun");
                log.about(Level::Info, id, format_args!("next start in {wait:?}"));
                EventKind::Waiting { wait }
            }
            Announcement::Stopping => {
                log.about(Level::Info, id, format_args!("stopping"));
                EventKind::Stopping { pid: supervised.pid.map(Pid::as_u32) }
            }
            Announcement::Stopped => {
                log.about(Level::Info, id, format_args!("stopped"));
                EventKind::Stopped
            }
            Announcement::Failed => EventKind::Failed { error },
        };
        self.publish(key, kind);
    }

    fn publish(&self, key: ProcessKey, kind: EventKind) {
        if let Some(supervised) = self.slots.get(&key) {
            supervised.spec.context.events.publish(Some(&supervised.slot.id), kind);
        }
    }

    fn exited(&mut self, key: ProcessKey, Exit { pid, status, group_left, zombie }: Exit) {
        if zombie.is_some() {
            if let Some(supervised) = self.slots.get_mut(&key) {
                supervised.rare.zombies.extend(zombie);
            }
            self.drive(key, MachineEvent::Unreaped);
        }
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        fail::point("exit:told");
        supervised.last_exit = Some(status);
        supervised.pid = None;
        if !pidfd::signals_groups() {
            // Only a process that is no child of ours has a claim: nothing holds the number of its group when it is gone.
            if let Some(claim) = supervised.claim.take() {
                supervised.rare.uncleared = Some(*claim);
            }
        }
        let asked = supervised.machine.state() == ProxyState::Stopping;
        if let Some(since) = supervised.machine.running_since() {
            supervised.ended_by_itself(status, since.elapsed());
        }
        let level = if asked { Level::Info } else { Level::Warn };
        let (id, context) = (supervised.slot.id.clone(), supervised.spec.context.clone());
        let log = || context.log.about(level, &id, format_args!("pid {pid} ended: {status}"));
        // A search finds what is left of a group that could not be signalled: what is to have its time, and what is not
        // proven to be of it and holds the start.
        let unsignalled = supervised.rare.uncleared.is_some();
        let quietly = unsignalled || matches!(status, ExitStatus::Exited(0) | ExitStatus::Unknown);
        let Some(actions) = self.step(key, MachineEvent::Exited { group_left, quietly }) else { return };
        let exited = EventKind::Exited { pid: pid.as_u32(), status };
        if actions == [MachineAction::Spawn] {
            // A successor waits neither for readers of events nor for the host's log.
            self.perform_all(key, actions);
            self.publish(key, exited);
            log();
        } else {
            self.publish(key, exited);
            log();
            self.perform_all(key, actions);
        }
    }

    /// Lets a slot go that nobody needs: released and with nothing in flight, or forgotten and gone.
    pub(crate) fn drop_if_done(&mut self, key: ProcessKey) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        supervised.rare.tidy();
        if supervised.busy || !supervised.rare.queued.is_empty() {
            return;
        }
        let state = supervised.machine.state();
        let released = supervised.rare.released.is_some() && state != ProxyState::Starting;
        let forgotten = supervised.forget && state == ProxyState::Stopped && supervised.rare.repair.is_none();
        if released {
            self.reaper.release(key);
        }
        if released || forgotten {
            if let Some(supervised) = self.slots.remove(&key) {
                self.awaited -= usize::from(supervised.machine.awaits_end());
                self.keys.remove(&supervised.slot);
            }
        }
    }
}
