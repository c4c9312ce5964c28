//! Writing the snapshot: what is managed, and of what is no daemon whatever its own code stores.

use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use super::core::{Core, Managed};
use crate::declaration::{ExecMode, ProxySnapshot};
use crate::error::{Error, ErrorCode, Result};
use crate::logging::{self, Level};
use crate::store::entry::{DaemonEntry, Entry, KnownProcess, StoredProcess};
use crate::store::{self, snapshot};
use crate::supervisor::{EventKind, Files};

/// What goes into a snapshot, to be written as often as needed: first to know whether it is another than the last one.
struct Content<'a> {
    managed: &'a BTreeMap<Arc<str>, Managed>,
    /// Asked once for each snapshot: it is code of the host's.
    stored: BTreeMap<&'a str, ProxySnapshot>,
    processes: BTreeMap<Arc<str>, KnownProcess>,
}

impl Content<'_> {
    fn of(managed: &BTreeMap<Arc<str>, Managed>, processes: BTreeMap<Arc<str>, KnownProcess>) -> Content<'_> {
        let stored = managed.iter().filter_map(|(id, managed)| match managed {
            Managed::Other(other) => Some((&**id, other.marshal())),
            Managed::Daemon(_) => None,
        });
        Content { managed, stored: stored.collect(), processes }
    }

    fn entry(&self, id: &str, managed: &Managed) -> Entry {
        match managed {
            Managed::Daemon(daemon) => {
                let process = self.processes.get(id).cloned().map(StoredProcess::Known);
                Entry::Daemon(DaemonEntry { config: daemon.spec.config.clone(), process })
            }
            Managed::Other(other) => Entry::Other(other.mode.clone(), self.stored.get(id).cloned().unwrap_or_default()),
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

    fn digest(&self) -> io::Result<u64> {
        let mut digest = Digest(DefaultHasher::new());
        self.write(&mut digest)?;
        Ok(digest.0.finish())
    }
}

struct Digest(DefaultHasher);

impl Write for Digest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Core {
    /// Writes a snapshot to a path of the user's, with the processes that live.
    pub(super) fn write_snapshot_to(&self, path: &Path, processes: BTreeMap<Arc<str>, KnownProcess>) -> Result<()> {
        let content = Content::of(&self.managed, processes);
        store::replace_file(path, |file| content.write_file(file))
            .map_err(|error| Error::os(ErrorCode::Io, format_args!("write snapshot {}", path.display()), &error))
    }

    /// Writes the snapshot of the data directory, if it is another than the last one.
    pub(super) fn write_snapshot(&mut self) -> Result<()> {
        let Files::DataDir(data_dir) = &self.context.files else { return Ok(()) };
        if self.unrestored {
            return Err(Error::new(ErrorCode::Io, "the snapshot is not overwritten, for it was not restored yet"));
        }
        let content = Content::of(&self.managed, BTreeMap::new());
        let digest = content.digest().map_err(|error| Error::os(ErrorCode::Internal, "encode the snapshot", &error))?;
        if self.written == Some(digest) {
            return Ok(());
        }
        let events = &self.context.events;
        match data_dir.write_snapshot(|file| content.write_file(file)) {
            Ok(()) => {
                self.written = Some(digest);
                events.publish(None, EventKind::SnapshotWritten);
                Ok(())
            }
            Err(error) => {
                logging::write(Level::Error, format_args!("{error}"));
                events.publish(None, EventKind::SnapshotFailed { error: error.to_string() });
                Err(error)
            }
        }
    }

    /// Whether there are proxies whose stored state may change without a change of the declared set.
    pub(super) fn has_registered_kinds(&self) -> bool {
        self.managed.values().any(|managed| matches!(managed, Managed::Other(other) if other.mode != ExecMode::NOOP))
    }
}
