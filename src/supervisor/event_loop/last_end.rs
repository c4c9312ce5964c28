// SPDX-License-Identifier: MPL-2.0
//! What is told of the end of a process: what made it end, and what it said last.
//!
//! A spawner reads the lines, for a file system may hang: as part of the job that follows each end, so that it is known
//! where the output of the next process begins.

use std::time::{Duration, Instant, SystemTime};

use super::EventLoop;
use super::rare::RareFields;
use super::supervised::Supervised;
use crate::defaults;
use crate::error::Error;
use crate::lifecycle::EndedBy;
use crate::lifecycle::hints::exit_code;
use crate::lifecycle::hints::killed_stops::KilledStops;
use crate::store::LogPart;
use crate::supervisor::mailbox::LastWords;
use crate::supervisor::process_key::ProcessKey;
use crate::supervisor::spawner::last_words::Unread;
use crate::sys::proc::port_holder::{PortHolder, TakenAddress};
use crate::sys::wait::ExitStatus;

/// The start of an adopted process is known in ticks of 10 ms, and the times of files go by the kernel's ticks as well.
const CLOCKS_APART: Duration = Duration::from_millis(50);

/// What is told of the last end of a process.
#[derive(Debug)]
pub(crate) struct LastEnd {
    exit: Option<ExitStatus>,
    by: Option<EndedBy>,
    killed_stops: KilledStops,
    last_stderr: Vec<String>,
    taken_address: Option<(TakenAddress, PortHolder)>,
}

impl Supervised {
    /// Takes note of how its process ended, before its machine is told of that.
    pub(crate) fn note_end(&mut self, status: ExitStatus) {
        let by = self.machine.ended_by();
        (self.last_exit, self.last_exit_by) = (Some(status), Some(by));
        if by == EndedBy::Stop {
            let killed_stops = self.rare.killed_stops.after(status, &self.spec.config.stop);
            if killed_stops != self.rare.killed_stops {
                self.rare.killed_stops = killed_stops;
            }
        }
        if self.has_last_words() || self.rare.unread.is_some() {
            (self.rare.last_stderr, self.rare.taken_address, self.rare.unread) = (Vec::new(), None, None);
        }
        if by != EndedBy::Stop {
            self.rare.unread =
                Some(Unread::Output(self.output_begins.map_or_else(|| self.output_since(), LogPart::From)));
        }
    }

    /// Whether this is one of its processes.
    fn has_group_of(&self, holder: &PortHolder) -> bool {
        let PortHolder::Process { group, .. } = holder else { return false };
        self.pid.is_some() && self.group.is_some_and(|own| own.as_raw() == *group)
    }

    fn has_last_words(&self) -> bool {
        !self.rare.last_stderr.is_empty() || self.rare.taken_address.is_some()
    }

    /// A start has failed: if an address of `listen` is taken, a job looks for what has it.
    pub(crate) fn note_failed_start(&mut self, error: &Error) {
        if error.errno() == Some(libc::EADDRINUSE) {
            self.rare.unread = Some(Unread::TakenListen);
        }
    }

    /// It runs: whatever address was taken is its own now.
    pub(crate) fn forget_taken_address(&mut self) {
        if self.rare.taken_address.is_some() {
            self.rare.taken_address = None;
        }
    }

    /// Advice from its ends. One that runs well has forgotten how its predecessors ended by themselves.
    pub(crate) fn hint(&self) -> Option<String> {
        let runs_well = self.machine.running_since().is_some_and(|it| it.elapsed() >= defaults::DAEMON_RESTART_HEALTHY);
        let by_itself = self.last_exit.filter(|_| self.last_exit_by == Some(EndedBy::Itself));
        let taken = self
            .rare
            .taken_address
            .as_ref()
            .map(|(address, holder)| format!("{address} seems to be taken by {holder}"));
        let of_exits = || {
            let of_code = || by_itself.and_then(exit_code::hint);
            taken.or_else(|| self.rare.background.hint()).or_else(of_code)
        };
        let of_exits = if runs_well { None } else { of_exits() };
        of_exits.or_else(|| self.rare.killed_stops.hint(&self.spec.config.stop))
    }

    /// An adopted process has written whatever was written since its start.
    fn output_since(&self) -> LogPart {
        let age = self.process_started.map(|started| started.elapsed() + CLOCKS_APART);
        LogPart::Since(age.and_then(|age| SystemTime::now().checked_sub(age)).unwrap_or(SystemTime::UNIX_EPOCH))
    }

    /// What is told of its last end, for the generation that takes its place.
    pub(crate) fn last_end(&self) -> LastEnd {
        let (exit, by, killed_stops) = (self.last_exit, self.last_exit_by, self.rare.killed_stops);
        let RareFields { last_stderr, taken_address, .. } = &*self.rare;
        LastEnd { exit, by, killed_stops, last_stderr: last_stderr.clone(), taken_address: taken_address.clone() }
    }

    /// What is told of the last end of the generation before, as long as it is the last one.
    pub(crate) fn inherit_last_end(&mut self, LastEnd { exit, by, killed_stops, last_stderr, taken_address }: LastEnd) {
        if exit.is_none() {
            return;
        }
        (self.last_exit, self.last_exit_by) = (exit, by);
        (self.rare.killed_stops, self.rare.last_stderr, self.rare.taken_address) =
            (killed_stops, last_stderr, taken_address);
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
    /// What the process that has ended said last was read.
    pub(super) fn take_last_words(&mut self, key: ProcessKey, LastWords { lines, taken_address }: LastWords) {
        if lines.is_empty() && taken_address.is_none() {
            return;
        }
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        let partner = supervised.rare.partner;
        // A start that has failed says no more of the process before.
        let lines = if lines.is_empty() { supervised.rare.last_stderr.clone() } else { lines };
        supervised.rare.last_stderr.clone_from(&lines);
        supervised.rare.taken_address.clone_from(&taken_address);
        // The status of a proxy is that of its current generation, and names the last exit of either.
        let Some(current) = partner.and_then(|partner| self.slots.get_mut(&partner)) else { return };
        let has_it = taken_address.as_ref().is_some_and(|(_, holder)| current.has_group_of(holder));
        (current.rare.last_stderr, current.rare.taken_address) = (lines, taken_address);
        if let Some(partner) = partner.filter(|partner| has_it && self.next_of(*partner) == Some(key)) {
            self.replace_alone(partner);
        }
    }
}
