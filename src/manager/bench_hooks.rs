// SPDX-License-Identifier: MPL-2.0
//! Hooks for benchmarks: the plan of a sync, without its effects.

use std::sync::Arc;

use super::Manager;
use super::managed::{Managed, ManagedDaemon};
use super::sync_plan::plan;

impl Manager {
    /// Marks everything that is wanted as managed, without starting anything.
    pub(crate) fn follow_on_paper(&self) {
        let mut core = self.core();
        let state = self.state().changes_since(None);
        for (id, config) in state.wanted {
            let daemon = ManagedDaemon { spec: Arc::new(core.spec(&id, &config)), consul: None };
            core.managed.insert(id, Managed::Daemon(daemon));
        }
        core.seen = Some(state.version);
    }

    /// How many steps there are from what is managed to what is wanted: of what changed since it was followed, or (`all`)
    /// of everything.
    pub(crate) fn steps_on_paper(&self, all: bool) -> usize {
        let core = self.core();
        let state = self.state().changes_since(if all { None } else { core.seen });
        plan(&core.managed, &state.wanted, state.ids.as_ref(), |managed, wanted| core.relation(managed, wanted)).len()
    }
}
