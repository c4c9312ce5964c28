// SPDX-License-Identifier: MPL-2.0
//! The end of a process that is not started again: how its declaration judges it, and what its record and status
//! report.

use super::EventLoop;
use super::last_end::LastEnd;
use super::supervised::Supervised;
use crate::error::{Error, ErrorCode};
use crate::lifecycle::restart_policy::{End, Rest};
use crate::store::RecordedEnd;
use crate::supervisor::adoption::claim::{Claim, Verdict};
use crate::supervisor::events::ProxyOccurrence;
use crate::supervisor::process_key::ProcessKey;
use crate::supervisor::spawner::job::Job;
use crate::sys::process_identity::boot_id;
use crate::sys::wait::ExitStatus;

impl EventLoop {
    /// Has the record say that the process has ended, so that the next agent does not run it again.
    pub(super) fn record_end(&mut self, key: ProcessKey, rest: Rest) {
        let Some(supervised) = self.slots.get(&key) else { return };
        let (spec, completed) = (supervised.spec.clone(), rest == Rest::Completed);
        let ended = RecordedEnd { status: supervised.last_end().exit.unwrap_or(ExitStatus::Unknown), completed };
        self.submit(key, Job::RecordEnd { key, spec, ended });
    }
}

impl Supervised {
    /// How a process of what is declared has ended.
    pub(super) fn end_by(&self, status: ExitStatus) -> End {
        match status {
            ExitStatus::Unknown => End::Unknown,
            _ if self.spec.config.expects(status) => End::Expected,
            _ => End::Unexpected,
        }
    }

    /// The end of a process that was claimed and is gone, as far as it matters: with the last boot all that had ended by then
    /// is to run again. What an earlier agent has recorded of it is known now as well.
    ///
    /// An agent that is killed between the end of a process and its record leaves a record of a process that is gone; another
    /// process has its exit status, or init. So that end is unknown.
    pub(super) fn unseen_end(&mut self, claim: &Claim, verdict: Verdict) -> Option<End> {
        let boot = boot_id().ok()?;
        if verdict == Verdict::Supervised || claim.identity()?.other_boot(&boot).is_some() {
            return None;
        }
        let Some(ended) = claim.ended() else { return Some(End::Unknown) };
        self.end = Some(Box::new(LastEnd::recorded(ended)));
        Some(if ended.completed { End::Expected } else { End::Unexpected })
    }

    /// It is not started again: why.
    pub(super) fn announce_rest(&mut self, rest: Rest, by_exit: bool) {
        let status = self.last_end().exit.unwrap_or(ExitStatus::Unknown);
        let publisher = self.spec.context.publisher.clone();
        let why = match rest {
            Rest::Completed => return publisher.of_proxy(&self.slot.id, ProxyOccurrence::Completed { status }),
            Rest::NotRestarted => "not restarted, for its restart policy is never".to_owned(),
            Rest::GaveUp(limit) => {
                format!("gave up after {} failures within {} ms", limit.failures, limit.within.as_millis())
            }
        };
        let error = match self.rare.last_error.take().filter(|_| !by_exit) {
            Some(error) => error.within(why),
            None => Error::new(ErrorCode::NotRunning, format!("{why}: {status}")),
        };
        publisher.of_proxy(&self.slot.id, ProxyOccurrence::GaveUp { error: &error });
        self.rare.last_error = Some(error);
    }
}
