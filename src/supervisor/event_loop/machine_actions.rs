// SPDX-License-Identifier: MPL-2.0
//! Passes events to the machines of processes and carries out the actions that they return.

use std::time::Instant;

use super::EventLoop;
use super::pending_repair::StopSignal;
use crate::lifecycle::machine_event::{Announcement, MachineAction, MachineEvent};
use crate::logging::Level;
use crate::supervisor::events::ProxyOccurrence;
use crate::supervisor::process_key::ProcessKey;
use crate::supervisor::reaper::Group;
use crate::supervisor::spawner::job::Job;
use crate::supervisor::zombies::Zombie;
use crate::sys::boot_time::BootTime;
use crate::sys::{fail, is_exhausted};

impl EventLoop {
    /// Gives an event to a machine and does what it says.
    pub(super) fn drive(&mut self, key: ProcessKey, event: MachineEvent) {
        if let Some(actions) = self.step(key, event) {
            self.perform_all(key, actions);
        }
    }

    pub(super) fn step(&mut self, key: ProcessKey, event: MachineEvent) -> Option<Vec<MachineAction>> {
        let supervised = self.slots.get_mut(&key)?;
        let before = supervised.machine.awaits_end();
        let now = Instant::now();
        let actions = supervised.on(event, now);
        supervised.note_state(now);
        match (before, supervised.machine.awaits_end()) {
            (false, true) => self.awaited += 1,
            (true, false) => self.awaited -= 1,
            _ => {}
        }
        Some(actions)
    }

    pub(super) fn perform_all(&mut self, key: ProcessKey, actions: Vec<MachineAction>) {
        self.revoke_commands(key);
        for action in actions {
            self.perform(key, action);
        }
        if let Some(supervised) = self.slots.get_mut(&key) {
            supervised.tidy_readiness();
            supervised.tell_state_waiters();
            let deadline = supervised.machine.deadline();
            if deadline != supervised.armed {
                supervised.armed = deadline;
                if let Some(deadline) = deadline {
                    self.timers.arm(deadline, key);
                }
            }
        }
        self.tend_watchdog(key);
        self.tend_turn(key);
        self.told_if_ready(key);
        self.drop_if_done(key);
    }

    pub(super) fn perform(&mut self, key: ProcessKey, action: MachineAction) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        match action {
            MachineAction::Spawn => {
                supervised.has_begun = true;
                (supervised.claim, supervised.group, supervised.rare.repair) = (None, None, None);
                supervised.rare.told = None;
                supervised.unscanned_since = supervised.unscanned_since.or_else(BootTime::tick_now);
                supervised.warn_of_held();
                fail::point("spawn:decided");
                let (spec, unread) = (supervised.spec.clone(), supervised.rare.unread.take());
                let (sockets, numbers) = (supervised.sockets_for_start(), self.draw_numbers(key));
                let left = self.leftovers(key);
                let last_cgroup = self.slots.get(&key).and_then(|supervised| supervised.last_cgroup());
                let other_cgroup = self.other_of(key).and_then(|other| self.slots.get(&other)?.cgroup().cloned());
                self.submit(key, Job::Start { key, spec, numbers, left, sockets, last_cgroup, other_cgroup, unread });
            }
            MachineAction::AskTurn => self.ask_turn(key),
            MachineAction::Adopt => {
                supervised.has_begun = true;
                (supervised.rare.repair, supervised.rare.told) = (None, None);
                let (spec, claim) = (supervised.spec.clone(), supervised.claim.clone());
                let sockets = supervised.sockets_for_adoption();
                let is_alone = self.is_alone(key);
                if let Some(claim) = claim {
                    self.submit(key, Job::Adopt { key, spec, claim, is_alone, sockets });
                }
            }
            MachineAction::Scan => {
                supervised.rare.escaped.clear();
                // A scan has a descriptor in reserve.
                let found = supervised.is_contained().then(|| supervised.look_into_cgroup());
                if let Some(found) = found.filter(|found| !found.as_ref().is_err_and(is_exhausted)) {
                    return self.found(key, found);
                }
                let generations = self.scanned_generations(key);
                match self.slots.get(&key).and_then(|supervised| supervised.scan_request(generations)) {
                    Some(request) => self.request_scan(request),
                    None => self.drive(key, MachineEvent::Scanned { left: false, held: false }),
                }
            }
            MachineAction::ProbeHeld => {
                let left = supervised.unproven().iter().any(|unproven| unproven.holds_start());
                self.drive(key, MachineEvent::Held { left });
            }
            MachineAction::ProbeReady => self.probe_ready(key),
            MachineAction::SignalStop { step } => self.send_stop_signal(key, StopSignal::OfStep(step)),
            MachineAction::RunStop { step } => self.run_stop(key, step),
            MachineAction::Abort => self.send_stop_signal(key, StopSignal::Abort),
            MachineAction::Kill => self.send_stop_signal(key, StopSignal::Kill),
            MachineAction::ProbeGroup => {
                let group = self.reaper.group_left(key).unwrap_or_else(|error| {
                    supervised.group_scan_failed(&error);
                    Group::Alive
                });
                let left = supervised.probed(&group) || !supervised.rare.commands.is_empty();
                if !supervised.rare.zombies.is_empty() {
                    self.drive(key, MachineEvent::Unreaped);
                }
                self.drive(key, MachineEvent::Group { left });
            }
            MachineAction::ProbeZombies => {
                supervised.rare.zombies.retain(Zombie::is_there);
                let first = supervised.rare.zombies.first();
                let useless = first.is_some_and(|zombie| self.unreaped_in_time.is_useless(zombie));
                let left = first.is_some();
                self.drive(key, MachineEvent::Zombies { left, useless });
            }
            MachineAction::TellZombies => {
                if let Some(zombie) = supervised.tell_zombies() {
                    self.unreaped_in_time.add(zombie);
                }
            }
            MachineAction::RemovePidFile => {
                if supervised.spec.has_pid_file() {
                    let spec = supervised.spec.clone();
                    self.submit(key, Job::RemovePidFile { key, spec });
                }
            }
            // Of a million that were never run, a job each would hold up the stop of those that run.
            MachineAction::CleanUp if !supervised.needs_clean_up() => {}
            MachineAction::CleanUp => {
                (supervised.group, supervised.rare.repair, supervised.rare.told) = (None, None, None);
                fail::point("clean-up:decided");
                let (spec, unread) = (supervised.spec.clone(), supervised.rare.unread.take());
                let (sockets, cgroup) = (self.sockets_to_close(key), self.cgroup_to_remove(key));
                let left = self.leftovers(key);
                self.submit(key, Job::CleanUp { key, spec, left, sockets, cgroup, unread });
            }
            MachineAction::RecordEnd(rest) => self.record_end(key, rest),
            MachineAction::CleanUpButRecord => {
                (supervised.group, supervised.rare.told) = (None, None);
                let (spec, unread) = (supervised.spec.clone(), supervised.rare.unread.take());
                let left = self.leftovers(key);
                self.submit(key, Job::CleanUpButRecord { key, spec, left, unread });
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
                let commands = supervised.rare.commands.iter().map(|command| command.key);
                let members = [key].into_iter().chain(commands).flat_map(|key| self.reaper.members(key));
                let error = supervised.still_running(&members.collect::<Vec<_>>());
                supervised.spec.context.log.write(Level::Error, format_args!("{error}"));
                supervised.answer_stop(&Err(error));
            }
            MachineAction::Announce(announcement) => self.announce(key, announcement),
        }
    }

    pub(super) fn announce(&mut self, key: ProcessKey, announcement: Announcement) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        let happened = match announcement {
            Announcement::Waiting(wait) => {
                fail::point("backoff:begun");
                ProxyOccurrence::Waiting { wait }
            }
            Announcement::Ready => return supervised.announce_ready(),
            Announcement::NotReady => return supervised.announce_not_ready(),
            Announcement::Stopping => {
                ProxyOccurrence::Stopping { pid: supervised.pid, generation: supervised.numbers.generation }
            }
            // The proxy has another generation. With the last of them it is announced.
            Announcement::Stopped if supervised.rare.partner.is_some() || supervised.rare.handover.is_some() => return,
            Announcement::Stopped => ProxyOccurrence::Stopped,
            Announcement::Failed => ProxyOccurrence::Failed { error: supervised.rare.last_error.as_ref() },
            Announcement::Rests { rest, by_exit } => return supervised.announce_rest(rest, by_exit),
        };
        supervised.spec.context.publisher.of_proxy(&supervised.slot.id, happened);
    }
}
