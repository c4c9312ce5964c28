// SPDX-License-Identifier: MPL-2.0
//! Another process becomes the leader in place of the one that was waited for.

use super::Reaper;
use super::process::Process;
use super::table::{WatchPhase, Watched};
use crate::supervisor::process_key::{ProcessKey, new_key};
use crate::sys::wait::Reap;

impl Reaper {
    /// Waits for another process under this key from now on. The one before is reaped when it ends, and nothing of its group is
    /// signalled then.
    pub(crate) fn change_leader(&self, key: ProcessKey, leader: Process) {
        let mut table = self.lock();
        self.end_release(&mut table, &leader);
        if let Some(Watched { process, reaped_at, .. }) = table.take_out(key) {
            self.stop_watching(&process);
            let former = new_key();
            table.released.insert(process.pid, former);
            table.processes.insert(former, Watched { process, phase: WatchPhase::FormerLeader, reaped_at });
            self.watch_in(&mut table, former);
        }
        table.processes.insert(key, Watched::new(leader, WatchPhase::Supervised));
        self.watch_in(&mut table, key);
    }

    /// Whether a supervised process has ended. It is not reaped.
    pub(crate) fn has_ended(&self, key: ProcessKey) -> bool {
        let table = self.lock();
        let closely = !table.polled.contains(&key);
        let watched = table
            .processes
            .get(&key)
            .filter(|watched| matches!(watched.phase, WatchPhase::Supervised | WatchPhase::Unreaped { .. }));
        watched.is_some_and(|watched| watched.process.ended(Reap::No, closely).is_some())
    }

    /// Does not report the end of a process that has ended, until [`Reaper::take_exit`] or [`Reaper::change_leader`].
    pub(crate) fn hold_exit(&self, key: ProcessKey) {
        if let Some(watched) = self.lock().processes.get(&key) {
            self.stop_watching(&watched.process);
        }
    }
}
