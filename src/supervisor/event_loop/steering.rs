// SPDX-License-Identifier: MPL-2.0
//! What the event loop does when a user controls one proxy: restart, signals, and waits for a state.

use super::EventLoop;
use super::supervised::Supervised;
use crate::error::{Error, ErrorCode, Result, excerpt};
use crate::lifecycle::ProxyState;
use crate::lifecycle::machine_event::MachineEvent;
use crate::logging::Level;
use crate::supervisor::mailbox::{Slot, Steering};
use crate::supervisor::refusals::{not_managed, not_running, paused};
use crate::supervisor::state_waiters::StateWaiter;
use crate::sys::signal::Signal;

impl EventLoop {
    pub(super) fn steer(&mut self, slot: &Slot, what: Steering) -> Result<()> {
        let supervised = self.declared(slot)?;
        let (key, log) = (supervised.key, supervised.spec.context.log.clone());
        if supervised.spec.is_paused() && what != Steering::ResetCrashes {
            return Err(paused(&slot.id));
        }
        match what {
            Steering::Restart => {
                log.about(Level::Info, &slot.id, format_args!("restart requested"));
                if !self.restart_if_possible(slot, key) {
                    self.drive(key, MachineEvent::Restart);
                }
            }
            Steering::Retry => {
                log.about(Level::Info, &slot.id, format_args!("retry requested"));
                self.foresee(key);
                for key in self.generations_of(key) {
                    self.drive(key, MachineEvent::Retry);
                }
            }
            Steering::ResetCrashes => {
                for key in self.generations_of(key) {
                    self.drive(key, MachineEvent::ResetCrashes);
                    if let Some(supervised) = self.slots.get_mut(&key) {
                        supervised.starts = supervised.starts.min(1);
                    }
                }
            }
        }
        Ok(())
    }

    /// Also to one that is being stopped.
    pub(super) fn signal_leader(&mut self, slot: &Slot, signal: Signal) -> Result<()> {
        let supervised = self.keys.get(slot).and_then(|key| self.slots.get(&key));
        let supervised = supervised.ok_or_else(|| not_managed(&slot.id))?;
        let state = supervised.machine.state();
        let Some(pid) = supervised.pid else { return Err(without_process(supervised)) };
        let failed = |error: std::io::Error| {
            let what = format_args!("proxy {}: send {signal} to pid {pid}", excerpt(&slot.id));
            Error::os(ErrorCode::Io, what, &error)
        };
        if !self.reaper.signal_leader(supervised.key, signal).map_err(failed)? {
            return Err(not_running(&slot.id, state));
        }
        let log = &supervised.spec.context.log;
        log.about(Level::Info, &slot.id, format_args!("{signal} sent to pid {pid}, as requested"));
        Ok(())
    }

    pub(super) fn await_state(&mut self, slot: &Slot, waiter: StateWaiter) {
        let Ok(key) = self.declared(slot).map(|supervised| supervised.key) else { return };
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        supervised.rare.state_waiters.add(waiter);
        supervised.tell_state_waiters();
        self.tell_of_failed_next(key);
        if let Some(supervised) = self.slots.get_mut(&key) {
            supervised.rare.tidy();
        }
    }

    /// The slot of a proxy that is not being removed.
    fn declared(&self, slot: &Slot) -> Result<&Supervised> {
        let supervised = self.keys.get(slot).and_then(|key| self.slots.get(&key));
        let declared = supervised.filter(|supervised| !supervised.forget);
        declared.map(|supervised| &**supervised).ok_or_else(|| not_managed(&slot.id))
    }
}

/// Why there is no process to be signalled.
pub(super) fn without_process(supervised: &Supervised) -> Error {
    match supervised.state() {
        ProxyState::Paused => paused(&supervised.slot.id),
        state => not_running(&supervised.slot.id, state),
    }
}
