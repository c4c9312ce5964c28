// SPDX-License-Identifier: MPL-2.0
//! Keeping the limits of a cgroup as they are declared, and telling an end for want of memory from another one.

use super::EventLoop;
use super::pending_repair::RepairTask;
use super::supervised::Supervised;
use crate::error::Result;
use crate::lifecycle::machine_event::MachineEvent;
use crate::supervisor::process_key::ProcessKey;
use crate::supervisor::spawner::job::Job;
use crate::supervisor::spec::Spec;
use crate::sys::cgroup::control;
use crate::sys::wait::ExitStatus;

impl EventLoop {
    /// Its declaration was `before`. A process that is being started has its limits by then.
    pub(super) fn limit_anew(&mut self, key: ProcessKey, before: &Spec) {
        let Some(supervised) = self.slots.get(&key).filter(|supervised| supervised.machine.runs()) else { return };
        if supervised.spec.config.limits != before.config.limits {
            let job = Job::Limit { key, spec: supervised.spec.clone(), cgroup: supervised.cgroup().cloned() };
            self.submit(key, job);
        }
    }

    /// The limits may have changed while its process was started or adopted with those of `started`.
    pub(super) fn limit_again(&mut self, key: ProcessKey, event: MachineEvent, started: &Spec) {
        if matches!(event, MachineEvent::Spawned | MachineEvent::Adopted { .. }) {
            self.limit_anew(key, started);
        }
    }
}

impl Supervised {
    /// Takes note of whether the limits could be set. What could not be before is then no error any more.
    pub(super) fn limited(&mut self, what: RepairTask, result: Result<()>) {
        if result.is_ok() && self.rare.last_error.as_ref().is_some_and(|error| error.to_string().starts_with("limits"))
        {
            self.rare.last_error = None;
        }
        self.note(what, result);
    }

    /// Takes note of how many had been ended for want of memory before its process was there.
    pub(super) fn note_oom_kills(&mut self, count: u64) {
        if self.rare.oom_kills != count {
            self.rare.oom_kills = count;
        }
    }

    /// Whether it was the kernel that has ended its process so, for want of memory.
    pub(super) fn was_ended_for_memory(&self, exit: ExitStatus) -> Option<bool> {
        let was_killed = matches!(exit, ExitStatus::Signaled { signal: libc::SIGKILL, .. });
        let counts = self.spec.context.cgroups.as_ref().is_some_and(|cgroups| cgroups.has_controllers());
        let count = self.cgroup().filter(|_| was_killed && counts).and_then(|cgroup| control::oom_kills(cgroup))?;
        Some(count > self.rare.oom_kills)
    }
}
