// SPDX-License-Identifier: MPL-2.0
//! The event loop's side of the spawners' jobs: one at a time for each process, and what each result causes.

use std::sync::Arc;
use std::time::Instant;

use super::EventLoop;
use super::leader::{Leader, Source};
use super::pending_repair::RepairTask;
use crate::deadline::after;
use crate::defaults;
use crate::error::{Error, ErrorCode, excerpt};
use crate::lifecycle::ProxyState;
use crate::lifecycle::machine_event::MachineEvent;
use crate::logging::Level;
use crate::supervisor::adoption::claim::{Claim, Verdict};
use crate::supervisor::events::ProxyOccurrence;
use crate::supervisor::mailbox::{Done, StartedProcess};
use crate::supervisor::process_key::ProcessKey;
use crate::supervisor::scan::process_scan::ScanResult;
use crate::supervisor::scan::stalled_scan::ScanProgress;
use crate::supervisor::spawner::job::{Job, ScanRequest};
use crate::supervisor::spec::Spec;
use crate::supervisor::zombies::Zombie;
use crate::sys::boot_time::BootTime;
use crate::sys::fail;

impl EventLoop {
    /// One job at a time for each process, in the order in which they were decided.
    pub(crate) fn submit(&mut self, key: ProcessKey, job: Job) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        if supervised.busy {
            // Settings may change faster than a disk takes them; only the last ones have to be written.
            if let Job::Record { .. } = job {
                supervised.rare.queued.retain(|queued| !matches!(queued, Job::Record { .. }));
            }
            if let Job::Foresee { .. } = job {
                supervised.rare.queued.retain(|queued| !matches!(queued, Job::Foresee { .. }));
            }
            if let Job::Limit { .. } = job {
                supervised.rare.queued.retain(|queued| !matches!(queued, Job::Limit { .. }));
            }
            supervised.rare.queued.push_back(job);
        } else {
            supervised.busy = true;
            self.spawners.submit(job);
        }
    }

    /// Requests a scan of processes, which serves others as well. It does not wait for the jobs of its process: they are
    /// about files, and their disk may hang.
    pub(crate) fn request_scan(&mut self, request: ScanRequest) {
        self.scan_queue.join(request, Instant::now());
    }

    /// Begins a scan of processes if one is requested, unless others will need one as well in a moment.
    pub(crate) fn begin_scan(&mut self) {
        if self.scan_queue.deadline().is_some() {
            let now = Instant::now();
            if let Some((pid, progress)) = self.scan_queue.give_up(now) {
                self.spawners.skip_in_scans(pid, &progress);
            }
            if let Some((all, progress)) = self.scan_queue.begin(now, self.awaited > 0) {
                self.spawners.scan(all, progress);
            }
        }
    }

    pub(crate) fn done(&mut self, key: ProcessKey, spec: &Arc<Spec>, done: Done) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        let id = supervised.slot.id.clone();
        fail::point("job:heard");
        supervised.busy = false;
        if supervised.rare.answer_at.is_some() {
            supervised.rare.answer_at = None;
        }
        let mut unreaped = false;
        let event = match done {
            Done::Promoted(result) => {
                self.exchanged(key, result);
                None
            }
            Done::Started(started) => {
                let StartedProcess {
                    pid,
                    numbers,
                    written,
                    claim,
                    output_begins,
                    report,
                    notify,
                    took,
                    cgroup,
                    oom_kills,
                } = started;
                (supervised.numbers, supervised.output_begins) = (numbers, output_begins);
                let generation = numbers.generation;
                supervised.claim = claim;
                (supervised.pid, supervised.adopted) = (Some(pid), false);
                supervised.process_started = Some(Instant::now());
                supervised.forget_taken_address();
                supervised.begins_well();
                supervised.group = Some(pid);
                (supervised.starts, supervised.rare.uncleared) = (supervised.starts + 1, None);
                supervised.led_by(Leader { pid: Some(pid), source: Source::Started(spec.clone()), cgroup });
                supervised.note_oom_kills(oom_kills);
                spec.context.publisher.of_proxy(&id, ProxyOccurrence::Started { pid, generation, took });
                supervised.note(RepairTask::PidFile(spec.clone(), pid), written);
                supervised.answer_start(&Ok(()));
                notify.into_iter().for_each(|(name, socket)| self.await_notifications(key, name, socket));
                report.into_iter().for_each(|reader| self.await_report(key, reader));
                Some(MachineEvent::Spawned)
            }
            Done::StartFailed { error, hopeless } => {
                let (happened, answer) = match hopeless {
                    true => (ProxyOccurrence::StartHopeless { error: &error }, Err(error.clone())),
                    false => (ProxyOccurrence::StartFailed { error: &error }, Ok(())),
                };
                spec.context.publisher.of_proxy(&id, happened);
                supervised.answer_start(&answer);
                supervised.note_failed_start(&error);
                supervised.rare.last_error = Some(error);
                Some(MachineEvent::SpawnFailed { hopeless })
            }
            Done::Adopted { pid, group, since, written, known, untaken, cgroup, oom_kills } => {
                if let Some(known) = known {
                    (supervised.numbers, supervised.claim) = (known.numbers(), Some(known));
                }
                let generation = supervised.numbers.generation;
                (supervised.pid, supervised.adopted, supervised.rare.last_error) = (Some(pid), true, untaken);
                (supervised.group, supervised.output_begins) = (Some(group), None);
                let age = since.and_then(BootTime::age);
                supervised.note_age(age);
                supervised.starts += 1;
                supervised.unscanned_since = since;
                let source = Source::Claimed(Box::new(supervised.claimed_tag(spec)));
                supervised.led_by(Leader { pid: Some(group), source, cgroup });
                supervised.note_oom_kills(oom_kills);
                spec.context.publisher.of_proxy(&id, ProxyOccurrence::Adopted { pid, generation });
                supervised.note(RepairTask::PidFile(spec.clone(), pid), written);
                supervised.answer_start(&Ok(()));
                supervised.say_taken_as_ready();
                self.await_notifications_again(key);
                Some(MachineEvent::Adopted { age })
            }
            Done::Refused(refusal) => {
                let gone = refusal.verdict != Verdict::Unknown;
                let claimed = supervised.claim.clone().filter(|_| gone);
                let end = claimed.as_deref().and_then(|claim| supervised.unseen_end(claim, refusal.verdict));
                // Not of one that is of another declaration than the one that is started in its place.
                let end = end.filter(|_| supervised.rare.declared.is_none());
                // Its end is no news.
                if !claimed.is_some_and(|claim| claim.ended().is_some() && refusal.verdict == Verdict::Ended) {
                    let (reason, ended) = (refusal.reason.clone(), refusal.verdict == Verdict::Ended);
                    spec.context.publisher.of_proxy(&id, ProxyOccurrence::NotAdopted { reason, ended });
                    supervised.rare.last_error = Some(Error::new(ErrorCode::AdoptionRefused, refusal.reason));
                }
                if refusal.verdict == Verdict::Supervised {
                    // Nor is anything ended that has the same tag.
                    supervised.claim = None;
                } else if gone {
                    supervised.unscanned_since = supervised.claimed_since();
                    let source = Source::Claimed(Box::new(supervised.claimed_tag(spec)));
                    // A recycled pid says nothing of the group with this number.
                    let pid =
                        supervised.claim.as_deref().map(Claim::group).filter(|_| refusal.verdict == Verdict::Ended);
                    // What it has left may be in any cgroup of its proxy, or in none.
                    supervised.led_by(Leader { pid, source, cgroup: None });
                    let claim = supervised.claim.take();
                    let leader = claim.as_deref().and_then(Claim::identity);
                    let zombie = leader.and_then(|leader| Zombie::of_process(leader.pid, leader.start_ticks));
                    unreaped = zombie.is_some();
                    supervised.rare.zombies.extend(zombie);
                    if !spec.config.stop.leftover_grace.is_zero() {
                        supervised.rare.uncleared = claim;
                    }
                }
                Some(MachineEvent::AdoptionRefused { gone, ended: end })
            }
            Done::Run { command, started } => self.command_started(key, command, started),
            Done::PidFile(pid, result) => {
                supervised.note(RepairTask::PidFile(spec.clone(), pid), result);
                None
            }
            Done::PidFileRemoved(result) => {
                supervised.note(RepairTask::RemovePidFile(spec.clone()), result);
                None
            }
            Done::LeaderNamed(result) => {
                self.leader_named(key, result);
                None
            }
            Done::Recorded(result) => {
                supervised.rare.record_waiters.clear();
                if let Some(pid) = supervised.pid {
                    supervised.note(RepairTask::Record(spec.clone(), pid), result);
                }
                None
            }
            Done::Limited(cgroup, result) => {
                self.limited(key, cgroup.is_some(), result);
                None
            }
            Done::Foreseen(result) => {
                self.foreseen(key, spec, result);
                None
            }
            Done::EndRecorded(ended, result) => {
                supervised.note(RepairTask::RecordEnd(spec.clone(), ended), result);
                None
            }
            Done::CleanedUpButRecord(result) => {
                if result.is_ok() {
                    supervised.rare.uncleared = None;
                }
                supervised.note(RepairTask::CleanUpButRecord(spec.clone()), result);
                None
            }
            Done::CleanedUp(result) => {
                if result.is_ok() {
                    supervised.rare.uncleared = None;
                }
                supervised.note(RepairTask::CleanUp(spec.clone()), result);
                None
            }
        };
        if unreaped {
            self.drive(key, MachineEvent::Unreaped);
        }
        if matches!(event, Some(MachineEvent::AdoptionRefused { gone: true, .. })) {
            self.told_of_refusal(key);
        }
        if matches!(event, Some(MachineEvent::Spawned | MachineEvent::Adopted { .. })) {
            self.keep_logs(key);
        }
        if let Some(event) = event {
            self.drive(key, event);
            self.record_again(key, event, spec);
            self.limit_begun(key, event, spec);
        }
        if matches!(event, Some(MachineEvent::Adopted { .. })) {
            self.replace_adopted(key);
        }
        if matches!(event, Some(MachineEvent::AdoptionRefused { .. })) {
            self.answer_unless_starting(key);
        }
        self.arm_repair(key);
        self.next_job(key);
    }

    /// A caller that waits for a process to be gone, or to be released, does not wait for ever for its current job:
    /// a disk may be stuck, or an exec.
    pub(crate) fn limit_wait_for_job(&mut self, key: ProcessKey) {
        let Some(supervised) = self.slots.get_mut(&key).filter(|supervised| supervised.waits_for_job()) else { return };
        let (now, time) = (Instant::now(), supervised.time_until_kill());
        if supervised.rare.answer_at.is_some() {
            // A later caller does not extend the wait.
            return self.answer_without_job(key, now);
        }
        let at = after(now, time.saturating_add(defaults::KILL_PATIENCE));
        supervised.rare.answer_at = Some(at);
        self.timers.arm(at, key);
    }

    /// After the grace period was cut short, callers wait no longer for the process to be gone than after a SIGKILL.
    pub(crate) fn shorten_wait_for_job(&mut self, key: ProcessKey) {
        let Some(supervised) = self.slots.get_mut(&key).filter(|it| it.machine.is_grace_ended()) else { return };
        let at = Instant::now() + defaults::KILL_PATIENCE;
        if supervised.rare.answer_at.is_some_and(|later| at < later) {
            supervised.rare.answer_at = Some(at);
            self.timers.arm(at, key);
        }
    }

    /// Answers the callers that have waited long enough for a job.
    pub(crate) fn answer_without_job(&mut self, key: ProcessKey, now: Instant) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        if supervised.rare.answer_at.is_none_or(|at| now < at) || !supervised.waits_for_job() {
            return;
        }
        // One that runs has no start that is under way, ready or not.
        let state = if supervised.machine.runs() { ProxyState::Running } else { supervised.machine.state() };
        let (what, code) = unfinished(state, supervised.rare.uncleared.is_some());
        let id = excerpt(&supervised.slot.id).to_string();
        let message =
            format!("proxy {id}: {what} has not come to an end: stuck in a file system, the user database or an exec");
        let error = Error::new(code, message);
        supervised.spec.context.log.write(Level::Error, format_args!("{error}"));
        supervised.answer_stop(&Err(error.clone()));
        supervised.rare.last_error = Some(error);
        if supervised.rare.released.is_some() {
            // No caller waits any more; the slot is released as soon as the job ends.
            supervised.rare.released = Some(crossbeam_channel::bounded(0).0);
        }
    }

    /// A scan has ended. What one that was given up has found is not used: it is made again.
    pub(crate) fn scanned(
        &mut self,
        progress: &Arc<ScanProgress>,
        found: Vec<(ProcessKey, std::io::Result<ScanResult>)>,
    ) {
        if !self.scan_queue.end(progress) {
            return;
        }
        for (key, found) in found {
            fail::point("job:heard");
            let Some(supervised) = self.slots.get_mut(&key) else { continue };
            let found = supervised.also_in_cgroup(found);
            if supervised.rare.unscanned_outside && found.as_ref().is_ok_and(|found| !found.seen) {
                supervised.rare.unscanned_outside = false;
            }
            self.found(key, found);
        }
    }

    /// What follows from what a scan has found, or a look into a cgroup.
    pub(super) fn found(&mut self, key: ProcessKey, found: std::io::Result<ScanResult>) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        let event = supervised.found(found);
        self.drive(key, event);
        self.answer_unless_starting(key);
        self.arm_repair(key);
    }

    /// The record of a process tells how it is stopped, and what Consul started has to be recorded as it was declared
    /// since. Both may have changed while it was started or adopted, and the record may have been removed.
    fn record_again(&mut self, key: ProcessKey, event: MachineEvent, recorded: &Arc<Spec>) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        let may_be_removed = supervised.rare.unsure_of_record;
        if may_be_removed {
            supervised.rare.unsure_of_record = false;
        }
        let begun = matches!(event, MachineEvent::Spawned | MachineEvent::Adopted { .. });
        let job = match Arc::ptr_eq(recorded, &supervised.spec) {
            _ if !begun || !supervised.machine.runs() => return,
            false => supervised.record_job(),
            true if may_be_removed => supervised.record_missing_job(),
            true => return,
        };
        self.submit(key, job);
    }

    /// A caller that waits for an adoption that was refused waits on only for the scan and for the start that follows it:
    /// what is left may take as long as it is declared to, or outlive SIGKILL.
    fn answer_unless_starting(&mut self, key: ProcessKey) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        if !supervised.machine.is_starting() && !supervised.machine.is_scanning() && !supervised.machine.awaits_reap() {
            supervised.answer_start(&Ok(()));
        }
    }

    pub(crate) fn next_job(&mut self, key: ProcessKey) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        if supervised.busy {
            return;
        }
        // ORDER: what is still to be cleaned up for the stop is a part of its result; a start that follows is not.
        let cleans_up = |job: &Job| matches!(job, Job::CleanUp { .. } | Job::CleanUpButRecord { .. });
        if supervised.settle && !supervised.rare.queued.iter().any(cleans_up) {
            supervised.settle = false;
            let result = supervised.stopped();
            supervised.answer_stop(&result);
        }
        self.exchange_if_due(key);
        let Some(supervised) = self.slots.get_mut(&key).filter(|supervised| !supervised.busy) else { return };
        if let Some(job) = supervised.rare.queued.pop_front() {
            supervised.busy = true;
            let settles = supervised.settle;
            self.spawners.submit(job);
            if settles {
                // The end of the job before has ended the limit.
                self.limit_wait_for_job(key);
            }
        }
        self.drop_if_done(key);
    }
}

/// What a job that has not ended is called, and the code of a stop that it keeps from ending: a process may live, or come to
/// be, or only files are left. `leftovers`: members of a group that could not be signalled are ended by the clean-up.
fn unfinished(state: ProxyState, leftovers: bool) -> (&'static str, ErrorCode) {
    match state {
        ProxyState::Starting => ("its start", ErrorCode::StillRunning),
        ProxyState::Adopting => ("its adoption", ErrorCode::StillRunning),
        _ if leftovers => ("its clean-up", ErrorCode::StillRunning),
        _ => ("its clean-up", ErrorCode::Io),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_clean_up_of_files_alone_is_no_process_that_is_left() {
        assert_eq!(unfinished(ProxyState::Starting, false), ("its start", ErrorCode::StillRunning));
        assert_eq!(unfinished(ProxyState::Adopting, false), ("its adoption", ErrorCode::StillRunning));
        assert_eq!(unfinished(ProxyState::Stopped, true), ("its clean-up", ErrorCode::StillRunning));
        assert_eq!(unfinished(ProxyState::Stopped, false), ("its clean-up", ErrorCode::Io));
    }
}
