// SPDX-License-Identifier: MPL-2.0
//! A daemon into a snapshot, and out of one of this library's or of Consul's.

use std::sync::Arc;

use serde_json::Value;

use super::{Daemon, Declared};
use crate::declaration::fields::Fields;
use crate::declaration::{Fingerprint, ProxySnapshot, path_from_json, path_to_json};
use crate::error::{Error, ErrorCode, Result};
use crate::store::read_version1_daemon;
use crate::store::snapshot_entry::{DaemonEntry, KnownProcess, StoredProcess};
use crate::supervisor::adoption::unrecorded_process::{self, ConsulProcess};
use crate::supervisor::{BaseEnvironment, Claim, StartMode};

/// A daemon of a snapshot.
struct Restored {
    declared: Declared,
    /// The process that it may have, and the fingerprint of what that was started from; without one, it is of this
    /// declaration.
    process: Option<(Claim, Option<Fingerprint>)>,
}

impl Daemon {
    /// What [`Daemon::unmarshal_snapshot`] needs to take the process over, in another agent as well: the declaration,
    /// the token in the clear, and the process if one lives. Never the agent's environment.
    pub fn marshal_snapshot(&self) -> ProxySnapshot {
        let (declared, supervisor) = {
            let inner = self.lock();
            (inner.declared.clone(), inner.supervisor.clone())
        };
        let processes = supervisor.map(|supervisor| supervisor.processes(self.owner)).transpose();
        let process = processes.ok().flatten().and_then(|mut processes| processes.pop());
        let process = process.map_or(StoredProcess::Unnamed, |(_, process)| StoredProcess::Known(process));
        let mut snapshot = DaemonEntry { config: declared.config.clone(), process, paused: false }.to_json();
        snapshot.insert("id".to_owned(), Value::from(&*declared.id));
        let files = [("stdout", &declared.stdout), ("stderr", &declared.stderr), ("pid_path", &declared.pid)];
        for (field, path) in files {
            if let Some(path) = path {
                snapshot.insert(field.to_owned(), path_to_json(path));
            }
        }
        snapshot
    }

    /// Becomes the daemon of a snapshot. A process that lives, and is proven to be the one of the snapshot, is
    /// supervised at once; one that is gone is started by [`Daemon::start`].
    ///
    /// What Consul's `Daemon.MarshalSnapshot` returns (`CommandArgs`, `CommandDir`, `CommandEnv`, `CommandPath`, `Pid`,
    /// `ProxyID`, `ProxyToken`) is read as well. The files of this daemon are kept then, for that names none. Its process
    /// is proven by the id and the token in its environment, or by its writing to the files of this daemon;
    /// `CommandEnv` is its whole environment, of which what this agent has as well counts as inherited.
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidConfig`] naming the field, or because this daemon was started already. Nothing is changed.
    /// - [`ErrorCode::Io`], [`ErrorCode::Exhausted`]: the process of Consul's cannot be examined now. Nothing is changed.
    pub fn unmarshal_snapshot(&self, snapshot: &ProxySnapshot) -> Result<()> {
        self.check_usable()?;
        let current = self.lock().declared.clone();
        let read = if snapshot.contains_key("CommandPath") { read_consul } else { read };
        let restored = read(snapshot.clone(), current)?;
        let (supervisor, spec, (claim, started_from)) = {
            let mut inner = self.lock();
            inner.check_open()?;
            if inner.supervisor.is_some() {
                let message = "unmarshal_snapshot: expected a daemon that was never started";
                return Err(Error::new(ErrorCode::InvalidConfig, message));
            }
            restored.declared.validate()?;
            inner.declared = restored.declared;
            let Some(process) = restored.process else { return Ok(()) };
            (inner.supervisor()?, self.spec(&inner.declared), process)
        };
        let outdated = started_from.is_some_and(|fingerprint| fingerprint != spec.fingerprint());
        self.put(
            &supervisor,
            spec,
            StartMode::Claimed {
                claim: Box::new(claim),
                start_if_gone: false,
                outdated,
                stop: None,
                others: Vec::new(),
            },
        )
    }
}

/// Reads what [`Daemon::marshal_snapshot`] returned.
fn read(snapshot: ProxySnapshot, current: Declared) -> Result<Restored> {
    let mut fields = Fields::of("", snapshot.into())?;
    let id = fields.string("id")?.map_or(current.id, Arc::from);
    let mut path = |field: &str| fields.read(field, "a path", path_from_json);
    let (stdout, stderr, pid) = (path("stdout")?, path("stderr")?, path("pid_path")?);
    let entry = DaemonEntry::from_fields(fields)?;
    let process = match entry.process {
        StoredProcess::Known(KnownProcess { identity, fingerprint, owner_tag, numbers }) => {
            Some((Claim::Snapshot { identity, owner_tag, numbers }, Some(fingerprint)))
        }
        _ => None,
    };
    Ok(Restored { declared: Declared { id, config: entry.config, stdout, stderr, pid, consul: None }, process })
}

/// Reads what `Daemon.MarshalSnapshot` of Consul 1.2 to 1.4 returned.
fn read_consul(mut snapshot: ProxySnapshot, current: Declared) -> Result<Restored> {
    // What it writes where there is none.
    if snapshot.get("ProxyToken").is_some_and(|token| token == "") {
        snapshot.remove("ProxyToken");
    }
    let mut fields = Fields::of("", snapshot.into())?;
    let id = fields.string("ProxyID")?.filter(|id| !id.is_empty()).map_or(current.id.clone(), Arc::from);
    let entry = read_version1_daemon(fields)?;
    let consul = match entry.process {
        StoredProcess::Version1(stored) => {
            let found = unrecorded_process::examine(stored.pid)?;
            Some(ConsulProcess::new(&id, &entry.config, stored, found))
        }
        _ => None,
    };
    let process = consul.as_ref().map(|process| (Claim::PidOnly { pid: process.pid(), as_declared: true }, None));
    let config = Arc::new(unrecorded_process::without_inherited(&entry.config, &BaseEnvironment::capture()));
    Ok(Restored { declared: Declared { id, config, consul: consul.map(Arc::new), ..current }, process })
}
