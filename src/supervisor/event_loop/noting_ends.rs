// SPDX-License-Identifier: MPL-2.0
//! Notes the end of a process: what made it end, and its last lines of output.
//!
//! A spawner reads the lines, because a file system may hang. It does so in the job that follows each end, so that it
//! is known where the output of the next process begins.

use std::time::{Duration, Instant, SystemTime};

use super::EventLoop;
use super::last_end::LastEnd;
use super::supervised::Supervised;
use crate::defaults;
use crate::error::Error;
use crate::lifecycle::EndedBy;
use crate::store::LogPart;
use crate::supervisor::mailbox::LastWords;
use crate::supervisor::process_key::ProcessKey;
use crate::supervisor::spawner::last_words::Unread;
use crate::sys::proc::port_holder::PortHolder;
use crate::sys::wait::ExitStatus;

/// The start of an adopted process is known in ticks of 10 ms, and the times of files go by the kernel's ticks as well.
const CLOCKS_APART: Duration = Duration::from_millis(50);

impl Supervised {
    /// What is told of its last end.
    pub(crate) fn last_end(&self) -> &LastEnd {
        self.end.as_deref().unwrap_or(LastEnd::NONE)
    }

    /// Takes note of how its process ended, before its machine is told of that.
    pub(crate) fn note_end(&mut self, status: ExitStatus) {
        let by = self.machine.ended_by();
        let end = self.last_end().next(status, self.end_by(status), by, &self.spec.config.stop);
        let end = if self.machine.is_grace_ended() { end.without_grace(self.last_end()) } else { end };
        let oom = if by == EndedBy::Itself { self.was_ended_for_memory(status) } else { None };
        self.end = Some(Box::new(end.for_memory(oom)));
        if self.rare.limits.is_some() {
            self.rare.limits = None;
        }
        if by != EndedBy::Stop {
            self.rare.unread =
                Some(Unread::Output(self.output_begins.map_or_else(|| self.output_since(), LogPart::From)));
        } else if self.rare.unread.is_some() {
            self.rare.unread = None;
        }
    }

    /// Whether this is one of its processes.
    fn has_group_of(&self, holder: &PortHolder) -> bool {
        let PortHolder::Process { group, .. } = holder else { return false };
        self.pid.is_some() && self.group.is_some_and(|own| own.as_raw() == *group)
    }

    /// A start has failed: if an address of `listen` is taken, a job looks for what has it.
    pub(crate) fn note_failed_start(&mut self, error: &Error) {
        if error.errno() == Some(libc::EADDRINUSE) {
            self.rare.unread = Some(Unread::TakenListen);
        }
    }

    /// It runs: whatever address was taken is its own now.
    pub(crate) fn forget_taken_address(&mut self) {
        if let Some(end) = &mut self.end {
            end.forget_taken_address();
        }
    }

    /// Advice from its ends. One that runs well has forgotten how its predecessors ended by themselves.
    pub(crate) fn hint(&self) -> Option<String> {
        let runs_well = self.machine.running_since().is_some_and(|it| it.elapsed() >= defaults::DAEMON_RESTART_HEALTHY);
        let end = self.last_end();
        let of_exits = || end.hint_of_address().or_else(|| self.rare.background.hint()).or_else(|| end.hint_of_exit());
        let of_exits = if runs_well { None } else { of_exits() };
        of_exits.or_else(|| end.hint_of_stops(&self.spec.config.stop))
    }

    /// An adopted process has written whatever was written since its start.
    fn output_since(&self) -> LogPart {
        let age = self.process_started.map(|started| started.elapsed() + CLOCKS_APART);
        LogPart::Since(age.and_then(|age| SystemTime::now().checked_sub(age)).unwrap_or(SystemTime::UNIX_EPOCH))
    }

    /// Its end, or one that the generation before took over from it, is the last one of the proxy.
    pub(crate) fn inherit_last_end(&mut self, of_proxy: Option<Box<LastEnd>>) {
        if of_proxy.as_ref().is_some_and(|end| end.exit.is_some()) {
            self.end = of_proxy;
        }
        if self.pid.is_some() {
            self.forget_taken_address();
        }
    }

    /// Takes note of how long ago its process was started, which it did not start, if that is known.
    pub(crate) fn note_age(&mut self, age: Option<Duration>) {
        self.process_started = age.and_then(|age| Instant::now().checked_sub(age));
    }

    /// Takes note of since when it has its state.
    pub(crate) fn note_state(&mut self, now: Instant) {
        let state = self.state();
        if state != self.state_since.0 {
            self.state_since = (state, now);
        }
    }
}

impl EventLoop {
    /// The status of a proxy is that of its current generation, and tells of the last end of either.
    pub(super) fn tell_current_of_end(&mut self, key: ProcessKey) {
        let Some(ended) = self.slots.get(&key) else { return };
        let (end, partner) = (ended.last_end(), ended.rare.partner);
        let Some(current) = partner.and_then(|partner| self.slots.get(&partner)) else { return };
        let end = Some(Box::new(end.after_other(key, current.last_end())));
        if let Some(current) = partner.and_then(|partner| self.slots.get_mut(&partner)) {
            current.end = end;
        }
    }

    /// What the process that has ended said last was read.
    pub(super) fn take_last_words(&mut self, key: ProcessKey, mut words: LastWords) {
        if words.lines.is_empty() && words.taken_address.is_none() {
            return;
        }
        if let (Some((_, holder)), Some(own)) = (&words.taken_address, self.slots.get(&key)) {
            let has_it = |it: &&Supervised| it.slot.owner == own.slot.owner && it.has_group_of(holder);
            let of_proxy = self.slots.values().map(|it| &**it).find(has_it);
            words.taken_by = of_proxy.map(|it| it.slot.id.clone());
        }
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        let partner = supervised.rare.partner;
        supervised.end.get_or_insert_with(|| Box::new(LastEnd::NONE.clone())).learn(&words);
        let Some(current) = partner.and_then(|partner| self.slots.get_mut(&partner)) else { return };
        let has_it = words.taken_address.as_ref().is_some_and(|(_, holder)| current.has_group_of(holder));
        current.end.get_or_insert_with(|| Box::new(LastEnd::NONE.clone())).learn_of_other(key, &words);
        if let Some(partner) = partner.filter(|partner| has_it && self.next_of(*partner) == Some(key)) {
            self.replace_alone(partner);
        }
    }
}
