//! Who the processes are: the records, and the pid files for people and scripts.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, RawFd};
use std::path::PathBuf;
use std::sync::Arc;

use super::data_dir::{DataDir, code_of};
use super::encode::FileName;
use super::parts::Part;
use super::pid_file;
use super::place::{descend, descend_existing, temporary};
use super::record::{self, Origin, Record};
use super::set_aside::set_aside;
use crate::defaults::MAX_RECORD;
use crate::error::{Error, ErrorCode, Result, excerpt};
use crate::sys::fail;
use crate::sys::file::Dir;
use crate::sys::identity::{Identity, Pid};
use crate::sys::program::SelfRecord;

/// What is in the folder of records.
#[derive(Debug, Default)]
pub(crate) struct Records {
    pub(crate) found: Vec<Record>,
    /// What could not be used, with the names of the files. It counts for nothing.
    pub(crate) bad: Vec<Error>,
    /// The ids of those, as their names tell.
    damaged: Vec<String>,
}

/// A process that may live, and of which there is no record.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lost {
    pub(crate) id: String,
    /// As its pid file says, if it says anything.
    pub(crate) pid: Option<Pid>,
}

/// The record that a child is to write, with what it borrows.
pub(crate) struct RecordPlan {
    place: Arc<Dir>,
    lock: Vec<RawFd>,
    within: PathBuf,
    temporary: CString,
    name: CString,
    head: Vec<u8>,
}

impl RecordPlan {
    pub(crate) fn as_self_record(&self) -> SelfRecord<'_> {
        SelfRecord {
            dir: self.place.as_fd(),
            lock: &self.lock,
            temporary: self.temporary.clone(),
            name: self.name.clone(),
            within: &self.within,
            head: self.head.clone(),
        }
    }
}

impl DataDir {
    /// Prepares the record that the process of `id` writes of itself.
    pub(crate) fn plan_record(&self, origin: Origin<'_>, boot_id: &str) -> Result<RecordPlan> {
        let name = FileName::of(origin.id);
        let place = descend(self.part(Part::Records)?, &name);
        let place = place.map_err(|error| self.failed("open records directory", "records", &error))?;
        let head = record::head(origin, boot_id);
        let within = self.path().join("records");
        Ok(RecordPlan {
            place,
            lock: self.lock_descriptors(),
            within,
            temporary: temporary(&name),
            name: name.leaf("", ".json"),
            head,
        })
    }

    /// Writes the record of a process that did not write its own: one that was adopted from elsewhere.
    pub(crate) fn write_record(&self, origin: Origin<'_>, identity: &Identity) -> Result<()> {
        let content = record::whole(origin, identity);
        self.put(Part::Records, "write process record", origin.id, ".json", |place, temporary, leaf| {
            place.replace(temporary, leaf, &content)
        })
    }

    /// Writes who a process is into its record, and leaves what else it says.
    pub(crate) fn update_identity(&self, id: &str, identity: &Identity) -> Result<()> {
        let name = FileName::of(id);
        let leaf = name.leaf("", ".json");
        let shown = format!("{}/{}", Part::Records.as_str(), leaf.to_string_lossy());
        let place = descend(self.part(Part::Records)?, &name);
        let place = place.map_err(|error| self.failed("open records directory", "records", &error))?;
        let record = self.read_record(&place, &leaf, &shown)?;
        self.write_record(record.origin(), identity)
    }

    /// Whether a proxy has a record, whatever is in it.
    pub(crate) fn has_record(&self, id: &str) -> Result<bool> {
        let name = FileName::of(id);
        self.root()?;
        let place = self.part_as_it_is(Part::Records).and_then(|part| descend_existing(part, &name));
        let found = place.and_then(|place| place.map_or(Ok(None), |place| place.inode(&name.leaf("", ".json"))));
        found.map(|found| found.is_some()).map_err(|error| self.failed("look for the record of", id, &error))
    }

    /// Writes the pid file of a process, unless it is there already: with nothing to write, what runs can be taken over
    /// on a disk that is full or read-only.
    pub(crate) fn write_pid(&self, id: &str, pid: Pid) -> Result<()> {
        let name = FileName::of(id);
        let place = self.part_as_it_is(Part::Pids).and_then(|part| descend_existing(part, &name));
        let read = place.ok().flatten().and_then(|place| place.read(&name.leaf("", ".pid"), MAX_RECORD).ok());
        if read.is_some_and(|found| found == pid_file::text(pid)) {
            return Ok(());
        }
        self.replace_pid(id, pid)
    }

    /// Writes the pid file of a process that has just been started: whatever is there is of another one.
    pub(crate) fn replace_pid(&self, id: &str, pid: Pid) -> Result<()> {
        self.put(Part::Pids, "write pid file", id, ".pid", |place, temporary, leaf| {
            place.rewrite(temporary, leaf, &pid_file::text(pid))
        })
    }

    /// Writes the file of an id in a part, by a temporary one.
    fn put(
        &self,
        part: Part,
        what: &str,
        id: &str,
        suffix: &str,
        write: impl FnOnce(&Dir, &CStr, &CStr) -> io::Result<()>,
    ) -> Result<()> {
        let name = FileName::of(id);
        let (temporary, leaf) = (temporary(&name), name.leaf("", suffix));
        let dir = self.part(part)?;
        let written = descend(dir, &name).and_then(|place| write(&place, &temporary, &leaf));
        written.map_err(|error| self.not_replaced(what, part.as_str(), &temporary, &leaf, &error))
    }

    /// Removes pid file and record of a proxy that has no process.
    pub(crate) fn forget(&self, id: &str) -> Result<()> {
        let pid = self.remove_pid(id);
        let record = self.remove(Part::Records, "remove record", id, ".json");
        match (pid, record) {
            (Err(pid), Err(record)) => Err(pid.followed_by(record)),
            (pid, record) => pid.and(record),
        }
    }

    /// Removes the pid file of a process that is gone.
    pub(crate) fn remove_pid(&self, id: &str) -> Result<()> {
        self.remove(Part::Pids, "remove pid file", id, ".pid")
    }

    /// Removes the file of an id from a part, if it is there.
    fn remove(&self, part: Part, what: &str, id: &str, suffix: &str) -> Result<()> {
        let name = FileName::of(id);
        let leaf = name.leaf("", suffix);
        let place = self.part_as_it_is(part).and_then(|dir| descend_existing(dir, &name));
        let removed = place.and_then(|place| place.map_or(Ok(()), |place| place.remove(&leaf)));
        let object = format!("{}/{}", part.as_str(), leaf.to_string_lossy());
        removed.map_err(|error| self.failed(what, &object, &error))
    }

    /// All records. A file that is none, or is damaged, is set aside.
    ///
    /// # Errors
    /// [`ErrorCode::Exhausted`] when one could not be opened now: its process may live.
    pub(crate) fn records(&self) -> Result<Records> {
        let mut records = Records::default();
        self.collect_records(&*self.part(Part::Records)?, &[], &mut records)?;
        self.refuse_shared(&mut records);
        fail::point("records:read");
        Ok(records)
    }

    /// Of records that name the same process all but one are wrong, and nobody knows which: two ids must not share one.
    fn refuse_shared(&self, records: &mut Records) {
        let mut named: HashMap<i32, usize> = HashMap::new();
        for record in &records.found {
            *named.entry(record.identity.pid.as_raw()).or_default() += 1;
        }
        let is_shared = |record: &Record| named.get(&record.identity.pid.as_raw()).is_some_and(|times| *times > 1);
        let (shared, found) = std::mem::take(&mut records.found).into_iter().partition(is_shared);
        records.found = found;
        let shared: Vec<Record> = shared;
        for record in shared {
            let (id, pid) = (excerpt(&record.id).to_string(), record.identity.pid);
            let message =
                format!("records of {}: that of {id} names pid {pid}, as another one does", self.path().display());
            records.bad.push(Error::new(ErrorCode::CorruptSnapshot, message));
            records.damaged.push(record.id);
        }
    }

    fn collect_records(&self, dir: &Dir, parents: &[String], records: &mut Records) -> Result<()> {
        let place = place("records", parents);
        let names = dir.list().map_err(|error| self.failed("list", &place, &error))?;
        for name in names {
            let shown = format!("{place}/{}", name.to_string_lossy());
            let leaf = CString::new(name.as_encoded_bytes()).unwrap_or_default();
            if let Some(stem) = shown.ends_with(".json").then(|| name.to_str()?.strip_suffix(".json")) {
                match self.read_record(dir, &leaf, &shown) {
                    Ok(record) => records.found.push(record),
                    Err(error) if error.code() == ErrorCode::Exhausted => return Err(error),
                    Err(error) => {
                        records.damaged.extend(stem.and_then(|stem| FileName::id_of(parents, stem)));
                        // What the disk would not give now may be good.
                        let unreadable = error.errno().is_some_and(|errno| errno != libc::ELOOP);
                        records.bad.push(if unreadable { error } else { set_aside(dir, &leaf, error) });
                    }
                }
            } else if let Some(name) = name.to_str().filter(|name| name.ends_with('+')) {
                match dir.open_dir(&leaf) {
                    Ok(below) => self.collect_records(&below, &[parents, &[name.to_owned()]].concat(), records)?,
                    Err(error) if code_of(&error) == ErrorCode::Exhausted => {
                        return Err(self.failed("open", &shown, &error));
                    }
                    Err(error) => records.bad.push(self.failed("open", &shown, &error)),
                }
            }
        }
        Ok(())
    }

    fn read_record(&self, dir: &Dir, leaf: &CStr, shown: &str) -> Result<Record> {
        let text = dir.read(leaf, MAX_RECORD).map_err(|error| self.failed("read process record", shown, &error))?;
        let record = record::parse(&text).map_err(|error| error.within(self.path().join(shown).display()))?;
        self.check_name(&record, leaf, shown).map(|()| record)
    }

    /// The processes that have a pid file, or a record that is damaged, but no good record: the number alone proves
    /// nothing.
    ///
    /// # Errors
    /// When such a pid file cannot be read either: its process may live, and nothing is known of it.
    pub(crate) fn lost(&self, records: &mut Records) -> Result<Vec<Lost>> {
        let known: HashSet<String> = records.found.iter().map(|record| record.id.clone()).collect();
        let mut found = BTreeMap::new();
        self.collect_pids(&*self.part(Part::Pids)?, &[], &known, &mut found, &mut records.bad)?;
        for id in std::mem::take(&mut records.damaged) {
            found.entry(id).or_default();
        }
        Ok(found.into_iter().map(|(id, pid)| Lost { id, pid }).collect())
    }

    fn collect_pids(
        &self,
        dir: &Dir,
        parents: &[String],
        known: &HashSet<String>,
        found: &mut BTreeMap<String, Option<Pid>>,
        bad: &mut Vec<Error>,
    ) -> Result<()> {
        let place = place("pids", parents);
        for name in dir.list().map_err(|error| self.failed("list", &place, &error))? {
            // No name of ours is without it.
            let Some(name) = name.to_str() else { continue };
            let (shown, leaf) = (format!("{place}/{name}"), CString::new(name).unwrap_or_default());
            if name.starts_with('%') && name.ends_with('+') {
                match dir.open_dir(&leaf) {
                    Ok(below) => {
                        self.collect_pids(&below, &[parents, &[name.to_owned()]].concat(), known, found, bad)?;
                    }
                    Err(error) if is_no_file_of_ours(&error) => {}
                    Err(error) => return Err(self.failed("open", &shown, &error)),
                }
            }
            let id = name.strip_suffix(".pid").and_then(|stem| FileName::id_of(parents, stem));
            let Some(id) = id.filter(|id| !known.contains(id.as_str())) else { continue };
            let text = match dir.read(&leaf, MAX_RECORD) {
                Ok(text) => text,
                Err(error) if is_no_file_of_ours(&error) => continue,
                Err(error) => return Err(self.failed("read pid file", &shown, &error)),
            };
            let pid = pid_file::parse(&text);
            if pid.is_none() {
                let path = self.path().join(&shown);
                let message = format!("{}: expected a pid and a newline", excerpt(&path.to_string_lossy()));
                bad.push(Error::new(ErrorCode::CorruptSnapshot, message));
            }
            found.insert(id, pid);
        }
        Ok(())
    }

    /// A record under another id's name would make two ids share a process.
    fn check_name(&self, record: &Record, leaf: &CStr, shown: &str) -> Result<()> {
        if FileName::of(&record.id).leaf("", ".json").as_c_str() == leaf {
            return Ok(());
        }
        let message =
            format!("{}: the record is of another id, \"{}\"", self.path().join(shown).display(), excerpt(&record.id));
        Err(Error::new(ErrorCode::CorruptSnapshot, message))
    }
}

fn place(part: &str, parents: &[String]) -> String {
    std::iter::once(part).chain(parents.iter().map(String::as_str)).collect::<Vec<_>>().join("/")
}

/// Whether there is nothing under a name, or a link, a socket or whatever else was put there.
fn is_no_file_of_ours(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), None | Some(libc::ELOOP | libc::ENOENT | libc::ENOTDIR | libc::ENXIO))
}
