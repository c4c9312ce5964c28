//! The data directory: the only code that names, opens, writes or removes a file in it.

use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::encode::FileName;
use super::lock::Lock;
use super::record::{self, Origin, Record};
use crate::error::{Error, ErrorCode, Result};
use crate::logging::{self, Level};
use crate::sys::fail;
use crate::sys::file::Dir;
use crate::sys::identity::{Identity, Pid};
use crate::sys::spawn::SelfRecord;

/// How the temporary name of a file ends; it begins with a dot.
const TEMPORARY: &str = ".tmp";

const SNAPSHOT_TEMPORARY: &CStr = c".snapshot.json.tmp";

/// More than any record or pid file can have.
const MAX_RECORD: u64 = 64 * 1024;

/// More than any snapshot has: a kilobyte for each of a quarter of a million proxies.
const MAX_SNAPSHOT: u64 = 256 * 1024 * 1024;

/// An open and locked data directory. It is used through descriptors: moved while in use, it goes on working.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    root: Dir,
    logs: Dir,
    pids: Dir,
    records: Dir,
    origin: Arc<str>,
    lock: Mutex<Option<Lock>>,
}

/// A directory of the data directory, or one below it that a very long id needs.
enum Place<'a> {
    Top(&'a Dir),
    Below(Dir),
}

impl Place<'_> {
    fn dir(&self) -> &Dir {
        match self {
            Place::Top(dir) => dir,
            Place::Below(dir) => dir,
        }
    }
}

/// The record that a child is to write, with what it borrows.
pub(crate) struct RecordPlan<'a> {
    place: Place<'a>,
    temporary: CString,
    name: CString,
    head: Vec<u8>,
}

impl RecordPlan<'_> {
    pub(crate) fn as_self_record(&self) -> SelfRecord<'_> {
        SelfRecord {
            dir: self.place.dir().as_fd(),
            temporary: self.temporary.clone(),
            name: self.name.clone(),
            head: self.head.clone(),
        }
    }
}

impl DataDir {
    /// Opens a data directory, creating what is missing, and takes its lock.
    ///
    /// # Errors
    /// [`ErrorCode::Untrusted`] for one that is another user's or that others may write to, [`ErrorCode::Locked`],
    /// [`ErrorCode::Io`].
    pub(crate) fn open(path: &Path) -> Result<DataDir> {
        let io = |what: &'static str| {
            move |error: std::io::Error| Error::os(code_of(&error), format_args!("{what} {}", path.display()), &error)
        };
        create(path).map_err(io("create data directory"))?;
        fail::point("data-dir:created");
        let root = Dir::open(path).map_err(io("open data directory"))?;
        root.make_private().map_err(io("data directory"))?;
        let lock = Lock::take(&root, path)?;
        let part = |name: &CStr| {
            let within = path.join(name.to_string_lossy().as_ref());
            let io = |error| Error::os(code_of(&error), format_args!("open directory {}", within.display()), &error);
            let dir = root.open_or_create_dir(name).map_err(io)?;
            dir.make_private().map_err(io)?;
            Ok(dir)
        };
        let (logs, pids, records) = (part(c"logs")?, part(c"pids")?, part(c"records")?);
        fail::point("data-dir:opened");
        let (device, inode) = root.own_inode().map_err(io("look at data directory"))?;
        let origin = format!("{device:x}-{inode:x}").into();
        // Whoever was writing one of these is dead, for we have the lock, and nobody else would ever remove it.
        let left = [root.remove(SNAPSHOT_TEMPORARY), remove_temporaries(&pids), remove_temporaries(&records)];
        for error in left.into_iter().filter_map(|removed| removed.err()) {
            let message = format_args!("remove temporary files in {}: {error}", path.display());
            logging::write(Level::Warn, message);
        }
        Ok(DataDir { path: path.to_owned(), root, logs, pids, records, origin, lock: Mutex::new(Some(lock)) })
    }

    /// Where it was when it was opened.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What no other directory of this machine is called, now and for the next agent, however the path is written.
    pub(crate) fn origin(&self) -> &Arc<str> {
        &self.origin
    }

    /// Gives up the lock: nothing is written from here on. Not left to the destructor, for a thread may hold the last
    /// reference a little longer than the manager that was closed.
    pub(crate) fn unlock(&self) {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Opens the two logs of a proxy for appending.
    pub(crate) fn open_logs(&self, id: &str) -> Result<[OwnedFd; 2]> {
        let name = FileName::of(id);
        let place = descend(&self.logs, &name).map_err(|error| self.failed("open logs directory", "logs", &error))?;
        let open = |suffix: &str| -> Result<OwnedFd> {
            let leaf = name.leaf("", suffix);
            let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT;
            let file = fail::failing("logs:open").and_then(|()| place.dir().open_file(&leaf, flags));
            file.map(OwnedFd::from)
                .map_err(|error| self.failed("open log file", &format!("logs/{}", leaf.to_string_lossy()), &error))
        };
        Ok([open("-stdout.log")?, open("-stderr.log")?])
    }

    /// Device and inode of the logs of a proxy, as far as they are there.
    pub(crate) fn log_files(&self, id: &str) -> std::io::Result<Vec<(u64, u64)>> {
        let name = FileName::of(id);
        let Some(place) = descend_existing(&self.logs, &name)? else { return Ok(Vec::new()) };
        let leaves = ["-stdout.log", "-stderr.log"].map(|suffix| name.leaf("", suffix));
        leaves.iter().filter_map(|leaf| place.dir().inode(leaf).transpose()).collect()
    }

    /// Prepares the record that the process of `id` writes of itself.
    pub(crate) fn plan_record(&self, origin: Origin<'_>, boot_id: &str) -> Result<RecordPlan<'_>> {
        let name = FileName::of(origin.id);
        let place = descend(&self.records, &name);
        let place = place.map_err(|error| self.failed("open records directory", "records", &error))?;
        let head = record::head(origin, boot_id);
        Ok(RecordPlan { place, temporary: temporary(&name), name: name.leaf("", ".json"), head })
    }

    /// Writes the record of a process that did not write its own: one that was adopted from elsewhere.
    pub(crate) fn write_record(&self, origin: Origin<'_>, identity: &Identity) -> Result<()> {
        let name = FileName::of(origin.id);
        let leaf = name.leaf("", ".json");
        let content = record::whole(origin, identity);
        descend(&self.records, &name).and_then(|place| place.dir().replace(&temporary(&name), &leaf, &content)).map_err(
            |error| self.failed("write process record", &format!("records/{}", leaf.to_string_lossy()), &error),
        )
    }

    /// Writes the pid file of a process, unless it is there already.
    pub(crate) fn write_pid(&self, id: &str, pid: Pid) -> Result<()> {
        let name = FileName::of(id);
        let (leaf, content) = (name.leaf("", ".pid"), format!("{pid}\n").into_bytes());
        let write = |place: Place<'_>| match place.dir().read(&leaf, MAX_RECORD) {
            Ok(found) if found == content => Ok(()),
            _ => place.dir().replace(&temporary(&name), &leaf, &content),
        };
        let written = descend(&self.pids, &name).and_then(write);
        written.map_err(|error| self.failed("write pid file", &format!("pids/{}", leaf.to_string_lossy()), &error))
    }

    /// Removes pid file and record of a proxy that has no process.
    pub(crate) fn forget(&self, id: &str) -> Result<()> {
        let name = FileName::of(id);
        let remove = |top: &Dir, suffix: &str| match descend_existing(top, &name)? {
            Some(place) => place.dir().remove(&name.leaf("", suffix)),
            None => Ok(()),
        };
        let pid = remove(&self.pids, ".pid").map_err(|error| self.failed("remove pid file of", id, &error));
        let record = remove(&self.records, ".json").map_err(|error| self.failed("remove record of", id, &error));
        pid.and(record)
    }

    /// All records. A file that is none is reported with its name; it counts for nothing.
    ///
    /// # Errors
    /// [`ErrorCode::Exhausted`] when one could not be opened now: its process may live.
    pub(crate) fn records(&self) -> Result<(Vec<Record>, Vec<Error>)> {
        let (mut found, mut bad) = (Vec::new(), Vec::new());
        self.collect_records(&self.records, "records", &mut found, &mut bad)?;
        fail::point("records:read");
        Ok((found, bad))
    }

    fn collect_records(&self, dir: &Dir, place: &str, found: &mut Vec<Record>, bad: &mut Vec<Error>) -> Result<()> {
        let names = dir.list().map_err(|error| self.failed("list", place, &error))?;
        for name in names {
            let shown = format!("{place}/{}", name.to_string_lossy());
            let leaf = CString::new(name.as_encoded_bytes()).unwrap_or_default();
            if shown.ends_with(".json") {
                let text =
                    dir.read(&leaf, MAX_RECORD).map_err(|error| self.failed("read process record", &shown, &error));
                let record = text.and_then(|text| {
                    let record =
                        record::parse(&text).map_err(|error| error.within(self.path.join(&shown).display()))?;
                    self.check_name(&record, &leaf, &shown).map(|()| record)
                });
                match record {
                    Ok(record) => found.push(record),
                    Err(error) if error.code() == ErrorCode::Exhausted => return Err(error),
                    Err(error) => bad.push(error),
                }
            } else if shown.ends_with('+') {
                match dir.open_dir(&leaf) {
                    Ok(below) => self.collect_records(&below, &shown, found, bad)?,
                    Err(error) if code_of(&error) == ErrorCode::Exhausted => {
                        return Err(self.failed("open", &shown, &error));
                    }
                    Err(error) => bad.push(self.failed("open", &shown, &error)),
                }
            }
        }
        Ok(())
    }

    /// The processes that have a pid file but none of these records, by id: their record is lost, and the number alone
    /// proves nothing.
    ///
    /// # Errors
    /// When such a pid file cannot be read either: its process may live, and nothing is known of it.
    pub(crate) fn pids_without(&self, records: &[Record]) -> Result<Vec<(String, Pid)>> {
        let known: HashSet<&str> = records.iter().map(|record| record.id.as_str()).collect();
        let names = self.pids.list().map_err(|error| self.failed("list", "pids", &error))?;
        let ids = names.iter().filter_map(|name| FileName::id_of(name.to_str()?.strip_suffix(".pid")?));
        let lost = ids.filter(|id| !known.contains(id.as_str()));
        let mut found = Vec::new();
        for id in lost {
            let leaf = FileName::of(&id).leaf("", ".pid");
            let text = match self.pids.read(&leaf, MAX_RECORD) {
                Ok(text) => text,
                // No file of ours, but a link or whatever else was put there.
                Err(error) if matches!(error.raw_os_error(), None | Some(libc::ELOOP | libc::ENOENT)) => continue,
                Err(error) => {
                    let object = format!("pids/{}", leaf.to_string_lossy());
                    return Err(self.failed("read pid file", &object, &error));
                }
            };
            let pid = std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok());
            found.extend(pid.and_then(Pid::from_raw).map(|pid| (id, pid)));
        }
        Ok(found)
    }

    /// A record under another id's name would make two ids share a process.
    fn check_name(&self, record: &Record, leaf: &CStr, shown: &str) -> Result<()> {
        if FileName::of(&record.id).leaf("", ".json").as_c_str() == leaf {
            return Ok(());
        }
        let message = format!("{}: the record is of another id, {:?}", self.path.join(shown).display(), record.id);
        Err(Error::new(ErrorCode::CorruptSnapshot, message))
    }

    /// The snapshot's path.
    pub(crate) fn snapshot_path(&self) -> PathBuf {
        self.path.join("snapshot.json")
    }

    /// The snapshot's content; `None` when there is none.
    pub(crate) fn read_snapshot(&self) -> Result<Option<Vec<u8>>> {
        match self.root.read(c"snapshot.json", MAX_SNAPSHOT) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("read snapshot", "snapshot.json", &error)),
        }
    }

    /// Replaces the snapshot.
    pub(crate) fn write_snapshot(&self, content: &[u8]) -> Result<()> {
        let written = self.root.replace(SNAPSHOT_TEMPORARY, c"snapshot.json", content);
        written.map_err(|error| self.failed("write snapshot", "snapshot.json", &error))
    }

    /// Renames a snapshot that cannot be read to the first free `snapshot.json.corrupt-<n>` and returns the new name.
    pub(crate) fn set_snapshot_aside(&self) -> Result<String> {
        let failed = |error: std::io::Error| self.failed("set aside", "snapshot.json", &error);
        for number in 1..=u32::MAX {
            let name = format!("snapshot.json.corrupt-{number}");
            let leaf = CString::new(name.as_str()).unwrap_or_default();
            if self.root.inode(&leaf).map_err(failed)?.is_none() {
                return self.root.rename(c"snapshot.json", &leaf).map(|()| name).map_err(failed);
            }
        }
        Err(Error::new(ErrorCode::Io, "set aside snapshot.json: no free name"))
    }

    fn failed(&self, what: &str, object: &str, error: &std::io::Error) -> Error {
        Error::os(code_of(error), format_args!("{what} {}", self.path.join(object).display()), error)
    }
}

fn create(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// What the kernel refuses by itself is Io; what we refuse has no errno.
fn code_of(error: &std::io::Error) -> ErrorCode {
    match error.raw_os_error() {
        None => ErrorCode::Untrusted,
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM) => ErrorCode::Exhausted,
        Some(_) => ErrorCode::Io,
    }
}

fn temporary(name: &FileName) -> CString {
    name.leaf(".", TEMPORARY)
}

/// Removes what [`temporary`] has named, also in the directories of very long ids.
fn remove_temporaries(dir: &Dir) -> std::io::Result<()> {
    for name in dir.list()? {
        let name = name.as_encoded_bytes();
        let leaf = CString::new(name)?;
        if name.starts_with(b".") && name.ends_with(TEMPORARY.as_bytes()) {
            dir.remove(&leaf)?;
        } else if name.starts_with(b"%") && name.ends_with(b"+") {
            remove_temporaries(&dir.open_dir(&leaf)?)?;
        }
    }
    Ok(())
}

fn descend<'a>(top: &'a Dir, name: &FileName) -> std::io::Result<Place<'a>> {
    name.parents
        .iter()
        .try_fold(Place::Top(top), |place, parent| place.dir().open_or_create_dir(parent).map(Place::Below))
}

fn descend_existing<'a>(top: &'a Dir, name: &FileName) -> std::io::Result<Option<Place<'a>>> {
    let mut place = Place::Top(top);
    for parent in &name.parents {
        place = match place.dir().open_dir(parent) {
            Ok(dir) => Place::Below(dir),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
    }
    Ok(Some(place))
}

/// Writes a file of the user's by a temporary file and a rename, for snapshots and pid files outside a data directory.
pub(crate) fn replace_file(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Some(name) = path.file_name() else {
        return Err(std::io::Error::from_raw_os_error(libc::EISDIR));
    };
    let dir = Dir::open(parent)?;
    let leaf = CString::new(name.as_encoded_bytes())?;
    let temporary = CString::new([b".", name.as_encoded_bytes(), b".tmp"].concat())?;
    dir.replace(&temporary, &leaf, content)
}

/// Reads a file of the user's; `None` when there is none.
pub(crate) fn read_file(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A log outside a data directory, or `/dev/null`.
pub(crate) fn open_output(path: Option<&Path>) -> Result<OwnedFd> {
    match path {
        Some(path) => crate::sys::file::open_append(path)
            .map_err(|error| Error::os(code_of(&error), format_args!("open log file {}", path.display()), &error)),
        None => null(),
    }
}

/// `/dev/null`, the standard input of every process.
pub(crate) fn null() -> Result<OwnedFd> {
    crate::sys::file::open_null().map_err(|error| Error::os(code_of(&error), "open /dev/null", &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declaration::Fingerprint;
    use crate::lifecycle::StopSettings;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    fn identity() -> Identity {
        Identity { pid: Pid::from_raw(42).unwrap(), start_ticks: 7, boot_id: "boot".into() }
    }

    fn origin(id: &str) -> Origin<'_> {
        let stop = StopSettings::default();
        Origin { id, fingerprint: Fingerprint::new(), token: None, token_generated: false, stop }
    }

    fn mode(path: &Path) -> u32 {
        std::fs::symlink_metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_second_manager_is_refused_and_told_who_has_it() {
        let place = tempfile::tempdir().unwrap();
        let first = DataDir::open(place.path()).unwrap();
        let error = DataDir::open(place.path()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Locked);
        assert!(error.to_string().ends_with(&format!("is in use by process {}", std::process::id())), "{error}");
        first.unlock();
        DataDir::open(place.path()).unwrap();
    }

    #[test]
    fn removing_the_lock_file_lets_nobody_in() {
        let place = tempfile::tempdir().unwrap();
        let _first = DataDir::open(place.path()).unwrap();
        std::fs::remove_file(place.path().join("lock")).unwrap();
        assert_eq!(DataDir::open(place.path()).unwrap_err().code(), ErrorCode::Locked);
    }

    #[test]
    fn what_a_dead_agent_was_writing_is_removed_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let long = "ä/".repeat(300);
        let parents = {
            let dir = DataDir::open(place.path()).unwrap();
            dir.write_pid("web", identity().pid).unwrap();
            dir.write_pid(&long, identity().pid).unwrap();
            FileName::of(&long).parents
        };
        let below = parents.iter().map(|parent| parent.to_str().unwrap()).collect::<Vec<_>>().join("/");
        let left = [
            ".snapshot.json.tmp".to_owned(),
            "records/.web.tmp".to_owned(),
            "pids/.gone.tmp".to_owned(),
            format!("pids/{below}/.%x.tmp"),
        ];
        let others = [".mine.tmp".to_owned(), "pids/web.pid".to_owned()];
        left.iter().chain(&others[..1]).for_each(|name| std::fs::write(place.path().join(name), "half").unwrap());
        DataDir::open(place.path()).unwrap();
        assert!(left.iter().all(|name| !place.path().join(name).exists()));
        assert!(others.iter().all(|name| place.path().join(name).exists()));
    }

    #[test]
    fn a_pid_file_without_a_record_is_told() {
        let place = tempfile::tempdir().unwrap();
        let dir = DataDir::open(place.path()).unwrap();
        for id in ["web", "a/b", "known"] {
            dir.write_pid(id, identity().pid).unwrap();
        }
        dir.write_record(origin("known"), &identity()).unwrap();
        std::fs::write(place.path().join("pids/broken.pid"), "x").unwrap();
        let mut lost = dir.pids_without(&dir.records().unwrap().0).unwrap();
        lost.sort();
        assert_eq!(lost, [("a/b".to_owned(), identity().pid), ("web".to_owned(), identity().pid)]);
    }

    #[test]
    fn records_of_any_id_are_found_again_and_forgotten() {
        let place = tempfile::tempdir().unwrap();
        let dir = DataDir::open(&place.path().join("new")).unwrap();
        let ids = ["web", "../../escape", ".hidden", "a.json", "b+", &"ä/".repeat(300)];
        for id in ids {
            dir.write_record(origin(id), &identity()).unwrap();
            dir.write_pid(id, identity().pid).unwrap();
            dir.open_logs(id).unwrap();
        }
        let (mut found, bad) = dir.records().unwrap();
        found.sort_by(|one, other| one.id.cmp(&other.id));
        let mut expected = ids.map(str::to_owned);
        expected.sort();
        assert_eq!(found.into_iter().map(|record| record.id).collect::<Vec<_>>(), expected);
        assert_eq!(bad, []);
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1, "nothing escaped");
        for id in ids {
            dir.forget(id).unwrap();
            dir.forget(id).unwrap();
        }
        assert_eq!(dir.records().unwrap().0, []);
    }

    #[test]
    fn everything_is_the_owners_alone() {
        let place = tempfile::tempdir().unwrap();
        std::fs::set_permissions(place.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let dir = DataDir::open(place.path()).unwrap();
        dir.write_record(origin("web"), &identity()).unwrap();
        dir.write_pid("web", identity().pid).unwrap();
        dir.open_logs("web").unwrap();
        dir.write_snapshot(b"{}").unwrap();
        for name in ["", "logs", "pids", "records"] {
            assert_eq!(mode(&place.path().join(name)), 0o700, "{name}");
        }
        let files =
            ["lock", "snapshot.json", "logs/web-stdout.log", "logs/web-stderr.log", "pids/web.pid", "records/web.json"];
        for name in files {
            assert_eq!(mode(&place.path().join(name)), 0o600, "{name}");
        }
        std::fs::set_permissions(place.path(), PermissionsExt::from_mode(0o770)).unwrap();
        assert_eq!(DataDir::open(place.path()).unwrap_err().code(), ErrorCode::Untrusted);
    }

    #[test]
    fn a_record_that_is_torn_or_in_anothers_place_counts_for_nothing() {
        let place = tempfile::tempdir().unwrap();
        let dir = DataDir::open(place.path()).unwrap();
        dir.write_record(origin("web"), &identity()).unwrap();
        let records = place.path().join("records");
        std::fs::copy(records.join("web.json"), records.join("other.json")).unwrap();
        std::fs::write(records.join("empty.json"), "").unwrap();
        symlink("web.json", records.join("link.json")).unwrap();
        let (found, bad) = dir.records().unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(bad.len(), 3, "{bad:?}");
        assert!(bad.iter().any(|error| error.to_string().contains("of another id, \"web\"")), "{bad:?}");
    }

    #[test]
    fn links_planted_for_any_file_are_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let victim = place.path().join("victim");
        std::fs::write(&victim, "mine").unwrap();
        let data = place.path().join("data");
        let dir = DataDir::open(&data).unwrap();
        for name in ["logs/web-stdout.log", "pids/web.pid", "pids/.web.tmp", "snapshot.json", ".snapshot.json.tmp"] {
            symlink(&victim, data.join(name)).unwrap();
        }
        assert!(dir.open_logs("web").is_err());
        assert!(dir.write_pid("web", identity().pid).is_err(), "the temporary file is a link");
        assert!(dir.write_snapshot(b"x").is_err());
        assert!(dir.read_snapshot().is_err());
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "mine");
        // A failed write removes what was planted for its temporary file, so the next one succeeds, beside the link.
        dir.write_pid("web", identity().pid).unwrap();
        dir.write_snapshot(b"x").unwrap();
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "mine");
    }

    #[test]
    fn a_bad_snapshot_is_set_aside_under_a_free_name() {
        let place = tempfile::tempdir().unwrap();
        let dir = DataDir::open(place.path()).unwrap();
        for number in 1..=3 {
            dir.write_snapshot(b"bad").unwrap();
            assert_eq!(dir.set_snapshot_aside().unwrap(), format!("snapshot.json.corrupt-{number}"));
        }
        assert_eq!(dir.read_snapshot().unwrap(), None);
    }
}
