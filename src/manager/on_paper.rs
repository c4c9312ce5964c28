//! What a sync thinks before it does anything, for benchmarks of the thinking.

use std::sync::Arc;

use super::Manager;
use super::core::{Managed, ManagedDaemon};
use super::plan::plan;

impl Manager {
    /// Takes all that is wanted for managed, without starting anything.
    pub(crate) fn follow_on_paper(&self) {
        let mut core = self.core();
        for (id, config) in self.state.read() {
            let daemon = ManagedDaemon { spec: Arc::new(core.spec(&id, &config)), version1: None };
            core.managed.insert(id, Managed::Daemon(daemon));
        }
    }

    /// How many steps there are from what is managed to what is wanted.
    pub(crate) fn steps_on_paper(&self) -> usize {
        let (core, desired) = (self.core(), self.state.read());
        plan(&core.managed, &desired, |managed, wanted| core.relation(managed, wanted)).len()
    }
}
