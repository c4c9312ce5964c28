// SPDX-License-Identifier: MPL-2.0
//! Writing the snapshot: what is managed, and for proxies of registered kinds the state that their code stores. If
//! there are many proxies, a few changes are appended after it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use super::managed::Managed;
use super::managed_set::ManagedSet;
use super::written_snapshot::{SnapshotFile, WrittenAhead, WrittenSnapshot};
use crate::declaration::{Fingerprint, ProxySnapshot};
use crate::error::{Error, ErrorCode, Result};
use crate::logging::{Level, Log};
use crate::store::snapshot_entry::{DaemonEntry, Entry, KnownProcess, StoredProcess};
use crate::store::{self, AheadPlace, DataDir, snapshot};
use crate::supervisor::{Files, SnapshotOccurrence};
use crate::sys::file::FileVersion;

/// From this many proxies on, the snapshot is not rewritten for each change. A smaller one is written in a millisecond.
const MANY: usize = 1000;

/// How long the file of what was written after the snapshot may become, which is read into memory beside it.
const MAX_AHEAD: u64 = 16 * 1024 * 1024;

/// So much of a snapshot is written at a time.
const BUFFER: usize = 64 * 1024;

/// What goes into a snapshot, to be written as often as needed.
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

    /// Says what the digest of the text is.
    fn write_file(&self, file: &mut File) -> io::Result<Fingerprint> {
        let mut out = Digesting { digest: Fingerprint::new(), out: BufWriter::with_capacity(BUFFER, file) };
        self.write(&mut out)?;
        out.flush()?;
        Ok(out.digest)
    }

    fn digest(&self) -> io::Result<Fingerprint> {
        let mut out = Digesting { digest: Fingerprint::new(), out: io::sink() };
        self.write(&mut out)?;
        Ok(out.digest)
    }
}

/// What is written, and its digest.
struct Digesting<W> {
    digest: Fingerprint,
    out: W,
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write_all(bytes)?;
        self.digest = self.digest.add_part(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl ManagedSet {
    /// Writes a snapshot to a path of the user's, with the processes that live.
    pub(super) fn write_snapshot_to(&self, path: &Path, processes: BTreeMap<Arc<str>, KnownProcess>) -> Result<()> {
        let content = Content::of(&self.managed, processes, &self.context.log);
        store::replace_file(path, |file| content.write_file(file).map(drop))
            .map_err(|error| Error::os(ErrorCode::Io, format_args!("write snapshot {}", path.display()), &error))
    }

    /// Writes the snapshot of the data directory, if it is another than the last one.
    pub(super) fn write_snapshot(&mut self) -> Result<()> {
        let Files::DataDir(data_dir) = &self.context.files else { return Ok(()) };
        if self.unrestored {
            return Err(Error::new(ErrorCode::Io, "the snapshot is not overwritten, for it was not restored yet"));
        }
        let content = Content::of(&self.managed, BTreeMap::new(), &self.context.log);
        let found = data_dir.snapshot_version();
        let last = self.own_snapshot(&found);
        let same = match last {
            // Of few it is soon known whether it is the same; and what the host's code stores is known when it is asked for.
            Some(last) if self.managed.len() < MANY || self.managed.has_changeable() => {
                content.digest().is_ok_and(|digest| digest == last.digest)
            }
            last => last.is_some() && self.is_written(),
        };
        let mut snapshot = self.written.snapshot;
        if !same {
            let written = found.and_then(|_| {
                data_dir.write_snapshot(|file| {
                    let digest = content.write_file(file)?;
                    // ORDER: before it has its name. What followed a snapshot of the same text would follow this one as well.
                    if snapshot.is_some_and(|last| last.digest == digest) && self.written.ahead.count > 0 {
                        data_dir.remove_ahead().map_err(|error| io::Error::other(error.to_string()))?;
                    }
                    snapshot = Some(SnapshotFile { digest, version: FileVersion::of(file)? });
                    Ok(())
                })
            });
            let happened = written
                .as_ref()
                .map_or_else(|error| SnapshotOccurrence::NotWritten { error }, |()| SnapshotOccurrence::Written);
            self.context.publisher.of_snapshot(happened);
            written?;
        }
        // What followed another snapshot counts for nothing, so that this only tidies up.
        let is_clear = same && self.written.ahead.count == 0 && !self.written.untidy;
        let tidied = if is_clear { Ok(()) } else { data_dir.remove_ahead() };
        let untidy = tidied.inspect_err(|error| self.context.log.write(Level::Warn, format_args!("{error}"))).is_err();
        self.written = WrittenSnapshot { snapshot, ahead: WrittenAhead::default(), untidy };
        self.managed.wrote_all();
        Ok(())
    }

    /// Writes down what is about to be started: after the snapshot, or, when that is much, as a new snapshot.
    pub(super) fn write_ahead(&mut self, begun: &[Arc<str>]) -> Result<()> {
        let Files::DataDir(data_dir) = &self.context.files else { return Ok(()) };
        let data_dir = data_dir.clone();
        let is_few = self.managed.may_follow(self.written.ahead.count + begun.len());
        let appended =
            is_few && self.own_snapshot(&data_dir.snapshot_version()).is_some() && self.append(&data_dir, begun);
        if appended { Ok(()) } else { self.write_snapshot() }
    }

    /// Has the data directory tell of what changed: of a few of many after the snapshot, else by a new one.
    pub(super) fn write_changes(&mut self) -> Result<()> {
        let Files::DataDir(data_dir) = &self.context.files else { return Ok(()) };
        let data_dir = data_dir.clone();
        let is_few = self.managed.len() >= MANY && !self.managed.has_changeable();
        let changed = self.managed.unwritten(self.written.ahead.count).filter(|_| is_few);
        let changed: Option<Vec<Arc<str>>> = changed.map(|ids| ids.iter().cloned().collect());
        let appended = changed.is_some_and(|ids| self.is_as_written(&data_dir) && self.append(&data_dir, &ids));
        if !appended {
            return self.write_snapshot();
        }
        if std::mem::take(&mut self.written.ahead.untold) {
            self.context.publisher.of_snapshot(SnapshotOccurrence::Written);
        }
        Ok(())
    }

    /// Writes these after the snapshot, as they are now: whether that could be done.
    fn append(&mut self, data_dir: &DataDir, ids: &[Arc<str>]) -> bool {
        let Some(snapshot) = self.written.snapshot else { return false };
        if ids.is_empty() {
            return true;
        }
        let WrittenAhead { count, length, .. } = self.written.ahead;
        let written = self.encode_changes(ids).and_then(|text| {
            let place = if count == 0 { AheadPlace::Begin(snapshot.digest) } else { AheadPlace::At(length) };
            if length + text.len() as u64 > MAX_AHEAD { Ok(None) } else { data_dir.write_ahead(place, &text).map(Some) }
        });
        match written {
            Ok(None) => false,
            Ok(Some(length)) => {
                self.written.ahead = WrittenAhead { count: count + ids.len(), length, untold: true };
                self.managed.wrote(ids);
                true
            }
            Err(error) => {
                // The end of the file may be torn, and nothing may follow that.
                self.context.log.write(Level::Error, format_args!("{error}"));
                self.written.snapshot = None;
                false
            }
        }
    }

    fn encode_changes(&self, ids: &[Arc<str>]) -> Result<Vec<u8>> {
        let changed = ids.iter().filter_map(|id| Some((Arc::clone(id), self.managed.get(id)?.clone()))).collect();
        let content = Content::of(&changed, BTreeMap::new(), &self.context.log);
        let entry = |id: &Arc<str>| changed.get(id).map(|managed| content.entry(id, managed));
        let mut text = Vec::new();
        snapshot::encode_changes(ids.iter().map(|id| (&**id, entry(id))), &mut text)
            .map_err(|error| Error::os(ErrorCode::Internal, "encode what changed", &error))?;
        Ok(text)
    }

    /// Whether the snapshot alone tells of all that is managed, but for what is known when it is asked for.
    fn is_written(&self) -> bool {
        self.written.ahead.count == 0 && self.managed.unwritten(0).is_some_and(BTreeSet::is_empty)
    }

    /// The snapshot that was written, if that is the one which is there. What follows another one would count for nothing.
    fn own_snapshot(&self, found: &Result<Option<FileVersion>>) -> Option<SnapshotFile> {
        self.written.snapshot.filter(|last| matches!(found, Ok(Some(found)) if *found == last.version))
    }

    /// Whether the files are there that were written.
    fn is_as_written(&self, data_dir: &DataDir) -> bool {
        let WrittenSnapshot { ahead, untidy, .. } = self.written;
        let is_there = !untidy && self.own_snapshot(&data_dir.snapshot_version()).is_some();
        is_there && (ahead.count == 0 || matches!(data_dir.ahead_length(), Ok(Some(length)) if length == ahead.length))
    }
}
