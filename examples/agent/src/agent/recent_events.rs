// SPDX-License-Identifier: MPL-2.0
//! The last events of the manager, for those who ask afterwards.

use std::collections::VecDeque;

use proxyprocess::{Event, Events, defaults};

/// The last events: as many as the manager keeps for a reader that fell behind. They are read when they are asked for, so that
/// nothing is done for them while no command asks.
pub(super) struct RecentEvents {
    reader: Events,
    kept: VecDeque<Event>,
}

impl RecentEvents {
    pub(super) fn of(reader: Events) -> RecentEvents {
        RecentEvents { reader, kept: VecDeque::new() }
    }

    pub(super) fn all(&mut self) -> Vec<Event> {
        while let Some(event) = self.reader.try_next() {
            if self.kept.len() == defaults::EVENT_CAPACITY {
                self.kept.pop_front();
            }
            self.kept.push_back(event);
        }
        self.kept.iter().cloned().collect()
    }
}
