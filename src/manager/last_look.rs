// SPDX-License-Identifier: MPL-2.0
//! What a status has found out besides what the supervisor knows, for one that cannot find it out in time.

use std::sync::Arc;

use crossbeam_channel::Receiver;

use super::managed_set::{Managed, ManagedSet};
use crate::declaration::ExecMode;
use crate::error::Error;
use crate::lifecycle::ProxyState;
use crate::supervisor::ProxyStatus;

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
}

/// What the supervisor does not know, by id.
#[derive(Debug, Default)]
pub(super) struct Unsupervised {
    /// Declared, and without a process.
    pub(super) declared: Vec<ProxyStatus>,
    /// Wanted, and not even tried.
    pub(super) held: Vec<ProxyStatus>,
}

impl Unsupervised {
    pub(super) fn of(core: &ManagedSet, supervised: &[ProxyStatus]) -> Unsupervised {
        let mut supervised = supervised.iter().map(|status| status.id.as_str()).peekable();
        let mut declared = Vec::new();
        for (id, managed) in &core.managed {
            while supervised.next_if(|known| *known < &**id).is_some() {}
            if supervised.next_if(|known| *known == &**id).is_none() {
                declared.push(match managed {
                    Managed::Daemon(daemon) => {
                        let state = if daemon.spec.is_paused() { ProxyState::Paused } else { ProxyState::Idle };
                        ProxyStatus::new(id, &ExecMode::DAEMON, state)
                    }
                    Managed::Custom(other) => other.status(),
                });
            }
        }
        Unsupervised { declared, held: core.held.values().cloned().collect() }
    }
}
