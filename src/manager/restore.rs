// SPDX-License-Identifier: MPL-2.0
//! Taking over from an earlier agent: its snapshot, its records, and the processes that are alive.

use std::collections::BTreeMap;
use std::sync::Arc;

use crossbeam_channel::Receiver;

use super::managed::{Managed, ManagedDaemon};
use super::managed_set::ManagedSet;
use super::other_process::OtherProcess;
use crate::declaration::{ProxyConfig, validate_id};
use crate::error::{Error, Result};
use crate::logging::{Level, Log};
use crate::state::State;
use crate::store::file_place::FilePlace;
use crate::store::snapshot::{self, Snapshot};
use crate::store::snapshot_entry::{DaemonEntry, Entry, KnownProcess, StoredProcess};
use crate::store::{self, DataDir, LogHome, Lost, Record, RecordedStop};
use crate::supervisor::adoption::unrecorded_process::{self, ConsulProcess};
use crate::supervisor::{
    self, Claim, Context, Files, OtherClaim, Owner, Slot, SnapshotOccurrence, Spec, StartMode, Supervisor,
    SupervisorCommand,
};
use crate::sys::fail;
use crate::sys::pid::Pid;
use crate::sys::proc::command_line::UnrecordedProcess;
use crate::sys::process_identity;

/// What a data directory says of the processes that may live.
#[derive(Default)]
pub(super) struct Found {
    pub(super) unclaimed: Vec<Record>,
    /// Of the other generation of proxies that were being handed over.
    pub(super) others: Vec<OtherProcess>,
    /// Processes without a record, known by a pid that has to be proven.
    pub(super) unrecorded: BTreeMap<String, UnrecordedProcess>,
    /// The tokens that outlive a snapshot that cannot be read, by the id: the generated ones of records, and those that
    /// unrecorded have.
    pub(super) tokens: Vec<(Arc<str>, String)>,
    /// What was no use.
    pub(super) ignored: Vec<Error>,
}

/// Finds the processes that earlier managers may have left.
pub(super) fn find_processes(data_dir: &DataDir, log: &Log) -> Result<Found> {
    warn_of_hidden_boot_id(log);
    let mut records = data_dir.records()?;
    let (lost, of_others): (Vec<Lost>, Vec<Lost>) =
        data_dir.lost(&mut records)?.into_iter().partition(|lost| lost.place == FilePlace::Current);
    let filed = of_others.into_iter().filter_map(|lost| Some(OtherProcess::Filed(lost.place, lost.id, lost.pid?)));
    let others = records.others.into_iter().map(|(place, record)| OtherProcess::Recorded(place, Box::new(record)));
    let others: Vec<OtherProcess> = others.chain(filed).collect();
    let Found { mut unrecorded, mut tokens, .. } = find_unrecorded(lost, |id| data_dir.log_files(id), &others)?;
    let others = resume_lost(data_dir, others, &mut records.found, &mut unrecorded)?;
    tokens.extend(generated_tokens(&records.found));
    if (records.found.is_empty() && unrecorded.is_empty()) || data_dir.snapshot_version()?.is_none() {
        let survivors = find_survivors(data_dir, log, &records.found, &unrecorded)?;
        tokens.extend(tokens_of(&survivors));
        unrecorded.extend(survivors);
    }
    Ok(Found { unclaimed: records.found, others, unrecorded, tokens, ignored: records.bad })
}

/// Where nothing is found of the current generation of a proxy, not even a process, the other one is that. The rest is returned.
fn resume_lost(
    data_dir: &DataDir,
    others: Vec<OtherProcess>,
    found: &mut Vec<Record>,
    unrecorded: &mut BTreeMap<String, UnrecordedProcess>,
) -> Result<Vec<OtherProcess>> {
    let mut left = Vec::new();
    for other in others {
        let (id, pid) = other.names();
        if unrecorded.contains_key(id) || found.iter().any(|record| record.id == id) {
            left.push(other);
            continue;
        }
        data_dir.resume(id, other.place())?;
        match other {
            OtherProcess::Recorded(_, record) => found.push(*record),
            OtherProcess::Filed(_, id, _) => drop(unrecorded.insert(id, unrecorded_process::examine(pid)?)),
        }
    }
    Ok(left)
}

/// The processes that have no record. `log_files`: device and inode of the logs of a proxy.
pub(super) fn find_unrecorded(
    lost: Vec<Lost>,
    log_files: impl Fn(&str) -> std::io::Result<Vec<(u64, u64)>>,
    others: &[OtherProcess],
) -> Result<Found> {
    if lost.is_empty() {
        return Ok(Found::default());
    }
    let examine = |(id, pid): (String, Pid)| Ok((id, unrecorded_process::examine(pid)?));
    let numbers = lost.iter().filter_map(|lost| Some((lost.id.clone(), lost.pid?)));
    let mut unrecorded = numbers.map(examine).collect::<Result<BTreeMap<String, UnrecordedProcess>>>()?;
    let ids: Vec<String> = lost.into_iter().map(|lost| lost.id).collect();
    let found = supervisor::find_by_log(log_files, &ids)?.into_iter();
    let is_of_current = |(id, pid): &(String, Pid)| !others.iter().any(|other| other.names() == (id.as_str(), *pid));
    let found = found.filter(is_of_current).map(examine).collect::<Result<Vec<_>>>()?;
    // Only of those that write to the logs as well: the process with the pid of a pid file may be another one.
    let tokens = tokens_of(found.iter().map(|(id, stray)| (id, stray))).collect();
    // What the process itself has says more than a pid file, which may be damaged as well.
    unrecorded.extend(found);
    Ok(Found { unrecorded, tokens, ..Found::default() })
}

/// The tokens that processes without a record have, by id.
fn tokens_of<'a>(
    unrecorded: impl IntoIterator<Item = (&'a String, &'a UnrecordedProcess)>,
) -> impl Iterator<Item = (Arc<str>, String)> {
    unrecorded.into_iter().filter_map(|(id, stray)| Some((id.as_str().into(), unrecorded_process::token(stray, id)?)))
}

/// The tokens that were generated, by id.
pub(super) fn generated_tokens(records: &[Record]) -> impl Iterator<Item = (Arc<str>, String)> + '_ {
    let generated = records.iter().filter(|record| record.token_generated);
    generated.filter_map(|record| Some((record.id.as_str().into(), record.token.clone()?)))
}

/// Finds the processes of a directory that was emptied, or is new.
fn find_survivors(
    data_dir: &DataDir,
    log: &Log,
    records: &[Record],
    unrecorded: &BTreeMap<String, UnrecordedProcess>,
) -> Result<BTreeMap<String, UnrecordedProcess>> {
    let recorded = records.iter().map(|record| (&*record.id, record.identity.pid));
    let known: BTreeMap<&str, Pid> =
        recorded.chain(unrecorded.iter().map(|(id, stray)| (id.as_str(), stray.pid))).collect();
    let pids = known.values().map(|pid| pid.as_raw()).collect();
    let mut found = BTreeMap::new();
    for (id, pid) in supervisor::find_by_owner_tag(data_dir.owner_tag(), &pids)? {
        if known.contains_key(id.as_str()) || validate_id(&id).is_err() {
            continue;
        }
        log.about(Level::Warn, &id, format_args!("pid {pid} is of an earlier agent, though nothing is recorded of it"));
        // ORDER: written down before the snapshot is, for an agent that has that does not look for them again.
        data_dir.write_pid(FilePlace::Current, &id, pid)?;
        found.insert(id, unrecorded_process::examine(pid)?);
    }
    Ok(found)
}

/// The processes are known all the same, but a program that clears its environment and closes its logs is not.
fn warn_of_hidden_boot_id(log: &Log) {
    let path = process_identity::BOOT_ID;
    match process_identity::boot_id() {
        Ok(boot) if boot.is_empty() => log.write(
            Level::Warn,
            format_args!(
                "{path} cannot be read: processes are adopted only by what they carry; mount /proc with subset=all \
                 (ProcSubset=all in a systemd unit)"
            ),
        ),
        Ok(_) => {}
        // Whatever needs it reads it again.
        Err(error) => log.write(Level::Warn, format_args!("read {path}: {error}")),
    }
}

/// Reads the snapshot of the data directory. One that cannot be read is set aside, so that the next one does not overwrite
/// what may be wanted for repair; the records are untouched.
pub(super) fn read(data_dir: &DataDir, core: &ManagedSet) -> Result<Option<Snapshot>> {
    let error = match data_dir.read_snapshot() {
        Ok(None) => return Ok(None),
        Ok(Some(text)) => match snapshot::decode(&text) {
            Ok(snapshot) => return add_ahead(snapshot, &text, data_dir).map(Some),
            Err(error) => error.within(data_dir.snapshot_path().display()),
        },
        // Whatever is there in its place, a directory or a link, would be in the way of the next one.
        Err(error) if !may_pass(&error) => error,
        Err(error) => return Err(error),
    };
    fail::point("restore:corrupt");
    let error = data_dir.set_snapshot_aside(error);
    fail::point("restore:set-aside");
    core.context.publisher.of_snapshot(SnapshotOccurrence::NotRead { error: &error });
    Err(error)
}

/// Adds what was written down after the snapshot of the data directory.
fn add_ahead(mut snapshot: Snapshot, text: &[u8], data_dir: &DataDir) -> Result<Snapshot> {
    match data_dir.read_ahead() {
        Ok(written) => store::journal::add(&mut snapshot, text, &written.unwrap_or_default()),
        Err(error) if may_pass(&error) => return Err(error),
        // No file of ours: whatever began after the snapshot is in the records.
        Err(error) => snapshot.refused.push(error),
    }
    Ok(snapshot)
}

/// Whether what could not be read is as it was, and may be read later.
pub(super) fn may_pass(error: &Error) -> bool {
    let passing = [libc::EAGAIN, libc::EINTR, libc::EMFILE, libc::ENFILE, libc::ENOMEM];
    error.errno().is_some_and(|errno| passing.contains(&errno) || store::is_of_dead_file_system(errno))
}

/// An adoption that was asked for and is not answered yet.
pub(super) type Adoption = Receiver<Result<()>>;

/// Takes over what a snapshot describes. Processes that live are supervised from here on; nothing is started.
pub(super) fn take_over(
    core: &mut ManagedSet,
    owner: Owner,
    state: &State,
    snapshot: Snapshot,
    own: bool,
) -> Result<Vec<Adoption>> {
    let supervisor = core.supervisor()?;
    let mut consuls = examine_consuls(core, &snapshot)?;
    tell_refused(core, &snapshot.refused, own);
    fail::point("restore:read");
    // ORDER: a process that the snapshot alone names is written down before anything else can happen, for the next snapshot
    // will not name them.
    for (id, entry) in &snapshot.proxies {
        if let Entry::Daemon(entry) = entry {
            write_down(core, &id.as_str().into(), entry, consuls.get(id))?;
        }
    }
    fail::point("restore:written-down");
    let mut adoptions = Vec::new();
    let mut tokens = BTreeMap::new();
    for (id, entry) in snapshot.proxies {
        let id: Arc<str> = id.into();
        match entry {
            Entry::Daemon(entry) => {
                if let (true, Some(token)) = (entry.config.token_generated, &entry.config.token) {
                    tokens.insert(id.clone(), token.clone());
                }
                let consul = consuls.remove(&*id);
                adoptions.extend(take_over_daemon(core, owner, &supervisor, &id, entry, consul)?);
            }
            Entry::Other(mode, stored) => {
                let created = core.registry.create(&id, &mode, None);
                match created.and_then(|other| other.unmarshal(&stored).map(|()| other)) {
                    Ok(other) => drop(core.managed.insert(id, Managed::Custom(Box::new(other)))),
                    Err(error) => tell_refused(core, &[error], own),
                }
            }
        }
    }
    state.remember_tokens(tokens.into_iter());
    fail::point("restore:handed-over");
    Ok(adoptions)
}

/// What cannot be used of the manager's own snapshot would be gone with the next one.
fn tell_refused(core: &ManagedSet, refused: &[Error], own: bool) {
    let what = match &core.context.files {
        Files::DataDir(data_dir) if own && !refused.is_empty() => {
            format!("ignored in the snapshot, {}", data_dir.keep_snapshot())
        }
        _ => "ignored in the snapshot".to_owned(),
    };
    core.tell_bad(&what, refused);
}

/// The processes that a snapshot of Consul's names, and what they show.
///
/// ORDER: all of them before anything is changed, for what cannot be known now ends the restore.
fn examine_consuls(core: &ManagedSet, snapshot: &Snapshot) -> Result<BTreeMap<String, ConsulProcess>> {
    let mut consuls = BTreeMap::new();
    for (id, entry) in &snapshot.proxies {
        let Entry::Daemon(DaemonEntry { config, process: StoredProcess::Version1(stored), .. }) = entry else {
            continue;
        };
        let found = match (core.unclaimed.get(id.as_str()), core.unrecorded.get(id.as_str())) {
            // An agent has taken it over already, and did not live to write its own snapshot.
            (Some(record), _) => unrecorded_process::examine(record.identity.pid)?,
            (None, None) => unrecorded_process::examine(stored.pid)?,
            // Consul writes the pid file at each start, and the snapshot up to a second later.
            (None, Some(filed)) => {
                let likelihood = |stray: &UnrecordedProcess| (unrecorded_process::shows(stray, id), stray.lives());
                let named = unrecorded_process::examine(stored.pid)?;
                if likelihood(&named) > likelihood(filed) { named } else { filed.clone() }
            }
        };
        consuls.insert(id.clone(), ConsulProcess::new(id, config, stored.clone(), found));
    }
    Ok(consuls)
}

/// Has a process that the snapshot names in the records, or at least in a pid file, unless it is there already.
fn write_down(core: &mut ManagedSet, id: &Arc<str>, entry: &DaemonEntry, consul: Option<&ConsulProcess>) -> Result<()> {
    let Files::DataDir(data_dir) = &core.context.files else { return Ok(()) };
    if core.unclaimed.contains_key(id) {
        return Ok(());
    }
    match &entry.process {
        StoredProcess::Unnamed | StoredProcess::None => Ok(()),
        StoredProcess::Known(process) => {
            let config = &entry.config;
            let record = Record {
                id: id.to_string(),
                fingerprint: process.fingerprint,
                identity: process.identity.clone(),
                token: config.token.clone(),
                token_generated: config.token_generated,
                stop: RecordedStop::of(config),
                unused_commands: None,
                owner_tag: process.owner_tag.clone(),
                numbers: process.numbers,
                notifications: None,
                sockets: Vec::new(),
                ended: None,
            };
            data_dir.write_record(FilePlace::Current, record.header(), &record.identity)?;
            core.unclaimed.insert(id.clone(), record);
            Ok(())
        }
        StoredProcess::Version1(_) => match consul.map(ConsulProcess::pid) {
            Some(pid) if core.unrecorded.get(id).is_none_or(|filed| filed.pid != pid) => {
                data_dir.write_pid(FilePlace::Current, id, pid)
            }
            _ => Ok(()),
        },
    }
}

fn take_over_daemon(
    core: &mut ManagedSet,
    owner: Owner,
    supervisor: &Supervisor,
    id: &Arc<str>,
    entry: DaemonEntry,
    consul: Option<ConsulProcess>,
) -> Result<Option<Adoption>> {
    let config = entry.config;
    if entry.paused {
        core.paused.insert(id.clone());
    }
    let spec = Arc::new(match &consul {
        Some(_) => spec_of_consul(core, id, &config),
        None => core.spec(id, &config),
    });
    let consul_claim = consul
        .as_ref()
        .map(|process| Claim::PidOnly { pid: process.pid(), as_declared: process.difference(&spec).is_none() });
    core.managed
        .insert(id.clone(), Managed::Daemon(ManagedDaemon { spec: spec.clone(), consul: consul.map(Box::new) }));
    // The record is newer than the snapshot: it is rewritten with every start.
    let fingerprint = spec.fingerprint();
    let claim = match (core.unclaimed.get(id), entry.process) {
        (Some(record), _) if record.fingerprint == fingerprint => core.unclaimed.remove(id).map(Record::into_claim),
        // Whether it is the one that is wanted is decided by what it has, and not by what the record says.
        (Some(_), StoredProcess::Version1(_)) => core.unclaimed.remove(id).map(Record::into_claim),
        // A process of another declaration: whether it is replaced or wanted again is for the first sync to say.
        (Some(_), _) => None,
        (None, StoredProcess::Known(process)) if process.fingerprint == fingerprint => {
            let KnownProcess { identity, owner_tag, numbers, .. } = process;
            Some(Claim::Snapshot { identity, owner_tag, numbers })
        }
        (None, StoredProcess::Known(process)) => {
            let KnownProcess { identity, fingerprint, owner_tag, numbers } = process;
            let record = Record {
                id: id.to_string(),
                fingerprint,
                identity,
                token: config.token.clone(),
                token_generated: false,
                stop: RecordedStop::of(&config),
                unused_commands: None,
                owner_tag,
                numbers,
                notifications: None,
                sockets: Vec::new(),
                ended: None,
            };
            core.unclaimed.insert(id.clone(), record);
            None
        }
        (None, StoredProcess::Version1(_)) => {
            core.unrecorded.remove(id);
            consul_claim
        }
        // Its record is lost. If it runs what the snapshot says, it is the one; if not, the first sync replaces it.
        (None, StoredProcess::Unnamed | StoredProcess::None) => match core.unrecorded.get(id) {
            Some(stray) if unrecorded_process::is_of(stray, &spec) => {
                let pid = stray.pid;
                core.unrecorded.remove(id);
                Some(Claim::PidOnly { pid, as_declared: true })
            }
            _ => None,
        },
    };
    let others = if claim.is_some() { core.others_of(&spec) } else { Vec::new() };
    claim.map(|claim| adopt(owner, supervisor, spec, claim, others)).transpose()
}

fn adopt(
    owner: Owner,
    supervisor: &Supervisor,
    spec: Arc<Spec>,
    claim: Claim,
    others: Vec<OtherClaim>,
) -> Result<Adoption> {
    let (started, adoption) = crossbeam_channel::bounded(1);
    let slot = Slot { owner, id: spec.id.clone() };
    let start =
        StartMode::Claimed { claim: Box::new(claim), start_if_gone: false, outdated: false, stop: None, others };
    supervisor.send(SupervisorCommand::Put { slot, spec, start, started: Some(started) })?;
    Ok(adoption)
}

/// What Consul's snapshot says is the whole environment, so that nothing of this manager's comes to it.
fn spec_of_consul(core: &ManagedSet, id: &Arc<str>, config: &ProxyConfig) -> Spec {
    let context = Context { proxy_env: Vec::new(), ..(*core.context).clone() };
    let config = unrecorded_process::without_inherited(config, &context.base_env);
    Spec::new(id.clone(), Arc::new(config), Arc::new(context))
}
