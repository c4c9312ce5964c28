// SPDX-License-Identifier: MPL-2.0
//! What the event loop does when a user steers one proxy: restart.

use super::EventLoop;
use super::supervised::Supervised;
use crate::error::Result;
use crate::lifecycle::machine_event::MachineEvent;
use crate::logging::Level;
use crate::supervisor::mailbox::{Slot, not_managed};

impl EventLoop {
    pub(super) fn restart(&mut self, slot: &Slot) -> Result<()> {
        let supervised = self.declared(slot)?;
        supervised.spec.context.log.about(Level::Info, &slot.id, format_args!("restart requested"));
        let key = supervised.key;
        self.drive(key, MachineEvent::Restart);
        Ok(())
    }

    /// The slot of a proxy that is not being removed.
    fn declared(&self, slot: &Slot) -> Result<&Supervised> {
        let supervised = self.keys.get(slot).and_then(|key| self.slots.get(&key));
        let declared = supervised.filter(|supervised| !supervised.forget);
        declared.map(|supervised| &**supervised).ok_or_else(|| not_managed(&slot.id))
    }
}
