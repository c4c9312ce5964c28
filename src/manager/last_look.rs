// SPDX-License-Identifier: MPL-2.0
//! The result of the last look at the data directory, for a status that cannot wait for a new one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::Receiver;

use super::managed::Declared;
use crate::error::Error;
use crate::supervisor::{LogSizes, ProxyStatus};

/// What was found out last. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedLook(Arc<Mutex<LastLook>>);

impl SharedLook {
    pub(super) fn lock(&self) -> MutexGuard<'_, LastLook> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A sync is about to begin these, and may wait for the disk first.
    pub(super) fn begin(&self, begun: impl Iterator<Item = (Arc<str>, Declared)>) {
        let mut last = self.lock();
        let declared = &mut Arc::make_mut(&mut last.unsupervised).declared;
        declared.extend(begun);
        declared.sort_by(|(one, _), (other, _)| one.cmp(other));
        declared.dedup_by(|(one, _), (other, _)| one == other);
    }

    /// The supervisor knows all daemons.
    pub(super) fn all_are_supervised(&self) {
        let mut last = self.lock();
        let declared = &mut Arc::make_mut(&mut last.unsupervised).declared;
        declared.retain(|(_, declared)| matches!(declared, Declared::Other(_)));
        declared.shrink_to_fit();
    }
}

/// What was found out last.
#[derive(Debug, Default)]
pub(super) struct LastLook {
    pub(super) unsupervised: Arc<Unsupervised>,
    /// Whether the managed set was waited for in vain.
    pub(super) is_held_up: bool,
    /// What was wrong with the data directory.
    pub(super) trouble: Option<Error>,
    /// The answer of a look at it that was not waited for any longer.
    pub(super) late: Option<Receiver<Option<Error>>>,
    /// The sizes of logs that were not waited for any longer.
    pub(super) late_sizes: Option<Receiver<Vec<LogSizes>>>,
}

/// What the supervisor does not know, by id.
#[derive(Debug, Clone, Default)]
pub(super) struct Unsupervised {
    /// Declared, and without a process.
    pub(super) declared: Vec<(Arc<str>, Declared)>,
    /// Wanted, and not even tried.
    pub(super) held: Vec<ProxyStatus>,
}
