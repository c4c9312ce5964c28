// SPDX-License-Identifier: MPL-2.0
//! One supervised process: its machine, its declaration, what is known about it, and the callers that wait for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::handover::turns::Turn;
use super::last_end::LastEnd;
use super::leader::Leader;
use super::rare::{Rare, RareFields};
use super::replacement::Replacement;
use crate::error::{Error, ErrorCode, Result};
use crate::lifecycle::ProxyState;
use crate::lifecycle::machine::Machine;
use crate::lifecycle::machine_event::{MachineAction, MachineEvent, Settings};
use crate::lifecycle::start_numbers::StartNumbers;
use crate::logging::Level;
use crate::supervisor::adoption::claim::Claim;
use crate::supervisor::mailbox::Slot;
use crate::supervisor::process_key::ProcessKey;
use crate::supervisor::reaper::Group;
use crate::supervisor::scan::escaped_process::Escaped;
use crate::supervisor::scan::process_tag::ProcessTag;
use crate::supervisor::scan::unproven_process::Unproven;
use crate::supervisor::spec::Spec;
use crate::supervisor::status::{ProxyStatus, milliseconds_since, milliseconds_until};
use crate::supervisor::zombies::Zombie;
use crate::sys::pid::Pid;
use crate::sys::process_identity::boot_id;

/// A slot of the supervisor.
#[derive(Debug)]
pub(crate) struct Supervised {
    pub(crate) slot: Slot,
    pub(crate) key: ProcessKey,
    pub(crate) machine: Machine,
    /// What should run.
    pub(crate) spec: Arc<Spec>,
    /// What is known of a process that is no child of ours, while it lives: an adopted one, or one that is detached.
    pub(crate) claim: Option<Box<Claim>>,
    /// The last one of which it is known what its processes are known by.
    pub(crate) leader: Option<Leader>,
    /// Its leader, while that lives.
    pub(crate) pid: Option<Pid>,
    /// Its process group, until nothing is left of it: the pid of the process that was started, which may have ended.
    pub(crate) group: Option<Pid>,
    pub(crate) adopted: bool,
    /// Whether any of its processes was, or may have been, a child of an earlier agent.
    pub(crate) was_claimed: bool,
    /// Whether a process of it was started or identified, or was about to be.
    pub(crate) has_begun: bool,
    pub(crate) starts: u64,
    /// Those of its process, or of the last one; the epoch is that of a start as soon as it is decided.
    pub(crate) numbers: StartNumbers,
    /// The last end of a process of it, if any has ended: in a handover that of either generation, for the current one.
    pub(crate) end: Option<Box<LastEnd>>,
    /// When its process was started, by whatever agent, if that is known; or the last one.
    pub(crate) process_started: Option<Instant>,
    /// Where in its log the output of its process begins, if that is known.
    pub(crate) output_begins: Option<u64>,
    /// Its state, and since when it has that.
    pub(crate) state_since: (ProxyState, Instant),
    /// The tick from which on the processes are of it that no scan has covered yet; `None` where that is not known.
    pub(crate) unscanned_since: Option<u64>,
    /// The deadline that the timers know of.
    pub(crate) armed: Option<Instant>,
    /// Whether a job is being done.
    pub(crate) busy: bool,
    /// Drop the slot when its process is gone.
    pub(crate) forget: bool,
    /// A stop is settled as soon as the clean-up is done.
    pub(crate) settle: bool,
    pub(crate) rare: Rare,
}

impl Supervised {
    pub(crate) fn new(slot: Slot, key: ProcessKey, spec: Arc<Spec>) -> Supervised {
        Supervised {
            slot,
            key,
            machine: Machine::new(),
            spec,
            claim: None,
            leader: None,
            pid: None,
            group: None,
            adopted: false,
            was_claimed: false,
            has_begun: false,
            starts: 0,
            numbers: StartNumbers::default(),
            end: None,
            process_started: None,
            output_begins: None,
            state_since: (ProxyState::Idle, Instant::now()),
            unscanned_since: None,
            armed: None,
            busy: false,
            forget: false,
            settle: false,
            rare: Rare::default(),
        }
    }

    pub(crate) fn on(&mut self, event: MachineEvent, now: Instant) -> Vec<MachineAction> {
        let config = &self.spec.config;
        let is_next = self.rare.partner.is_some();
        let readiness = config.ready.readiness(config.start_timeout, is_next);
        let needs_turn = is_next && self.rare.turn != Turn::Held;
        let settings = Settings { restart: &config.restart, stop: &config.stop, readiness, needs_turn };
        let chance = if config.restart.jitter > 0.0 { crate::sys::random::chance() } else { 0.0 };
        self.machine.on(event, now, settings, chance)
    }

    /// Whether something of it is to be done at this instant: of all timers that were ever set, those of which this is said
    /// are kept.
    pub(crate) fn is_due_at(&self, at: Instant) -> bool {
        let repair = self.rare.repair.as_ref().map(|repair| repair.at);
        let notifications = self.rare.notifications.as_ref().map_or([None; 3], |it| it.deadlines());
        let exchange = self.rare.handover.as_ref().and_then(|ongoing| ongoing.exchange_again_at);
        let limits = self.rare.limits.as_ref().and_then(|missing| missing.retry_at);
        let replacement = self.rare.replacement.as_ref().and_then(|replacement| replacement.retry_at);
        [self.armed, self.rare.answer_at, repair, exchange, limits, replacement]
            .iter()
            .chain(&notifications)
            .any(|due| *due == Some(at))
    }

    /// What the proxy is doing: one without a process that is not to have one is paused.
    pub(crate) fn state(&self) -> ProxyState {
        match self.machine.state() {
            ProxyState::Idle | ProxyState::Stopped if self.spec.is_paused() && !self.forget => {
                // As long as another generation is being ended it has a process.
                if self.rare.handover.is_some() { ProxyState::Stopping } else { ProxyState::Paused }
            }
            state => state,
        }
    }

    /// How long its stop may take until SIGKILL.
    pub(crate) fn time_until_kill(&self) -> Duration {
        if self.machine.is_grace_ended() { Duration::ZERO } else { self.spec.config.stop.time_until_kill() }
    }

    pub(crate) fn answer_start(&mut self, result: &Result<()>) {
        for waiter in self.rare.start_waiters.drain(..) {
            // The caller may be gone.
            let _ = waiter.send(result.clone());
        }
    }

    /// Takes away what is to be started in place of its process, if anything is.
    pub(super) fn withdraw_replacement(&mut self) -> Option<Box<Replacement>> {
        // To look with a view to a change would allocate what few have.
        if self.rare.replacement.is_some() { self.rare.replacement.take() } else { None }
    }

    pub(crate) fn answer_stop(&mut self, result: &Result<()>) {
        for waiter in self.rare.stop_waiters.drain(..) {
            waiter.answer(&self.slot, result);
        }
    }

    /// Answers the callers that wait for the state that it has now.
    pub(crate) fn tell_state_waiters(&mut self) {
        // They wait for what is declared now.
        if self.rare.state_waiters.is_empty() || self.is_being_succeeded() {
            return;
        }
        let state = self.state();
        let RareFields { state_waiters, last_error, .. } = &mut *self.rare;
        state_waiters.tell(&self.slot.id, state, last_error.as_ref());
    }

    /// Whether a caller waits for the end of a job, and nothing else has to happen before it is answered.
    pub(crate) fn waits_for_job(&self) -> bool {
        let in_flight = self.machine.is_starting() || self.machine.state() == ProxyState::Adopting;
        let stops = !self.rare.stop_waiters.is_empty() && (in_flight || self.settle);
        stops || (self.rare.released.is_some() && (in_flight || self.busy || !self.rare.commands.is_empty()))
    }

    /// Whether there may be something of it that has to be removed, or to be ended.
    pub(crate) fn needs_clean_up(&self) -> bool {
        self.has_begun || self.was_claimed || self.spec.context.cgroups.is_some()
    }

    /// The process group, in messages.
    pub(crate) fn group_name(&self) -> String {
        match (self.pid, self.group) {
            (Some(pid), _) => format!("the group of pid {pid}"),
            (None, Some(group)) => format!("the group of pid {group}, which has ended"),
            (None, None) => "its processes".to_owned(),
        }
    }

    /// Whether others of its group are left cannot be known now. Said once, for the next probe comes very soon.
    pub(crate) fn group_scan_failed(&mut self, error: &std::io::Error) {
        let what = format_args!("look for what is left of {}", self.group_name());
        let error = Error::os(ErrorCode::Io, what, error);
        if self.rare.last_error.as_ref().is_none_or(|said| said.to_string() != error.to_string()) {
            self.spec.context.log.about(Level::Error, &self.slot.id, format_args!("{error}"));
            self.rare.last_error = Some(error);
        }
    }

    /// Takes note of what there is of its group and of what left that: whether any of it lives.
    pub(crate) fn probed(&mut self, group: &Group) -> bool {
        let (alive, ended) = std::mem::take(&mut self.rare.escaped).into_iter().partition(Escaped::lives);
        self.rare.escaped = alive;
        let ended: Vec<Escaped> = ended;
        for zombie in ended.iter().filter_map(Escaped::zombie) {
            if !self.rare.zombies.contains(&zombie) {
                self.rare.zombies.push(zombie);
            }
        }
        *group == Group::Alive || !self.rare.escaped.is_empty()
    }

    /// Says that the start does not wait for a zombie, or no longer, and which that is.
    pub(crate) fn tell_zombies(&mut self) -> Option<Zombie> {
        let zombie = std::mem::take(&mut self.rare.zombies).into_iter().find(Zombie::is_there)?;
        let message = format!("{zombie}. A program that finds it in a pid file of its own may refuse to start");
        self.spec.context.log.about(Level::Warn, &self.slot.id, format_args!("{message}"));
        self.rare.beside = Some(Error::new(ErrorCode::StillRunning, message));
        Some(zombie)
    }

    /// What the processes of a claim that was taken up, or is void, are known by.
    pub(crate) fn claimed_tag(&self, spec: &Spec) -> ProcessTag {
        let (token, owner_tag) = match self.claim.as_deref() {
            Some(Claim::Recorded { token, owner_tag, .. }) => (token.as_deref(), owner_tag),
            Some(Claim::Snapshot { owner_tag, .. }) => (spec.config.token.as_deref(), owner_tag),
            Some(Claim::PidOnly { .. }) | None => (spec.config.token.as_deref(), &None),
        };
        ProcessTag::of(&spec.id, token, owner_tag.as_deref().unwrap_or(&spec.context.owner_tag))
    }

    /// The tick in which the process of a claim was started that is gone, if it is known. Ticks of another boot say nothing.
    pub(crate) fn claimed_since(&self) -> Option<u64> {
        let (identity, boot) = (self.claim.as_deref()?.identity()?, boot_id().ok()?);
        identity.other_boot(&boot).is_none().then_some(identity.start_ticks)
    }

    pub(crate) fn status(&self) -> ProxyStatus {
        let mut status = ProxyStatus::new(&self.slot.id, &self.spec.config.mode, self.state());
        status.pid = self.pid.map(Pid::as_u32);
        status.adopted = self.adopted;
        status.restarts = self.starts.saturating_sub(1);
        let end = self.last_end();
        (status.last_exit, status.last_exit_by, status.last_exit_expected) = (end.exit, end.by, end.expected);
        status.last_exit_oom = end.oom;
        status.last_stderr.clone_from(&end.last_stderr);
        status.state_ms = Some(milliseconds_since(self.state_since.1));
        status.uptime_ms = self.process_started.filter(|_| self.pid.is_some()).map(milliseconds_since);
        [status.stdout_log, status.stderr_log] = self.spec.log_paths();
        status.cgroup = self.cgroup().map(|cgroup| cgroup.to_path_buf());
        status.next_start_ms = self.machine.next_start().map(milliseconds_until);
        // The last one of all may be long over.
        let missing = self.rare.limits.as_ref().map(|missing| &missing.error);
        let impossible = self.rare.replacement.as_ref().and_then(|replacement| replacement.error.as_ref());
        status.last_error = impossible.or(missing).or(self.rare.last_error.as_ref()).map(Error::to_string);
        status.unproven = self.unproven().into_iter().map(Unproven::to_status).collect();
        status.generation = self.numbers.generation.known();
        if let Some(notifications) = &self.rare.notifications {
            status.ready &= notifications.serves();
            status.status_text = notifications.status_text().map(str::to_owned);
        }
        status.hint = self.hint();
        status
    }
}

#[cfg(test)]
mod tests {
    use super::super::pending_repair::{PendingRepair, RepairTask, StopSignal};
    use super::*;
    use crate::declaration::ProxyConfig;

    #[test]
    fn only_what_was_never_started_or_claimed_needs_no_clean_up() {
        let spec = Arc::new(Spec::for_tests("web", ProxyConfig::new(crate::Command::new("a"))));
        let new = || Supervised::new(Slot { owner: 1, id: "web".into() }, 1, spec.clone());
        assert!(!new().needs_clean_up());
        assert!(Supervised { has_begun: true, ..new() }.needs_clean_up());
        assert!(Supervised { was_claimed: true, ..new() }.needs_clean_up());
    }

    #[test]
    fn each_pending_deadline_of_a_process_keeps_its_timer() {
        let spec = Arc::new(Spec::for_tests("web", ProxyConfig::new(crate::Command::new("a"))));
        let mut supervised = Supervised::new(Slot { owner: 1, id: "web".into() }, 1, spec);
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let due = |it: &Supervised| (0..5u64).filter(|second| it.is_due_at(at(*second))).collect::<Vec<_>>();
        assert!(due(&supervised).is_empty());
        (supervised.armed, supervised.rare.answer_at) = (Some(at(1)), Some(at(2)));
        let error = Error::new(ErrorCode::Io, "failed");
        supervised.rare.repair = Some(PendingRepair { at: at(3), what: RepairTask::Signal(StopSignal::Kill), error });
        assert_eq!(due(&supervised), [1, 2, 3]);
    }
}
