// SPDX-License-Identifier: MPL-2.0
//! How many handovers of one manager prepare a next generation at the same time. The others wait for their turn, in the
//! order of their requests, while their current generations keep serving.
//!
//! A next generation has its turn from its start until it is ready or waits after a failure. Then it requests a new
//! turn, so that one that always fails does not block the others.

use std::collections::{BTreeMap, HashMap};

use crate::supervisor::mailbox::Owner;
use crate::supervisor::process_key::ProcessKey;

/// What the slot of a next generation knows of its turn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Turn {
    #[default]
    None,
    /// It has asked, as the one with this number.
    Awaited(u64),
    Held,
}

/// The turns of all managers.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    of_owners: HashMap<Owner, OwnerTurns>,
    asked: u64,
}

/// Those of one manager; there while there are any.
#[derive(Debug, Default)]
struct OwnerTurns {
    held: usize,
    /// Which wait, by the numbers that they were given.
    awaited: BTreeMap<u64, ProcessKey>,
}

impl Turns {
    pub(super) fn ask(&mut self, owner: Owner, key: ProcessKey) -> Turn {
        self.asked += 1;
        self.of_owners.entry(owner).or_default().awaited.insert(self.asked, key);
        Turn::Awaited(self.asked)
    }

    pub(super) fn hold(&mut self, owner: Owner) -> Turn {
        self.of_owners.entry(owner).or_default().held += 1;
        Turn::Held
    }

    pub(super) fn give_back(&mut self, owner: Owner, turn: Turn) {
        let Some(of_owner) = self.of_owners.get_mut(&owner) else { return };
        match turn {
            Turn::None => {}
            Turn::Awaited(number) => drop(of_owner.awaited.remove(&number)),
            Turn::Held => of_owner.held -= 1,
        }
        if of_owner.held == 0 && of_owner.awaited.is_empty() {
            self.of_owners.remove(&owner);
        }
    }

    /// The one that waits longest, and how many have their turn.
    pub(super) fn first(&self, owner: Owner) -> Option<(ProcessKey, usize)> {
        let of_owner = self.of_owners.get(&owner)?;
        of_owner.awaited.first_key_value().map(|(_, key)| (*key, of_owner.held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_given_in_the_order_in_which_they_were_asked_for_and_nothing_is_left() {
        let mut turns = Turns::default();
        let asked: Vec<Turn> = [7, 3, 5].into_iter().map(|key| turns.ask(1, key)).collect();
        let other = turns.ask(2, 9);
        assert_eq!((turns.first(1), turns.first(2), turns.first(3)), (Some((7, 0)), Some((9, 0)), None));
        turns.give_back(1, asked[0]);
        let held = turns.hold(1);
        assert_eq!(turns.first(1), Some((3, 1)));
        // One that is not wanted any more leaves the others in their order.
        turns.give_back(1, asked[1]);
        assert_eq!(turns.first(1), Some((5, 1)));
        let again = turns.ask(1, 7);
        assert_eq!(turns.first(1), Some((5, 1)));
        for turn in [held, asked[2], again] {
            turns.give_back(1, turn);
        }
        turns.give_back(2, other);
        assert!(turns.of_owners.is_empty());
        turns.give_back(1, Turn::None);
    }
}
