// SPDX-License-Identifier: MPL-2.0
//! What the event loop does about the descriptors that a process hands over to be kept.

use std::os::fd::OwnedFd;
use std::time::Instant;

use super::EventLoop;
use crate::logging::Level;
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
        let Some(notifications) = supervised.rare.notifications.as_mut().filter(|_| refused > 0) else { return };
        let wrong = format!("{refused} descriptors were closed and not stored: fd_store_max is {most}");
        if let Some(complaint) = notifications.complain(&wrong, Instant::now()) {
            supervised.spec.context.log.about(Level::Warn, &supervised.slot.id, format_args!("{complaint}"));
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
