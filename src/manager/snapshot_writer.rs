// SPDX-License-Identifier: MPL-2.0
//! Writing the snapshot: what is managed, and of what is no daemon whatever its own code stores.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use super::managed_set::{Managed, ManagedSet};
use super::written_snapshot::WrittenSnapshot;
use crate::declaration::{ExecMode, Fingerprint, ProxySnapshot};
use crate::error::{Error, ErrorCode, Result};
use crate::logging::{Level, Log};
use crate::store::snapshot_entry::{DaemonEntry, Entry, KnownProcess, StoredProcess};
use crate::store::{self, snapshot};
use crate::supervisor::{Files, SnapshotOccurrence};

/// What goes into a snapshot, to be written as often as needed: first to know whether it is another than the last one.
struct Content<'a> {
    managed: &'a BTreeMap<Arc<str>, Managed>,
    /// Asked once for each snapshot: it is code of the host's.
    stored: BTreeMap<&'a str, ProxySnapshot>,
    processes: BTreeMap<Arc<str>, KnownProcess>,
}

impl Content<'_> {
    fn of<'a>(
        managed: &'a BTreeMap<Arc<str>, Managed>,
        processes: BTreeMap<Arc<str>, KnownProcess>,
        log: &Log,
    ) -> Content<'a> {
        let stored = managed.iter().filter_map(|(id, managed)| match managed {
            Managed::Custom(other) => Some((&**id, other.marshal(log))),
            Managed::Daemon(_) => None,
        });
        Content { managed, stored: stored.collect(), processes }
    }

    fn entry(&self, id: &str, managed: &Managed) -> Entry {
        match managed {
            Managed::Daemon(daemon) => {
                let process = self.processes.get(id).cloned().map_or(StoredProcess::Unnamed, StoredProcess::Known);
                let (config, paused) = (daemon.spec.config.clone(), daemon.spec.paused);
                Entry::Daemon(DaemonEntry { config, process, paused })
            }
            Managed::Custom(other) => {
                Entry::Other(other.mode.clone(), self.stored.get(id).cloned().unwrap_or_default())
            }
        }
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        snapshot::encode(self.managed.iter().map(|(id, managed)| (&**id, self.entry(id, managed))), out)
    }

    fn write_file(&self, file: &mut File) -> io::Result<()> {
        let mut out = BufWriter::new(file);
        self.write(&mut out)?;
        out.flush()
    }

    fn digest(&self) -> io::Result<Fingerprint> {
        let mut digest = Digest(Fingerprint::new());
        self.write(&mut digest)?;
        Ok(digest.0)
    }
}

struct Digest(Fingerprint);

impl Write for Digest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.add_part(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What part of the set may be written after a snapshot before that is written anew: so both cost what changed.
const AHEAD_PART: usize = 8;

impl ManagedSet {
    /// Writes a snapshot to a path of the user's, with the processes that live.
    pub(super) fn write_snapshot_to(&self, path: &Path, processes: BTreeMap<Arc<str>, KnownProcess>) -> Result<()> {
        let content = Content::of(&self.managed, processes, &self.context.log);
        store::replace_file(path, |file| content.write_file(file))
            .map_err(|error| Error::os(ErrorCode::Io, format_args!("write snapshot {}", path.display()), &error))
    }

    /// Writes the snapshot of the data directory, if it is another than the last one.
    pub(super) fn write_snapshot(&mut self) -> Result<()> {
        let Files::DataDir(data_dir) = &self.context.files else { return Ok(()) };
        if self.unrestored {
            return Err(Error::new(ErrorCode::Io, "the snapshot is not overwritten, for it was not restored yet"));
        }
        let content = Content::of(&self.managed, BTreeMap::new(), &self.context.log);
        let digest = content.digest().map_err(|error| Error::os(ErrorCode::Internal, "encode the snapshot", &error))?;
        let is_there = data_dir.has_snapshot();
        let changed = self.written.snapshot != Some(digest) || !matches!(is_there, Ok(true));
        if changed {
            let written = is_there.and_then(|_| data_dir.write_snapshot(|file| content.write_file(file)));
            let happened = written
                .as_ref()
                .map_or_else(|error| SnapshotOccurrence::NotWritten { error }, |()| SnapshotOccurrence::Written);
            self.context.publisher.of_snapshot(happened);
            written?;
        }
        // What followed another snapshot counts for nothing, so that this only tidies up.
        let tidied =
            if changed || self.written.ahead > 0 || self.written.untidy { data_dir.remove_ahead() } else { Ok(()) };
        let untidy = tidied.inspect_err(|error| self.context.log.write(Level::Warn, format_args!("{error}"))).is_err();
        self.written = WrittenSnapshot { snapshot: Some(digest), ahead: 0, untidy };
        Ok(())
    }

    /// Writes down what is about to be started: after the snapshot, or, when that is much, as a new snapshot.
    pub(super) fn write_ahead(&mut self, begun: Vec<&Arc<str>>) -> Result<()> {
        let Files::DataDir(data_dir) = &self.context.files else { return Ok(()) };
        let WrittenSnapshot { snapshot: Some(snapshot), ahead, .. } = self.written else {
            return self.write_snapshot();
        };
        if ahead + begun.len() > self.managed.len() / AHEAD_PART {
            return self.write_snapshot();
        }
        let entries = begun.iter().filter_map(|id| Some((Arc::clone(id), self.managed.get(*id)?.clone()))).collect();
        let mut text = Vec::new();
        let encoded = Content::of(&entries, BTreeMap::new(), &self.context.log).write(&mut text);
        let encoded = encoded.map_err(|error| Error::os(ErrorCode::Internal, "encode what begins", &error));
        match encoded.and_then(|()| data_dir.write_ahead((ahead == 0).then_some(snapshot), &text)) {
            Ok(()) => {
                self.written.ahead += begun.len();
                Ok(())
            }
            Err(error) => {
                // The end of the file may be torn, and nothing may follow that.
                self.context.log.write(Level::Error, format_args!("{error}"));
                self.written.snapshot = None;
                self.write_snapshot()
            }
        }
    }

    /// Whether there are proxies whose stored state may change without a change of the declared set.
    pub(super) fn has_registered_kinds(&self) -> bool {
        self.managed.values().any(|managed| matches!(managed, Managed::Custom(other) if other.mode != ExecMode::NOOP))
    }
}
