// SPDX-License-Identifier: MPL-2.0
//! The event loop of the supervisor thread: takes messages, exits of processes and timers, passes them to the machines,
//! and carries out their actions.
//!
//! It never blocks on a disk, on an exec or on a slow process, and starts nothing itself.

mod command_runs;
mod commands;
mod containment;
mod handover;
mod job_results;
mod keys_by_owner;
mod last_end;
mod leader;
mod leader_change;
mod limiting;
mod listening;
mod machine_actions;
mod missing_limits;
mod notifications;
mod noting_ends;
mod pause;
mod pending_repair;
mod process_exit;
mod rare;
mod readiness;
mod recording;
mod reload;
mod repair;
mod replacement;
mod replacing;
mod rest;
mod scan_results;
mod steering;
mod stop_signals;
mod stored_descriptors;
mod supervised;
mod timers;
mod watchdog;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::log_keeper::{KeptLogs, LogKeeper};
use super::mailbox::{DoneJob, Inbox, Message, Owner};
use super::process_key::{ProcessKey, Reported, reported};
use super::reaper::Reaper;
use super::scan::scan_queue::ScanQueue;
use super::spawner::job::ScanRequest;
use super::spawner::threads::Spawners;
use super::zombies::UnreapedInTime;
use crate::host_code::caught;
use crate::lifecycle::ProxyState;
use crate::lifecycle::handover::HandoverEvent;
use crate::lifecycle::machine_event::MachineEvent;
use crate::logging::{self, Level};
use crate::sys::fail;
use handover::turns::Turns;
use keys_by_owner::Keys;
use supervised::Supervised;
use timers::Timers;

/// The thread's state.
pub(crate) struct EventLoop {
    inbox: Inbox,
    /// By key, which is the order in which they came, mostly that of their ids and of their places in memory.
    pub(crate) slots: BTreeMap<ProcessKey, Box<Supervised>>,
    keys: Keys,
    turns: Turns,
    /// By the keys of the commands that are run for them.
    processes_of_commands: HashMap<ProcessKey, ProcessKey>,
    pub(crate) timers: Timers,
    pub(crate) spawners: Spawners,
    reaper: Arc<Reaper>,
    log_keeper: LogKeeper,
    pub(crate) scan_queue: ScanQueue<ScanRequest>,
    /// How many processes were asked to stop and have not ended yet.
    pub(crate) awaited: usize,
    unreaped_in_time: UnreapedInTime,
    /// When messages were taken last, between the ends of processes.
    heard_at: Instant,
    /// The last handle is gone.
    ending: bool,
}

/// How long a caller may wait while many processes end, beside what the ends of one group and one step take.
const HEARING: Duration = Duration::from_millis(2);

impl EventLoop {
    pub(crate) fn new(inbox: Inbox, spawners: Spawners, reaper: Arc<Reaper>, log_keeper: LogKeeper) -> EventLoop {
        let (slots, keys, timers, turns) = (BTreeMap::new(), Keys::default(), Timers::default(), Turns::default());
        let (scan_queue, awaited, ending) = (ScanQueue::default(), 0, false);
        let unreaped_in_time = UnreapedInTime::default();
        let processes_of_commands = HashMap::new();
        EventLoop {
            inbox,
            slots,
            keys,
            turns,
            processes_of_commands,
            timers,
            spawners,
            reaper,
            log_keeper,
            scan_queue,
            awaited,
            unreaped_in_time,
            heard_at: Instant::now(),
            ending,
        }
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
                self.take_next();
                // However many messages come, no timer waits for a pause between them.
                self.guarded(EventLoop::fire_timers);
            }
            for &number in &ready {
                self.take_arrived();
                self.guarded(|it| match reported(number) {
                    Reported::End(key) => it.check_exit(key),
                    Reported::Readiness(key) => it.check_ready(key),
                    Reported::Notifications(key) => drop(it.read_notifications(key)),
                });
                self.reaper.forget_gone();
            }
            self.guarded(EventLoop::fire_timers);
            self.guarded(EventLoop::begin_scan);
            self.guarded(|it| it.spawners.reinforce(Instant::now()));
        }
        drop(self.spawners);
        drop(self.log_keeper);
        self.reaper.leave_all_behind();
    }

    /// A fault of this library in one step must not end the supervision of all others.
    fn guarded(&mut self, step: impl FnOnce(&mut EventLoop)) {
        if caught(|| step(self)).is_err() {
            logging::write(Level::Error, format_args!("the supervisor thread panicked and goes on"));
        }
    }

    /// Takes the messages that have arrived by now. Called between the ends of many processes and between many timers: who asks
    /// for the status does not wait for all of them.
    ///
    /// Not each time, for those who ask all the time are not to hold up the ends.
    fn take_arrived(&mut self) {
        if self.heard_at.elapsed() < HEARING {
            return;
        }
        for _ in 0..self.inbox.arrived() {
            self.take_next();
        }
        self.heard_at = Instant::now();
    }

    fn take_next(&mut self) {
        if let Some(message) = self.inbox.take() {
            self.guarded(|it| it.take(message));
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Command(command) => {
                self.spawners.host_has_asked();
                self.obey(command);
            }
            Message::Done(done) => {
                let DoneJob { key, spec, done, last_words } = *done;
                self.take_last_words(key, last_words);
                self.done(key, &spec, done);
            }
            Message::Scanned { progress, found } => self.scanned(&progress, found),
        }
    }

    /// Has the logs of a process kept within the limits that are declared now.
    fn keep_logs(&mut self, key: ProcessKey) {
        if let Some(supervised) = self.slots.get(&key).filter(|supervised| supervised.pid.is_some()) {
            let counters = supervised.spec.context.publisher.counters().clone();
            self.log_keeper.keep(key, KeptLogs { logs: supervised.spec.bounded_logs(), counters });
        }
    }

    /// Nothing is left of a proxy that was removed: its logs may be too many. What is released runs on.
    fn end_use_of_logs(&mut self, supervised: &Supervised, released: bool) {
        let Some(removed) = supervised.spec.context.removed_logs.as_ref().filter(|_| !released) else { return };
        if removed.end_use(&supervised.slot.id) {
            self.log_keeper.sweep(removed.clone());
        }
    }

    fn of_owner(&self, owner: Owner) -> impl Iterator<Item = &Supervised> {
        self.keys.of(owner).filter_map(|key| self.slots.get(&key).map(|supervised| &**supervised))
    }

    fn fire_timers(&mut self) {
        if self.timers.next().is_none() {
            return;
        }
        let now = Instant::now();
        while let Some(key) = self.timers.due(now) {
            self.take_arrived();
            // This thread may have stood still, with the whole program or for want of a processor: then a process that
            // ended long ago is not known to have ended, and would be killed, or named as one that survived SIGKILL.
            if self.slots.get(&key).is_some_and(|supervised| supervised.machine.awaits_end()) {
                self.check_exit(key);
            }
            let Some(supervised) = self.slots.get_mut(&key) else { continue };
            if supervised.machine.deadline().is_some_and(|deadline| deadline <= now) {
                fail::point("timer:due");
                supervised.armed = None;
                self.drive(key, MachineEvent::Timer);
            }
            self.answer_without_job(key, now);
            self.repair(key, now);
            self.limit_if_due(key, now);
            self.foresee_if_due(key, now);
            self.exchange_again(key, now);
            self.resume_notifications(key, now);
            self.check_watchdog(key, now);
            self.check_reloads(key, now);
        }
        self.reaper.forget_gone();
        self.timers.tidy(|at, key| self.slots.get(&key).is_some_and(|supervised| supervised.is_due_at(at)));
    }

    /// Drops a slot that is not needed any more: released and with nothing in flight, or forgotten and gone.
    fn drop_if_done(&mut self, key: ProcessKey) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        supervised.rare.tidy();
        if supervised.busy || !supervised.rare.queued.is_empty() || !supervised.rare.commands.is_empty() {
            return;
        }
        let released = supervised.rare.released.is_some() && !supervised.machine.is_starting();
        let is_stopped = supervised.machine.state() == ProxyState::Stopped;
        let handed_over = supervised.rare.handover.is_none();
        let forgotten = supervised.forget && is_stopped && supervised.rare.repair.is_none() && handed_over;
        if released {
            self.reaper.release(key);
        }
        if released || forgotten {
            if let Some(mut supervised) = self.slots.remove(&key) {
                let counters = supervised.spec.context.publisher.counters().clone();
                self.log_keeper.keep(key, KeptLogs { logs: Vec::new(), counters });
                self.awaited -= usize::from(supervised.machine.awaits_end());
                if self.keys.get(&supervised.slot) == Some(key) {
                    self.keys.remove(&supervised.slot);
                    self.end_use_of_logs(&supervised, released);
                }
                if let Some(partner) = supervised.rare.partner {
                    if let Some(current) = self.slots.get_mut(&partner) {
                        current.take_unproven(std::mem::take(&mut supervised.rare.unproven));
                        let generation = supervised.numbers.generation;
                        if generation > current.numbers.generation {
                            current.rare.spent = current.rare.spent.max(generation);
                        }
                    }
                    self.hand_over(partner, HandoverEvent::OtherGone);
                }
                self.give_back_turn(supervised.slot.owner, supervised.rare.turn);
            }
        }
    }
}
