// SPDX-License-Identifier: MPL-2.0
//! The supervisor of a manager, if it has one, for callers that must not wait for its managed set.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::supervisor::Supervisor;

/// There from the first restore or run on, until the end. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct CurrentSupervisor(Arc<Mutex<Option<Arc<Supervisor>>>>);

impl CurrentSupervisor {
    pub(super) fn get(&self) -> Option<Arc<Supervisor>> {
        self.lock().clone()
    }

    pub(super) fn set(&self, supervisor: Arc<Supervisor>) {
        *self.lock() = Some(supervisor);
    }

    pub(super) fn take(&self) -> Option<Arc<Supervisor>> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Supervisor>>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
