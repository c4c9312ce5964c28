// SPDX-License-Identifier: MPL-2.0
//! The keys of all supervised processes, by owner: the time for a request of one owner must not depend on how many
//! processes all other owners have.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::supervisor::mailbox::{Owner, Slot};
use crate::supervisor::process_key::{ProcessKey, new_key};

/// In the order of owners, and of the ids of each.
#[derive(Debug, Default)]
pub(crate) struct Keys(BTreeMap<Slot, ProcessKey>);

impl Keys {
    pub(crate) fn get(&self, slot: &Slot) -> Option<ProcessKey> {
        self.0.get(slot).copied()
    }

    pub(crate) fn get_or_draw(&mut self, slot: &Slot) -> ProcessKey {
        *self.0.entry(slot.clone()).or_insert_with(new_key)
    }

    /// Has the id of a slot lead to another process of it.
    pub(crate) fn lead_to(&mut self, slot: &Slot, key: ProcessKey) {
        self.0.insert(slot.clone(), key);
    }

    pub(crate) fn remove(&mut self, slot: &Slot) {
        self.0.remove(slot);
    }

    /// Those of one owner, by id.
    pub(crate) fn of(&self, owner: Owner) -> impl Iterator<Item = ProcessKey> {
        let first = Slot { owner, id: Arc::default() };
        self.0.range(first..).take_while(move |(slot, _)| slot.owner == owner).map(|(_, key)| *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(owner: Owner, id: &str) -> Slot {
        Slot { owner, id: id.into() }
    }

    #[test]
    fn owner_has_its_own_keys_only() {
        let mut keys = Keys::default();
        let b = keys.get_or_draw(&slot(2, "b"));
        let a = keys.get_or_draw(&slot(2, ""));
        let other = keys.get_or_draw(&slot(1, "b"));
        keys.get_or_draw(&slot(3, "a"));
        assert_eq!(keys.get_or_draw(&slot(2, "b")), b);
        assert_eq!(keys.of(2).collect::<Vec<_>>(), [a, b]);
        assert_eq!(keys.of(1).collect::<Vec<_>>(), [other]);
        assert_eq!(keys.of(0).chain(keys.of(4)).count(), 0);
        keys.remove(&slot(2, ""));
        assert_eq!((keys.get(&slot(2, "")), keys.get(&slot(2, "b"))), (None, Some(b)));
        assert_eq!(keys.of(2).collect::<Vec<_>>(), [b]);
    }
}
