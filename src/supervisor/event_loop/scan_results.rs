// SPDX-License-Identifier: MPL-2.0
//! What a scan found after a process was gone, and what that means for the proxy, the log and a stop.

use std::time::Duration;

use super::leader::Source;
use super::supervised::Supervised;
use crate::defaults;
use crate::error::{Error, ErrorCode, Result, excerpt};
use crate::lifecycle::generation::Generation;
use crate::lifecycle::machine_event::MachineEvent;
use crate::logging::Level;
use crate::supervisor::events::ProxyOccurrence;
use crate::supervisor::scan::escaped_process::Escaped;
use crate::supervisor::scan::process_scan::ScanResult;
use crate::supervisor::scan::process_tag::Wanted;
use crate::supervisor::scan::unproven_process::{Ancestor, Unproven};
use crate::supervisor::spawner::job::ScanRequest;
use crate::sys::pid::Pid;
use crate::sys::wait::ExitStatus;

impl Supervised {
    /// The scan that is to be made when its leader and the group are gone; none where no process of it was ever known.
    pub(crate) fn scan_request(&self, generations: (Generation, Generation)) -> Option<ScanRequest> {
        let leader = self.leader.as_ref()?;
        let spec = match &leader.source {
            Source::Started(spec) => spec.clone(),
            Source::Claimed(_) => self.spec.clone(),
        };
        let ancestor = Ancestor { pid: leader.pid, since: self.unscanned_since, spec };
        let wanted = Wanted { tag: leader.tag(), generations };
        Some(ScanRequest { key: self.key, wanted, ancestor, of_others: self.was_claimed })
    }

    /// Takes note of what a scan has found, and says what follows.
    pub(crate) fn found(&mut self, found: std::io::Result<ScanResult>) -> MachineEvent {
        match found {
            Ok(ScanResult { seen, escaped, unproven }) if escaped.is_empty() => {
                let held = !seen && self.found_unproven(unproven);
                if !seen {
                    self.unscanned_since = None;
                }
                return MachineEvent::Scanned { left: seen, held };
            }
            Ok(ScanResult { escaped, .. }) => self.found_escaped(escaped, &[]),
            Err(error) => self.tell_of_scan(Error::os(ErrorCode::Io, "look for processes that left the group", &error)),
        }
        MachineEvent::Scanned { left: true, held: false }
    }

    /// Takes note of processes that are to end with it, of which some are of commands that are run for it.
    pub(super) fn found_escaped(&mut self, escaped: Vec<Escaped>, of_commands: &[Pid]) {
        self.rare.escaped = escaped;
        // Members of a group that cannot be signalled when its leader is gone are found as well.
        let has_left = |escaped: &&Escaped| !self.has_in_group(escaped) && !escaped.is_among(of_commands);
        let left: Vec<&Escaped> = self.rare.escaped.iter().filter(has_left).collect();
        if !left.is_empty() {
            let message = format!("{} left the group for another session: ended as well", pids(&left));
            self.suspect_background();
            self.tell_of_scan(Error::new(ErrorCode::StillRunning, message));
        }
    }

    /// Whether a process is in the group of its last one.
    pub(super) fn has_in_group(&self, escaped: &Escaped) -> bool {
        let leader = self.leader.as_ref().and_then(|leader| leader.pid);
        leader.is_some_and(|leader| escaped.is_in_group_of(leader))
    }

    /// Says once what was found: a scan is repeated while processes are left.
    fn tell_of_scan(&mut self, error: Error) {
        if self.rare.last_error.as_ref().map(Error::to_string) != Some(error.to_string()) {
            self.spec.context.log.about(Level::Warn, &self.slot.id, format_args!("{error}"));
            self.rare.last_error = Some(error);
        }
    }

    /// Takes note of processes that may be of it; whether they hold the next start.
    fn found_unproven(&mut self, found: Vec<Unproven>) -> bool {
        if found.is_empty() {
            return false;
        }
        let held = found.iter().any(Unproven::holds_start);
        let processes = list(&found);
        self.spec.context.publisher.of_proxy(&self.slot.id, ProxyOccurrence::Unproven { processes });
        if held {
            let patience = defaults::HELD_START;
            let message = format!("the next start waits for {} to end, at most {patience:?}", list(&found));
            self.rare.last_error = Some(Error::new(ErrorCode::Unproven, message));
        }
        self.rare.unproven.retain(|known| !found.iter().any(|found| found.pid == known.pid));
        self.rare.unproven.extend(found);
        self.suspect_background();
        held
    }

    pub(super) fn suspect_background(&mut self) {
        if self.rare.background.has_left() {
            self.log_hint();
        }
    }

    /// Takes note of an end that nothing has asked for.
    pub(crate) fn ended_by_itself(&mut self, status: ExitStatus, ran: Duration) {
        let with_zero = match status {
            ExitStatus::Exited(code) => code == 0,
            ExitStatus::Signaled { .. } => false,
            ExitStatus::Unknown => return,
        };
        let mut background = self.rare.background;
        let is_suspected = background.ended(with_zero, ran);
        if background != self.rare.background {
            self.rare.background = background;
        }
        if is_suspected {
            self.log_hint();
        }
    }

    fn log_hint(&self) {
        if let Some(hint) = self.rare.background.hint() {
            self.spec.context.log.about(Level::Warn, &self.slot.id, format_args!("{hint}"));
        }
    }

    /// Says beside which processes the next one is started, if its start was held for them.
    pub(crate) fn warn_of_held(&self) {
        if self.rare.unproven.is_empty() {
            return;
        }
        let held: Vec<&Unproven> = self.unproven().into_iter().filter(|unproven| unproven.holds_start()).collect();
        if !held.is_empty() {
            self.spec.context.log.about(Level::Warn, &self.slot.id, format_args!("started beside {}", list(&held)));
        }
    }

    /// The processes that may be of it and live.
    pub(crate) fn unproven(&self) -> Vec<&Unproven> {
        self.rare.unproven.iter().filter(|unproven| unproven.lives()).collect()
    }

    /// Goes on naming what was named of the other generation of its proxy, which is gone.
    pub(crate) fn take_unproven(&mut self, mut named: Vec<Unproven>) {
        named.retain(|named| named.lives() && self.rare.unproven.iter().all(|own| own.pid != named.pid));
        if !named.is_empty() {
            self.rare.unproven.extend(named);
        }
    }

    /// What a stop says of processes that may be of it, when all others are gone.
    pub(crate) fn may_have_left(&self) -> Result<()> {
        let unproven = self.unproven();
        if unproven.is_empty() {
            return Ok(());
        }
        let message = format!("proxy {}: stopped, but may have left {}", excerpt(&self.slot.id), list(&unproven));
        Err(Error::new(ErrorCode::Unproven, message))
    }

    /// What a stop says of what survived SIGKILL, or of which it is not known whether it lives. `members` are those of the
    /// group that live, the leader included.
    pub(crate) fn still_running(&self, members: &[i32]) -> Error {
        let mut left = Vec::new();
        if !members.is_empty() {
            left.push(format!("{} of {}", pids(members), self.group_name()));
        }
        if !self.rare.escaped.is_empty() {
            left.push(format!("{} which left the group", pids(&self.rare.escaped)));
        }
        if left.is_empty() {
            left.push(match (self.pid, self.group) {
                (Some(pid), _) => format!("pid {pid} or its group"),
                (None, Some(_)) => self.group_name(),
                (None, None) => "a process that cannot be identified".to_owned(),
            });
        }
        let why = self.rare.last_error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        let message = format!("proxy {}: still running: {}{why}", self.slot.id, left.join(", and "));
        Error::new(ErrorCode::StillRunning, message)
    }
}

fn list<T: std::fmt::Display>(processes: &[T]) -> String {
    processes.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

fn pids<T: std::fmt::Display>(processes: &[T]) -> String {
    format!("{} {}", if processes.len() == 1 { "pid" } else { "pids" }, list(processes))
}
