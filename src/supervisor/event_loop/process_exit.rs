// SPDX-License-Identifier: MPL-2.0
//! From the report that a process may have ended to its exit event, and what that causes.

use super::EventLoop;
use super::supervised::Supervised;
use crate::lifecycle::machine_event::{MachineAction, MachineEvent};
use crate::lifecycle::{EndedBy, ProxyState};
use crate::supervisor::events::ProxyOccurrence;
use crate::supervisor::process_key::ProcessKey;
use crate::supervisor::reaper::{Exit, Leftovers};
use crate::sys::wait::ExitStatus;
use crate::sys::{fail, pidfd};

impl EventLoop {
    pub(super) fn check_exit(&mut self, key: ProcessKey) {
        // A process that is skipped now is reported again.
        if fail::failing("exit:seen").is_err() {
            return;
        }
        if let Some(&process) = self.processes_of_commands.get(&key) {
            return self.check_command(key, process);
        }
        // ORDER: a start is reported before its end. What is left in a list of the process before, which had the same key, can
        // name a process that was started meanwhile; its own end is reported again, once it is waited for.
        let is_told = |supervised: &Supervised| {
            !supervised.machine.is_starting() && supervised.machine.state() != ProxyState::Adopting
        };
        if !self.slots.get(&key).is_none_or(|supervised| is_told(supervised)) {
            return;
        }
        if self.holds_exit(key) {
            return;
        }
        let kills =
            |supervised: &Supervised| supervised.machine.runs() && supervised.spec.config.stop.leftover_grace.is_zero();
        let kills = self.slots.get(&key).is_some_and(|supervised| kills(supervised));
        let leftovers = if kills { Leftovers::Kill } else { Leftovers::Leave };
        // ORDER: before Linux 6.9 the rest of its group is ended by what tells its end, and may be gone before it is looked for.
        let has_left = kills && self.slots.get(&key).is_some_and(|supervised| supervised.has_left_early());
        if let Some(exit) = self.reaper.take_exit(key, leftovers) {
            self.exited(key, exit, has_left);
        }
    }

    /// `has_left`: processes of it were seen that have not ended with it.
    pub(super) fn exited(&mut self, key: ProcessKey, exit: Exit, has_left: bool) {
        let Exit { pid, status, group_left, zombie } = exit;
        // ORDER: before its end is told, what it said last; what it has stored is for the next one.
        self.read_all_notifications(key);
        if zombie.is_some() {
            if let Some(supervised) = self.slots.get_mut(&key) {
                supervised.rare.zombies.extend(zombie);
            }
            self.drive(key, MachineEvent::Unreaped);
        }
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        fail::point("exit:told");
        supervised.note_end(status);
        supervised.end_reloads(status);
        supervised.pid = None;
        if supervised.rare.notifications.is_some() {
            supervised.rare.notifications = None;
        }
        if supervised.rare.beside.is_some() {
            supervised.rare.beside = None;
        }
        if !pidfd::signals_groups() || supervised.group != Some(pid) {
            // Only a process that is no child of ours has a claim, or one that leads in place of one: nothing keeps the pid of
            // its group from being recycled when it is gone.
            if let Some(claim) = supervised.claim.take() {
                supervised.rare.uncleared = Some(claim);
            }
        }
        if let Some(since) = supervised.machine.running_since() {
            supervised.ended_by_itself(status, since.elapsed());
            if has_left {
                supervised.suspect_background();
            }
        }
        let end = supervised.end_by(status);
        let (id, context) = (supervised.slot.id.clone(), supervised.spec.context.clone());
        let expected = supervised.last_end().expected == Some(true);
        let exited = ProxyOccurrence::Exited { pid, status, expected, generation: supervised.numbers.generation };
        let publish = || context.publisher.of_proxy(&id, exited);
        // A scan finds what is left of a group that could not be signalled: what is to have its time, and what is not
        // proven to be of it and holds the start.
        let unsignalled = supervised.rare.uncleared.is_some();
        let quietly = unsignalled || matches!(status, ExitStatus::Exited(0) | ExitStatus::Unknown);
        // A command that is run for it is killed now, and waited for as if it were of the group.
        let group_left = group_left || !supervised.rare.commands.is_empty();
        // What a crash has left elsewhere in its cgroup is found at once, and is in the way of no successor.
        let follows = supervised.machine.runs() || supervised.machine.ended_by() == EndedBy::Watchdog;
        let group_left = follows && supervised.note_left_in_cgroup() || group_left;
        self.tell_current_of_end(key);
        self.told_of_exit(key);
        let is_replaced = self.replaced_by_end(key);
        let Some(mut actions) = self.step(key, MachineEvent::Exited { group_left, quietly, end }) else { return };
        if is_replaced {
            actions.extend(self.begin_after_end(key));
        }
        if actions == [MachineAction::Spawn] {
            // A successor waits neither for readers of events nor for the host's log.
            self.perform_all(key, actions);
            publish();
        } else {
            publish();
            self.perform_all(key, actions);
        }
    }
}
