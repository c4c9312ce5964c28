// SPDX-License-Identifier: MPL-2.0
//! Keeping the limits of a cgroup as declared, and detecting a kill for lack of memory.

use std::time::Instant;

use super::EventLoop;
use super::missing_limits::MissingLimits;
use super::repair::repair_wait;
use super::supervised::Supervised;
use crate::error::Result;
use crate::lifecycle::machine_event::MachineEvent;
use crate::logging::Level;
use crate::supervisor::process_key::ProcessKey;
use crate::supervisor::spawner::job::Job;
use crate::supervisor::spec::Spec;
use crate::sys::wait::ExitStatus;

impl EventLoop {
    /// Its declaration was `before`. A process that is being started has its limits by then.
    pub(super) fn limit_anew(&mut self, key: ProcessKey, before: &Spec) {
        let changed = |it: &&Supervised| it.machine.runs() && it.spec.config.limits != before.config.limits;
        if self.slots.get(&key).map(|supervised| &**supervised).filter(changed).is_some() {
            self.limit(key);
        }
    }

    /// Its process was started or adopted, with the limits of `started`.
    pub(super) fn limit_begun(&mut self, key: ProcessKey, event: MachineEvent, started: &Spec) {
        match event {
            // A detached one has those of its memory from now on.
            MachineEvent::Spawned if started.is_limited_later() => self.limit(key),
            MachineEvent::Spawned => self.limit_anew(key, started),
            // They may have changed while no agent was there.
            MachineEvent::Adopted { .. } => self.limit(key),
            _ => {}
        }
    }

    /// Has its process have the limits that are declared; one that is about to be replaced, or of which nothing is declared, keeps
    /// what it has.
    fn limit(&mut self, key: ProcessKey) {
        let Some(supervised) = self.slots.get_mut(&key).filter(|supervised| supervised.machine.runs()) else { return };
        if supervised.spec.may_be_limited() {
            let job = Job::Limit { key, spec: supervised.spec.clone(), cgroup: supervised.cgroup().cloned() };
            self.submit(key, job);
        } else if supervised.rare.limits.is_some() {
            supervised.rare.limits = None;
        }
    }

    /// Tries again what could not be limited, when it is time.
    pub(super) fn limit_if_due(&mut self, key: ProcessKey, now: Instant) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        let Some(missing) = supervised.rare.limits.as_mut() else { return };
        if missing.retry_at.take_if(|at| *at <= now).is_some() {
            self.limit(key);
        }
    }

    /// Takes note of whether its process has its limits.
    pub(super) fn limited(&mut self, key: ProcessKey, has_cgroup: bool, result: Result<()>) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        if let Some(at) = supervised.note_limits(has_cgroup, result) {
            self.timers.arm(at, key);
        }
    }
}

impl Supervised {
    /// When it is tried again, if it is.
    fn note_limits(&mut self, has_cgroup: bool, result: Result<()>) -> Option<Instant> {
        let before = self.rare.limits.take();
        // A start that fails for want of them says so itself.
        let error = result.err().filter(|_| self.machine.runs())?;
        if before.as_ref().is_none_or(|before| before.error.to_string() != error.to_string()) {
            self.spec.context.log.about(Level::Error, &self.slot.id, format_args!("{error}"));
        }
        let failures = before.map_or(0, |before| before.failures.saturating_add(1));
        let retry_at = has_cgroup.then(|| Instant::now() + repair_wait(failures));
        self.rare.limits = Some(Box::new(MissingLimits { error, retry_at, failures }));
        retry_at
    }

    /// Notes how many processes the kernel had killed for lack of memory before this process was there.
    pub(super) fn note_oom_kills(&mut self, count: u64) {
        if self.rare.oom_kills != count {
            self.rare.oom_kills = count;
        }
        if self.rare.limits.is_some() {
            self.rare.limits = None;
        }
    }

    /// Whether the kernel killed the process for lack of memory, or another process of the proxy before it.
    pub(super) fn was_ended_for_memory(&self, exit: ExitStatus) -> Option<bool> {
        let was_killed = matches!(exit, ExitStatus::Signaled { signal: libc::SIGKILL, .. });
        let cgroup = self.cgroup().filter(|_| was_killed);
        Some(self.spec.oom_kills(cgroup.map(|cgroup| &**cgroup))? > self.rare.oom_kills)
    }
}
