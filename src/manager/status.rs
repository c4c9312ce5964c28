// SPDX-License-Identifier: MPL-2.0
//! What all proxies are doing: what the supervisor knows, what is declared, and what cannot be followed now.

use std::cmp::Ordering;
use std::iter::Peekable;

use super::Manager;
use super::managed_set::{Managed, ManagedSet};
use crate::declaration::ExecMode;
use crate::lifecycle::ProxyState;
use crate::supervisor::ProxyStatus;

impl Manager {
    /// The body of [`Manager::status`].
    pub(super) fn look(&self) -> Vec<ProxyStatus> {
        if self.check_usable().is_err() {
            return Vec::new(); // a worker that the host forked off has none
        }
        // Not under the lock, for it is answered by another thread.
        let supervisor = self.core().supervisor.clone();
        let supervised = supervisor.and_then(|supervisor| supervisor.status(self.owner).ok());
        let mut all = of_all(&self.core(), supervised.unwrap_or_default());
        if let Some(error) = self.data_dir.as_ref().and_then(|data_dir| data_dir.removed()) {
            for status in all.iter_mut().filter(|status| status.last_error.is_none()) {
                status.last_error = Some(error.to_string());
            }
            // Noticed here, it is mended there.
            self.control.nudge();
        }
        all
    }
}

/// All by id, in one pass: what the supervisor knows is better than what is merely declared.
fn of_all(core: &ManagedSet, supervised: Vec<ProxyStatus>) -> Vec<ProxyStatus> {
    let mut all = Vec::with_capacity(supervised.len().max(core.managed.len()));
    let mut supervised = supervised.into_iter().peekable();
    for (id, managed) in &core.managed {
        if take_until(&mut all, &mut supervised, id).is_none() {
            all.push(match managed {
                Managed::Daemon(daemon) => {
                    let state = if daemon.spec.is_paused() { ProxyState::Paused } else { ProxyState::Idle };
                    ProxyStatus::new(id, &ExecMode::DAEMON, state)
                }
                Managed::Custom(other) => other.status(),
            });
        }
    }
    all.extend(supervised);
    if core.held.is_empty() {
        return all;
    }
    let mut told = Vec::with_capacity(all.len() + core.held.len());
    let mut all = all.into_iter().peekable();
    for (id, held) in &core.held {
        match take_until(&mut told, &mut all, id) {
            // What goes on under the same id is reported, and why it is not what is wanted.
            Some(known) => known.last_error.clone_from(&held.last_error),
            None => told.push(held.clone()),
        }
    }
    told.extend(all);
    told
}

/// Moves those that come before an id, and the one that has it, which is returned.
fn take_until<'to>(
    to: &'to mut Vec<ProxyStatus>,
    from: &mut Peekable<impl Iterator<Item = ProxyStatus>>,
    id: &str,
) -> Option<&'to mut ProxyStatus> {
    loop {
        let order = from.peek()?.id.as_str().cmp(id);
        if order == Ordering::Greater {
            return None;
        }
        to.extend(from.next());
        if order == Ordering::Equal {
            return to.last_mut();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_before_an_id_is_moved_and_what_has_it_is_found() {
        let status = |id: &&str| ProxyStatus::new(id, &ExecMode::DAEMON, ProxyState::Running);
        let mut from = ["a", "b", "d"].iter().map(status).peekable();
        let mut to = Vec::new();
        assert_eq!(take_until(&mut to, &mut from, "b").map(|found| found.id.clone()).as_deref(), Some("b"));
        assert_eq!(take_until(&mut to, &mut from, "c"), None);
        assert_eq!(to.len(), 2);
        assert_eq!(take_until(&mut to, &mut from, "e"), None);
        assert_eq!(to.iter().map(|status| status.id.as_str()).collect::<Vec<_>>(), ["a", "b", "d"]);
    }
}
