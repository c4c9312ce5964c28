// SPDX-License-Identifier: MPL-2.0
//! Ways into what is private, for `benches/micro.rs`. No part of the interface: it changes without notice.

#![allow(missing_docs, missing_debug_implementations, reason = "the names are those of the benchmarks")]

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Instant;

use crate::declaration::ProxyConfig;
use crate::error::Result;
use crate::lifecycle::machine::Machine;
use crate::lifecycle::machine_event::{MachineEvent, Settings};
use crate::lifecycle::readiness::Readiness;
use crate::lifecycle::restart_policy::End;
use crate::lifecycle::{RestartSettings, StopSettings};
use crate::manager::{Manager, ManagerOptions};
use crate::state::State;
use crate::store::snapshot;
use crate::store::snapshot_entry::{DaemonEntry, Entry, StoredProcess};

/// A machine whose process runs long enough each time to be healthy.
pub struct Life {
    machine: Machine,
    restart: RestartSettings,
    stop: StopSettings,
    now: Instant,
}

impl Life {
    pub fn begin() -> Life {
        let (restart, stop) = Default::default();
        let mut life = Life { machine: Machine::new(), restart, stop, now: Instant::now() };
        life.tell(MachineEvent::Start);
        life.tell(MachineEvent::Spawned);
        life
    }

    /// Two steps: the process ends, and its successor runs. Says how many actions that takes.
    pub fn crash_and_come_back(&mut self) -> usize {
        self.now += self.restart.healthy_after;
        self.tell(MachineEvent::Exited { group_left: false, quietly: false, end: End::Unexpected })
            + self.tell(MachineEvent::Spawned)
    }

    fn tell(&mut self, event: MachineEvent) -> usize {
        let (restart, stop, readiness) = (&self.restart, &self.stop, Readiness::Started);
        let settings = Settings { restart, stop, readiness, needs_turn: false };
        self.machine.on(event, self.now, settings, 0.0).len()
    }
}

/// A manager that has followed its state once, without a process.
pub struct Planned {
    manager: Manager,
}

impl Planned {
    /// # Errors
    /// As [`Manager::new`].
    pub fn follow(state: &State) -> Result<Planned> {
        let manager = Manager::new(state.clone(), ManagerOptions::default())?;
        manager.follow_on_paper();
        Ok(Planned { manager })
    }

    /// How many steps the next sync has. It reads what changed since.
    pub fn steps(&self) -> usize {
        self.manager.steps_on_paper(false)
    }

    /// The same when it reads and compares all.
    pub fn steps_of_all(&self) -> usize {
        self.manager.steps_on_paper(true)
    }
}

/// What a snapshot is made of.
pub struct Entries(BTreeMap<String, Entry>);

impl Entries {
    pub fn of(state: &State) -> Entries {
        let entry = |config: ProxyConfig| {
            Entry::Daemon(DaemonEntry { config: Arc::new(config), process: StoredProcess::None, paused: false })
        };
        Entries(state.list().into_iter().map(|(id, config)| (id, entry(config))).collect())
    }

    /// # Errors
    /// Those of `out`.
    pub fn encode(&self, out: &mut impl Write) -> io::Result<()> {
        snapshot::encode(self.0.iter().map(|(id, entry)| (id.as_str(), entry.clone())), out)
    }

    /// Says how many entries there are.
    ///
    /// # Errors
    /// As [`Manager::restore`].
    pub fn decode(text: &[u8]) -> Result<usize> {
        Ok(snapshot::decode(text)?.proxies.len())
    }
}
