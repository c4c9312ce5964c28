// SPDX-License-Identifier: MPL-2.0
//! The sockets of a proxy: which jobs get them.

use std::sync::Arc;

use super::EventLoop;
use super::supervised::Supervised;
use crate::lifecycle::ProxyState;
use crate::supervisor::process_key::ProcessKey;
use crate::supervisor::sockets::ProxySockets;
use crate::supervisor::spawner::job::SocketsToClose;

impl Supervised {
    /// For a start: those of the proxy, if it has any or had some.
    pub(super) fn sockets_for_start(&mut self) -> Option<Arc<ProxySockets>> {
        match &self.rare.sockets {
            None if !self.spec.config.may_have_sockets() => None,
            None => Some(self.rare.sockets.insert(Arc::default()).clone()),
            sockets => sockets.clone(),
        }
    }

    /// For an adoption: those of the proxy, if the process has any or they are declared.
    pub(super) fn sockets_for_adoption(&mut self) -> Option<Arc<ProxySockets>> {
        let has_any = self.claim.as_ref().is_some_and(|claim| !claim.sockets().is_empty());
        if has_any { Some(self.rare.sockets.get_or_insert_default().clone()) } else { self.sockets_for_start() }
    }
}

impl EventLoop {
    /// For a clean-up: those of a proxy that is to be gone, and which of them stay open. While it is declared they all do,
    /// whether a process lives or not; those that only this generation of it had are closed with it.
    pub(super) fn sockets_to_close(&self, key: ProcessKey) -> Option<SocketsToClose> {
        let supervised = self.slots.get(&key).filter(|it| it.machine.state() == ProxyState::Stopped)?;
        let all = supervised.rare.sockets.clone()?;
        let kept = self.sockets_to_keep(key);
        Some(SocketsToClose { all, keeps_stored: kept.is_some(), but: kept.unwrap_or_default() })
    }
}
