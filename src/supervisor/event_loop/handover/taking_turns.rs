// SPDX-License-Identifier: MPL-2.0
//! When a next generation requests its turn, gets it, and returns it.

use super::super::EventLoop;
use super::turns::Turn;
use crate::lifecycle::machine_event::MachineEvent;
use crate::supervisor::mailbox::Owner;
use crate::supervisor::process_key::ProcessKey;

impl EventLoop {
    /// The start of a next generation is due.
    pub(crate) fn ask_turn(&mut self, key: ProcessKey) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        let owner = supervised.slot.owner;
        supervised.rare.turn = self.turns.ask(owner, key);
        self.give_turns(owner);
    }

    /// A next generation that an earlier agent has started has its turn, however many there are.
    pub(super) fn hold_turn(&mut self, key: ProcessKey) {
        if let Some(supervised) = self.slots.get_mut(&key) {
            supervised.rare.turn = self.turns.hold(supervised.slot.owner);
        }
    }

    /// After each step of a machine: whether it goes on waiting for its turn, or having it.
    pub(crate) fn tend_turn(&mut self, key: ProcessKey) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        let is_next = supervised.rare.partner.is_some();
        let goes_on = match supervised.rare.turn {
            Turn::None => return,
            Turn::Awaited(_) => supervised.machine.awaits_turn(),
            Turn::Held => is_next && supervised.machine.prepares(),
        };
        let owner = supervised.slot.owner;
        match (goes_on, supervised.rare.turn) {
            (true, Turn::Held) => return,
            // More may be allowed by now.
            (true, _) => {}
            (false, _) => self.turns.give_back(owner, std::mem::take(&mut supervised.rare.turn)),
        }
        self.give_turns(owner);
    }

    /// The slot is gone.
    pub(crate) fn give_back_turn(&mut self, owner: Owner, turn: Turn) {
        if turn != Turn::None {
            self.turns.give_back(owner, turn);
            self.give_turns(owner);
        }
    }

    fn give_turns(&mut self, owner: Owner) {
        while let Some((key, held)) = self.turns.first(owner) {
            let Some(supervised) = self.slots.get_mut(&key) else { return };
            // Its manager is being closed: the next agent starts it.
            if held >= supervised.spec.context.max_handovers || supervised.rare.released.is_some() {
                return;
            }
            self.turns.give_back(owner, supervised.rare.turn);
            supervised.rare.turn = self.turns.hold(owner);
            self.drive(key, MachineEvent::Turn);
        }
    }
}
