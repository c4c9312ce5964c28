// SPDX-License-Identifier: MPL-2.0
//! The event loop's handling of descriptors that a process stores.

use std::os::fd::OwnedFd;

use super::EventLoop;
use crate::supervisor::process_key::ProcessKey;

impl EventLoop {
    /// Keeps them while the proxy is declared, as many as it may have.
    pub(super) fn store_descriptors(&mut self, key: ProcessKey, name: &str, descriptors: Vec<OwnedFd>) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        let most = supervised.spec.config.fd_store_max as usize;
        let refused = match most {
            0 => descriptors.len(),
            _ => supervised.rare.sockets.get_or_insert_default().stored.add(name, descriptors, most),
        };
        if refused > 0 {
            supervised.complain(&format!("{refused} descriptors were closed and not stored: fd_store_max is {most}"));
        }
    }

    /// Closes those of this name.
    pub(super) fn remove_stored(&mut self, key: ProcessKey, name: &str) {
        let sockets = self.slots.get(&key).and_then(|supervised| supervised.rare.sockets.as_ref());
        if let Some(sockets) = sockets {
            sockets.stored.remove(name);
        }
    }
}
