// SPDX-License-Identifier: MPL-2.0
//! Restoring from a snapshot that is not the manager's own. It names the processes itself, or it is in the data
//! directory of another manager, whose records name them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::managed_set::ManagedSet;
use super::restore::{Found, find_unrecorded, generated_tokens};
use super::sync::hold;
use crate::defaults::MAX_REFUSED_NAMED;
use crate::error::{Error, ErrorCode, Result, excerpt};
use crate::lifecycle::ProxyState;
use crate::logging::Level;
use crate::store::file_place::FilePlace;
use crate::store::snapshot::{self, Snapshot};
use crate::store::snapshot_entry::{Entry, StoredProcess};
use crate::store::{self, DataDir, OtherDataDir, RecoveredProcesses, SnapshotLocation};
use crate::supervisor::{Files, Owner, ProxyOccurrence};
use crate::sys::pid::Pid;
use crate::sys::process_identity::Identity;

/// A snapshot, and what the directory that it is in says of the processes.
#[derive(Default)]
pub(super) struct ExternalSnapshot {
    pub(super) snapshot: Snapshot,
    /// Of the data directory of another manager.
    pub(super) found: Found,
    /// Proxies whose process, if one lives, is not known, and why.
    pub(super) unknown: BTreeMap<String, String>,
    /// Locked while its processes are recorded here.
    pub(super) dir: Option<OtherDataDir>,
}

/// Reads a snapshot; `None` when there is none.
///
/// # Errors
/// [`ErrorCode::Locked`] when it is in the data directory of a manager that lives, [`ErrorCode::CorruptSnapshot`],
/// [`ErrorCode::Io`].
pub(super) fn read(path: &Path, own: Option<&DataDir>) -> Result<Option<ExternalSnapshot>> {
    let Some((snapshot, _)) = decode(path)? else { return Ok(None) };
    let is_daemon = |entry: &Entry| matches!(entry, Entry::Daemon(_));
    // Without any daemon it may still be a manager's own, with one that was written ahead.
    let may_be_own = store::has_name_of_snapshot(path) && !snapshot.proxies.values().any(is_daemon);
    if unsaid(&snapshot).is_empty() && !may_be_own {
        return Ok(Some(ExternalSnapshot { snapshot, ..ExternalSnapshot::default() }));
    }
    let inode = own.map(DataDir::own_inode).transpose();
    let inode = inode.map_err(|error| Error::os(store::code_of(&error), "stat data directory", &error))?;
    let around =
        OtherDataDir::around(path, inode).map_err(|error| error.within(format_args!("restore {}", path.display())))?;
    match around {
        SnapshotLocation::Own => Ok(Some(ExternalSnapshot { snapshot, ..ExternalSnapshot::default() })),
        SnapshotLocation::None => {
            let why = format!("{} names no processes, and there are no records beside it", path.display());
            let unknown = unsaid(&snapshot).into_iter().map(|id| (id, why.clone())).collect();
            Ok(Some(ExternalSnapshot { snapshot, unknown, ..ExternalSnapshot::default() }))
        }
        // ORDER: read once more under the lock, for the manager that had it may have written it since.
        SnapshotLocation::Foreign(dir) => match decode(path)? {
            Some((snapshot, text)) => take_stock(dir, snapshot, &text).map(Some),
            None => Ok(None),
        },
    }
}

fn decode(path: &Path) -> Result<Option<(Snapshot, Vec<u8>)>> {
    let text = store::read_file(path)
        .map_err(|error| Error::os(ErrorCode::Io, format_args!("read snapshot {}", path.display()), &error))?;
    let Some(text) = text else { return Ok(None) };
    let snapshot = snapshot::decode(&text).map_err(|error| error.within(path.display()))?;
    Ok(Some((snapshot, text)))
}

/// The daemons of which the snapshot does not say whether they have a process: one that names any names all.
fn unsaid(snapshot: &Snapshot) -> Vec<String> {
    let daemons = snapshot.proxies.iter().filter_map(|(id, entry)| match entry {
        Entry::Daemon(daemon) => Some((id, daemon)),
        Entry::Other(..) => None,
    });
    if daemons.clone().any(|(_, daemon)| matches!(daemon.process, StoredProcess::Known(_))) {
        return Vec::new();
    }
    daemons.filter(|(_, daemon)| daemon.process == StoredProcess::Unnamed).map(|(id, _)| id.clone()).collect()
}

/// What the data directory of another manager says of the processes of its snapshot.
fn take_stock(dir: OtherDataDir, mut snapshot: Snapshot, text: &[u8]) -> Result<ExternalSnapshot> {
    let ahead = dir.read_ahead().unwrap_or_else(|error| {
        let what = format_args!("read what follows the snapshot in {}", dir.path().display());
        snapshot.refused.push(Error::os(store::code_of(&error), what, &error));
        None
    });
    store::journal::add(&mut snapshot, text, &ahead.unwrap_or_default());
    let RecoveredProcesses { records, lost, bad } = match dir.survivors()? {
        Ok(survivors) => survivors,
        Err(why) => {
            let why = format!("{why}, and the snapshot names no processes");
            let unknown = unsaid(&snapshot).into_iter().map(|id| (id, why.clone())).collect();
            return Ok(ExternalSnapshot { snapshot, unknown, dir: Some(dir), ..ExternalSnapshot::default() });
        }
    };
    let damaged: Vec<String> = lost.iter().filter(|lost| lost.pid.is_none()).map(|lost| lost.id.clone()).collect();
    let found = find_unrecorded(lost, |id| dir.log_files(id), &[])?;
    let why = || format!("its record in {} cannot be used", dir.path().display());
    let unknown = damaged.into_iter().filter(|id| !found.unrecorded.contains_key(id)).map(|id| (id, why())).collect();
    let tokens = found.tokens.into_iter().chain(generated_tokens(&records)).collect();
    let found = Found { unclaimed: records, others: Vec::new(), unrecorded: found.unrecorded, tokens, ignored: bad };
    Ok(ExternalSnapshot { snapshot, found, unknown, dir: Some(dir) })
}

/// Takes note of the processes of another data directory, as if it were this manager's own. What is known here already
/// is newer.
///
/// # Errors
/// When that could not be written down: without it they would be lost together with this agent.
pub(super) fn take_note(core: &mut ManagedSet, owner: Owner, found: Found) -> Result<()> {
    core.tell_bad("ignored beside the snapshot", &found.ignored);
    let supervised = core.supervisor.get().map(|supervisor| supervisor.status(owner)).transpose()?;
    let supervised: BTreeMap<String, u32> =
        supervised.into_iter().flatten().filter_map(|status| Some((status.id, status.pid?))).collect();
    for record in found.unclaimed {
        let id: Arc<str> = record.id.as_str().into();
        let pid = record.identity.pid;
        let recorded = core.unclaimed.get(&id).map(|own| own.identity.pid.as_u32());
        let stray = core.unrecorded.get(&id).filter(|stray| stray.pid != pid && stray.lives());
        let known = recorded.or_else(|| supervised.get(&*id).copied()).or(stray.map(|stray| stray.pid.as_u32()));
        match known {
            Some(known) if known == pid.as_u32() => {}
            Some(known) if may_live(&record.identity) => tell_left_alone(core, &id, pid, known),
            Some(_) => {}
            None => {
                if let Files::DataDir(data_dir) = &core.context.files {
                    data_dir.write_record(FilePlace::Current, record.header(), &record.identity)?;
                }
                core.unrecorded.remove(&id);
                core.unclaimed.insert(id, record);
            }
        }
    }
    for (id, stray) in found.unrecorded {
        if !core.unclaimed.contains_key(id.as_str()) && !supervised.contains_key(&id) {
            core.unrecorded.entry(id.into()).or_insert(stray);
        }
    }
    Ok(())
}

/// Whether a recorded process is there, as far as its pid and start time say.
fn may_live(identity: &Identity) -> bool {
    identity.stat().map_or(true, |stat| stat.is_some_and(|stat| !stat.is_dead()))
}

/// An id has one process: the one that this manager has.
fn tell_left_alone(core: &ManagedSet, id: &Arc<str>, pid: Pid, known: u32) {
    let reason = format!("pid {pid} is recorded beside the snapshot, but pid {known} is known here: it is left alone");
    core.context.publisher.of_proxy(id, ProxyOccurrence::NotAdopted { reason, ended: false });
}

/// Says of which proxies it is not known whether a process lives: it is started by the first sync that wants it.
pub(super) fn tell_unknown(core: &mut ManagedSet, path: &Path, unknown: BTreeMap<String, String>) {
    let Some(why) = unknown.values().next() else { return };
    let named: Vec<String> = unknown.keys().take(MAX_REFUSED_NAMED).map(|id| excerpt(id).to_string()).collect();
    let more =
        if unknown.len() > named.len() { format!(" and {} more", unknown.len() - named.len()) } else { String::new() };
    let what = format_args!(
        "restore {}: not known whether a process lives of {}{more}: {why}; another is started of each that is wanted",
        path.display(),
        named.join(", ")
    );
    core.context.log.write(Level::Warn, what);
    for (id, why) in unknown {
        let id: Arc<str> = id.into();
        let reason = format!("not known whether a process lives: {why}");
        core.context.publisher.of_proxy(&id, ProxyOccurrence::NotKnownToLive { reason: reason.clone() });
        hold(core, &id, &crate::declaration::ExecMode::DAEMON, ProxyState::Idle, reason);
    }
}
