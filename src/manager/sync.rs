// SPDX-License-Identifier: MPL-2.0
//! The sync: brings the managed set to the declared one.

use std::collections::BTreeMap;
use std::sync::Arc;

use crossbeam_channel::Receiver;

use super::custom_kinds::{Call, CustomProxy};
use super::managed::{Managed, ManagedDaemon};
use super::managed_set::ManagedSet;
use super::sync_plan::{PlanStep, plan};
use crate::command::Command as Program;
use crate::declaration::{ExecMode, ProxyConfig};
use crate::error::{Error, Result};
use crate::lifecycle::ProxyState;
use crate::logging::Level;
use crate::state::{Changes, DesiredSet};
use crate::store::RecordedStop;
use crate::supervisor::adoption::unrecorded_process;
use crate::supervisor::{
    Claim, Owner, ProxyOccurrence, ProxyStatus, Slot, Spec, StartMode, Supervisor, SupervisorCommand,
};
use crate::sys::fail;
use crate::sys::proc::command_line::UnrecordedProcess;

/// What a sync is about to do, once it is in the snapshot.
#[derive(Default)]
struct Planned {
    removed: Vec<Managed>,
    /// Daemons under new settings, and whether their record has to be written again.
    updated: Vec<(ManagedDaemon, Recording)>,
    /// What begins, and what it takes the place of.
    begun: Vec<(Arc<str>, Option<Managed>)>,
}

/// Whether the record of a process says other things than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recording {
    AsBefore,
    Changed,
    /// It does not say yet that the process is one of the declaration, and only the old snapshot does.
    First,
}

/// Follows the state once, or what changed of it since.
///
/// # Errors
/// When what begins could not be written down: then nothing was started, and the sync has to be repeated, as a whole.
/// What was removed is being stopped nevertheless. When the thread for registered kinds could not be had: then nothing was
/// done at all.
pub(super) fn follow(core: &mut ManagedSet, owner: Owner, state: &Changes) -> Result<()> {
    let supervisor = core.supervisor()?;
    let desired = &state.wanted;
    core.seen = None;
    core.held.clear();
    let relation = |managed: &Managed, wanted: &Arc<ProxyConfig>| core.relation(managed, wanted);
    let steps = plan(&core.managed, desired, state.ids.as_ref(), relation);
    if let Err(error) = ready_for_kinds(core, desired) {
        // Half of a sync must not be done: what it has begun would count as followed.
        let begun = steps.iter().filter(|(_, step)| matches!(step, PlanStep::Start | PlanStep::Replace));
        begun.for_each(|(id, _)| hold_back(core, id, desired, &error));
        return Err(error);
    }
    let first = !core.synced;
    // What begins with this sync is started by it; only what was there before has to be settled.
    let restored: Vec<Arc<str>> = if first { core.managed.keys().cloned().collect() } else { Vec::new() };
    let settings_only = steps.iter().all(|(_, step)| *step == PlanStep::Update || *step == PlanStep::Remove);
    let mut changes = stage(core, steps, desired);
    let begun = changes.begun.iter().filter_map(|(id, _)| Some((id.clone(), core.managed.get(id)?.declared())));
    core.last_look.begin(begun);
    fail::point("sync:planned");
    record_first(owner, &supervisor, &mut changes)?;
    // Write-ahead: whatever is started from here on is in the snapshot, or follows it, before.
    let written = match (first, settings_only) {
        (true, _) => core.write_snapshot(),
        (false, false) => core.write_ahead(&changes.begun.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>()),
        (false, true) => Ok(()),
    };
    if let Err(error) = &written {
        take_back(core, &mut changes, desired, error);
    }
    let held_back = written.is_err();
    fail::point("sync:written-ahead");
    perform(core, owner, &supervisor, changes)?;
    fail::point("sync:performed");
    if first && !held_back {
        settle_restored(core, owner, &supervisor, restored)?;
        core.synced = true;
    }
    if core.synced {
        core.last_look.all_are_supervised();
        core.sweep_logs(&supervisor)?;
    }
    core.followed = Some(state.version);
    // What was refused or held back is compared again by the next sync.
    core.seen = (written.is_ok() && core.held.is_empty()).then_some(state.version);
    written
}

/// Brings the managed set to what is wanted, without starting or stopping anything.
fn stage(core: &mut ManagedSet, steps: Vec<(Arc<str>, PlanStep)>, desired: &DesiredSet) -> Planned {
    let mut changes = Planned::default();
    for (id, step) in steps {
        let Some(wanted) = desired.get(&id) else {
            changes.removed.extend(core.managed.remove(&id));
            core.paused.remove(&id);
            continue;
        };
        // Its declaration says it from now on.
        if !wanted.enabled || wanted.mode != ExecMode::DAEMON {
            core.paused.remove(&id);
        }
        match step {
            PlanStep::Remove => {}
            PlanStep::Update => update(core, &id, wanted, &mut changes),
            PlanStep::Start | PlanStep::Replace => begin(core, &id, wanted, &mut changes),
        }
    }
    changes
}

fn update(core: &mut ManagedSet, id: &Arc<str>, wanted: &Arc<ProxyConfig>, changes: &mut Planned) {
    let spec = Arc::new(core.spec(id, wanted));
    match core.managed.get_mut(id) {
        Some(Managed::Daemon(daemon)) => {
            let was_consuls = daemon.consul.take().is_some();
            let recording = match (was_consuls, daemon.spec.config.stop == spec.config.stop) {
                (true, _) => Recording::First,
                (false, true) => Recording::AsBefore,
                (false, false) => Recording::Changed,
            };
            daemon.spec = spec;
            changes.updated.push((daemon.clone(), recording));
        }
        Some(Managed::Custom(other)) => other.config = Some(wanted.clone()),
        None => {}
    }
}

fn begin(core: &mut ManagedSet, id: &Arc<str>, wanted: &Arc<ProxyConfig>, changes: &mut Planned) {
    let new = if wanted.mode == ExecMode::DAEMON {
        Managed::Daemon(ManagedDaemon { spec: Arc::new(core.spec(id, wanted)), consul: None })
    } else {
        match core.registry.create(id, &wanted.mode, Some(wanted)) {
            Ok(new) => Managed::Custom(Box::new(new)),
            // The registration is rejected; what there was before under this id goes on.
            Err(error) => return reject(core, id, wanted, &error),
        }
    };
    if let (Some(Managed::Custom(old)), Managed::Custom(new)) = (core.managed.get_mut(id), &new) {
        if old.equals(new) {
            old.config = Some(wanted.clone());
            return;
        }
    }
    if let (Some(Managed::Daemon(ManagedDaemon { consul: Some(process), .. })), Managed::Daemon(new)) =
        (core.managed.get(id), &new)
    {
        let (pid, changed) = (process.pid(), process.difference(&new.spec).unwrap_or_default());
        let why = format_args!("pid {pid}, started by Consul, is replaced: its {changed} is not as declared");
        core.context.log.about(Level::Info, id, why);
    }
    let old = core.managed.insert(id.clone(), new);
    changes.begun.push((id.clone(), old));
}

fn reject(core: &mut ManagedSet, id: &Arc<str>, wanted: &ProxyConfig, error: &Error) {
    core.context.publisher.of_proxy(id, ProxyOccurrence::Rejected { error });
    hold(core, id, &wanted.mode, ProxyState::Failed, error.to_string());
}

pub(super) fn hold(core: &mut ManagedSet, id: &Arc<str>, mode: &ExecMode, state: ProxyState, error: String) {
    let mut status = ProxyStatus::new(id, mode, state);
    status.last_error = Some(error);
    core.held.insert(id.clone(), status);
}

/// Nothing may begin before it is known what lives.
pub(super) fn hold_all(core: &mut ManagedSet, desired: &DesiredSet, error: &Error) {
    desired.keys().for_each(|id| hold_back(core, id, desired, error));
}

fn hold_back(core: &mut ManagedSet, id: &Arc<str>, desired: &DesiredSet, error: &Error) {
    if let Some(wanted) = desired.get(id) {
        hold(core, id, &wanted.mode, ProxyState::Idle, format!("not started yet: {error}"));
    }
}

/// Has the thread that calls proxies of registered kinds, if there are any or will be.
fn ready_for_kinds(core: &mut ManagedSet, desired: &DesiredSet) -> Result<()> {
    // Later on it is there, if there are any.
    let managed = !core.synced && core.managed.values().any(|managed| matches!(managed, Managed::Custom(_)));
    let wanted = desired.values().any(|wanted| wanted.mode != ExecMode::DAEMON);
    if managed || wanted { core.worker().map(drop) } else { Ok(()) }
}

/// Nothing may begin that is not in the snapshot.
fn take_back(core: &mut ManagedSet, changes: &mut Planned, desired: &DesiredSet, error: &Error) {
    for (id, old) in changes.begun.drain(..) {
        hold_back(core, &id, desired, error);
        match old {
            Some(old) => core.managed.insert(id, old),
            None => core.managed.remove(&id),
        };
    }
}

fn perform(core: &mut ManagedSet, owner: Owner, supervisor: &Supervisor, changes: Planned) -> Result<()> {
    for managed in changes.removed {
        remove(core, owner, supervisor, managed)?;
    }
    for (daemon, recording) in changes.updated {
        drop(update_process(owner, supervisor, daemon, recording)?);
        fail::point("sync:update-sent");
    }
    // ORDER: what is to run comes first, for that can take a while of a million that are declared.
    let (paused, running): (Vec<_>, Vec<_>) =
        changes.begun.into_iter().partition(|(id, _)| core.managed.get(id).is_some_and(Managed::is_paused));
    for (id, old) in running.into_iter().chain(paused) {
        match core.managed.get(&id).cloned() {
            Some(Managed::Daemon(daemon)) => {
                let start = match (start_mode(core, &id, &daemon.spec), &old) {
                    // What it was started from is not what the slot says.
                    (StartMode::New, Some(Managed::Daemon(ManagedDaemon { consul: Some(_), .. }))) => StartMode::Anew,
                    (start, _) => start,
                };
                if let Some(Managed::Custom(old)) = old {
                    core.worker()?.call(Call::Stop(*old, None));
                }
                put(owner, supervisor, daemon.spec, start)?;
            }
            Some(Managed::Custom(other)) => {
                if let Some(old) = old {
                    remove(core, owner, supervisor, old)?;
                }
                core.worker()?.call(Call::Start(*other));
            }
            None => {}
        }
    }
    Ok(())
}

fn update_process(
    owner: Owner,
    supervisor: &Supervisor,
    daemon: ManagedDaemon,
    recording: Recording,
) -> Result<Receiver<()>> {
    let slot = Slot { owner, id: daemon.spec.id.clone() };
    let (done, recorded) = crossbeam_channel::bounded(0);
    let record = (recording != Recording::AsBefore).then_some(done);
    supervisor.send(SupervisorCommand::Update { slot, spec: daemon.spec, record })?;
    Ok(recorded)
}

/// The next snapshot holds what is declared and no more what Consul's said of its processes; a reader of it knows
/// them by their records.
fn record_first(owner: Owner, supervisor: &Supervisor, changes: &mut Planned) -> Result<()> {
    let (first, others) = changes.updated.drain(..).partition(|(_, recording)| *recording == Recording::First);
    changes.updated = others;
    let first: Vec<(ManagedDaemon, Recording)> = first;
    let asked = first.into_iter().map(|(daemon, recording)| update_process(owner, supervisor, daemon, recording));
    for recorded in asked.collect::<Result<Vec<_>>>()? {
        // Nothing is ever sent: it is over when it is written, or was not to be.
        let _ = recorded.recv();
        fail::point("sync:recorded");
    }
    Ok(())
}

fn put(owner: Owner, supervisor: &Supervisor, spec: Arc<Spec>, start: StartMode) -> Result<()> {
    let slot = Slot { owner, id: spec.id.clone() };
    supervisor.send(SupervisorCommand::Put { slot, spec, start, started: None })?;
    fail::point("sync:put-sent");
    Ok(())
}

/// A process of the same id may live: of the same declaration it is adopted, of another one replaced.
fn start_mode(core: &mut ManagedSet, id: &Arc<str>, spec: &Spec) -> StartMode {
    let (outdated, stop, claim) = match (core.unclaimed.remove(id), core.unrecorded.remove(id)) {
        (Some(record), _) => {
            (record.fingerprint != spec.fingerprint(), Some(Box::new(record.stop.clone())), record.into_claim())
        }
        (None, Some(stray)) => {
            let as_declared = unrecorded_process::is_of(&stray, spec);
            (!as_declared, None, Claim::PidOnly { pid: stray.pid, as_declared })
        }
        (None, None) => return StartMode::New,
    };
    let others = core.others_of(spec);
    StartMode::Claimed { claim: Box::new(claim), start_if_gone: true, outdated, stop, others }
}

fn remove(core: &mut ManagedSet, owner: Owner, supervisor: &Supervisor, managed: Managed) -> Result<()> {
    match managed {
        Managed::Daemon(daemon) => {
            let slot = Slot { owner, id: daemon.spec.id.clone() };
            supervisor.send(SupervisorCommand::Stop { slot, forget: true, stopped: None })?;
            fail::point("sync:stop-sent");
            Ok(())
        }
        Managed::Custom(other) => {
            core.worker()?.call(Call::Stop(*other, None));
            Ok(())
        }
    }
}

/// After the first sync: what was restored and is still wanted is started if it is not running, and what is recorded
/// and not wanted is stopped.
fn settle_restored(
    core: &mut ManagedSet,
    owner: Owner,
    supervisor: &Supervisor,
    restored: Vec<Arc<str>>,
) -> Result<()> {
    for id in restored {
        match core.managed.get(&id).cloned() {
            Some(Managed::Daemon(daemon)) => {
                let start = start_mode(core, &daemon.spec.id, &daemon.spec);
                put(owner, supervisor, daemon.spec, start)?;
            }
            Some(Managed::Custom(other)) if is_idle(&other) => core.worker()?.call(Call::Start(*other)),
            Some(Managed::Custom(_)) | None => {}
        }
    }
    for (id, spec) in claim_unclaimed(core, owner, supervisor)? {
        core.context.log.about(Level::Warn, &id, format_args!("a recorded process that is not wanted is stopped"));
        let slot = Slot { owner, id: spec.id.clone() };
        supervisor.send(SupervisorCommand::Stop { slot, forget: true, stopped: None })?;
        fail::point("sync:unwanted-sent");
    }
    Ok(())
}

fn is_idle(other: &CustomProxy) -> bool {
    other.status().state == ProxyState::Idle
}

/// Hands every recorded process without a claim to the supervisor, to be stopped.
pub(super) fn claim_unclaimed(
    core: &mut ManagedSet,
    owner: Owner,
    supervisor: &Supervisor,
) -> Result<BTreeMap<Arc<str>, Arc<Spec>>> {
    let recorded = std::mem::take(&mut core.unclaimed).into_iter();
    let recorded = recorded.map(|(id, record)| (id, record.stop.clone(), record.into_claim()));
    let unrecorded = std::mem::take(&mut core.unrecorded).into_iter();
    let by_number = |stray: UnrecordedProcess| Claim::PidOnly { pid: stray.pid, as_declared: false };
    let unrecorded = unrecorded.map(|(id, stray)| (id, RecordedStop::default(), by_number(stray)));
    let mut claimed = BTreeMap::new();
    for (id, stop, claim) in unrecorded.chain(recorded) {
        let spec = match core.managed.get(&id) {
            Some(Managed::Daemon(daemon)) => Arc::new(core.spec(&id, &daemon.spec.config)),
            // Only its identity is known, and perhaps how it is stopped.
            _ => core.spec(&id, &Arc::new(ProxyConfig::new(Program::default()))).with_stop(
                stop,
                claim.token(),
                claim.sockets(),
            ),
        };
        let others = core.others_of(&spec);
        let start =
            StartMode::Claimed { claim: Box::new(claim), start_if_gone: false, outdated: false, stop: None, others };
        put(owner, supervisor, spec.clone(), start)?;
        claimed.insert(id, spec);
    }
    Ok(claimed)
}
