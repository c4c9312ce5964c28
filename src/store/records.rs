//! Who the processes are: the records, and the pid files for people and scripts.

use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::os::fd::AsFd;
use std::path::PathBuf;

use super::data_dir::{DataDir, Part, code_of};
use super::encode::FileName;
use super::place::{descend, descend_existing, temporary};
use super::record::{self, Origin, Record};
use crate::error::{Error, ErrorCode, Result};
use crate::logging::{self, Level};
use crate::sys::fail;
use crate::sys::file::Dir;
use crate::sys::identity::{Identity, Pid, Stray};
use crate::sys::spawn::SelfRecord;

/// More than any record or pid file can have.
const MAX_RECORD: u64 = 64 * 1024;

/// The record that a child is to write, with what it borrows.
pub(crate) struct RecordPlan {
    place: Dir,
    within: PathBuf,
    temporary: CString,
    name: CString,
    head: Vec<u8>,
}

impl RecordPlan {
    pub(crate) fn as_self_record(&self) -> SelfRecord<'_> {
        SelfRecord {
            dir: self.place.as_fd(),
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
        Ok(RecordPlan { place, within, temporary: temporary(&name), name: name.leaf("", ".json"), head })
    }

    /// Writes the record of a process that did not write its own: one that was adopted from elsewhere.
    pub(crate) fn write_record(&self, origin: Origin<'_>, identity: &Identity) -> Result<()> {
        self.replace(Part::Records, "write process record", origin.id, ".json", &record::whole(origin, identity))
    }

    /// Whether a proxy has a record, whatever is in it.
    pub(crate) fn has_record(&self, id: &str) -> Result<bool> {
        let name = FileName::of(id);
        let place = descend_existing(&*self.root()?, Part::Records, &name);
        let found = place.and_then(|place| place.map_or(Ok(None), |place| place.inode(&name.leaf("", ".json"))));
        found.map(|found| found.is_some()).map_err(|error| self.failed("look for the record of", id, &error))
    }

    /// Writes the pid file of a process, unless it is there already.
    pub(crate) fn write_pid(&self, id: &str, pid: Pid) -> Result<()> {
        let (name, content) = (FileName::of(id), format!("{pid}\n").into_bytes());
        let found = descend_existing(&*self.root()?, Part::Pids, &name);
        let read = found.ok().flatten().and_then(|place| place.read(&name.leaf("", ".pid"), MAX_RECORD).ok());
        if read.is_some_and(|found| found == content) {
            return Ok(());
        }
        self.replace(Part::Pids, "write pid file", id, ".pid", &content)
    }

    /// Replaces the file of an id in a part.
    fn replace(&self, part: Part, what: &str, id: &str, suffix: &str, content: &[u8]) -> Result<()> {
        let name = FileName::of(id);
        let (temporary, leaf) = (temporary(&name), name.leaf("", suffix));
        let dir = self.part(part)?;
        let written = descend(dir, &name).and_then(|place| place.replace(&temporary, &leaf, content));
        written.map_err(|error| self.not_replaced(what, part.as_str(), &temporary, &leaf, &error))
    }

    /// Removes pid file and record of a proxy that has no process.
    pub(crate) fn forget(&self, id: &str) -> Result<()> {
        let (name, root) = (FileName::of(id), self.root_as_it_is());
        let remove = |part: Part, what: &str, suffix: &str| {
            let leaf = name.leaf("", suffix);
            let place = descend_existing(&root, part, &name);
            let removed = place.and_then(|place| place.map_or(Ok(()), |place| place.remove(&leaf)));
            let object = format!("{}/{}", part.as_str(), leaf.to_string_lossy());
            removed.map_err(|error| self.failed(what, &object, &error))
        };
        let pid = remove(Part::Pids, "remove pid file", ".pid");
        let record = remove(Part::Records, "remove record", ".json");
        pid.and(record)
    }

    /// All records. A file that is none is reported with its name; it counts for nothing.
    ///
    /// # Errors
    /// [`ErrorCode::Exhausted`] when one could not be opened now: its process may live.
    pub(crate) fn records(&self) -> Result<(Vec<Record>, Vec<Error>)> {
        let (mut found, mut bad) = (Vec::new(), Vec::new());
        self.collect_records(&self.part(Part::Records)?, "records", &mut found, &mut bad)?;
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
                        record::parse(&text).map_err(|error| error.within(self.path().join(&shown).display()))?;
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
    /// When such a pid file cannot be read either, or the process not be looked at: it may live, and nothing is known
    /// of it.
    pub(crate) fn strays(&self, records: &[Record]) -> Result<Vec<(String, Stray)>> {
        let known = records.iter().map(|record| record.id.as_str()).collect();
        let mut found = Vec::new();
        self.collect_pids(&self.part(Part::Pids)?, &[], &known, &mut found)?;
        Ok(found)
    }

    fn collect_pids(
        &self,
        dir: &Dir,
        parents: &[String],
        known: &HashSet<&str>,
        found: &mut Vec<(String, Stray)>,
    ) -> Result<()> {
        let place = std::iter::once("pids").chain(parents.iter().map(String::as_str)).collect::<Vec<_>>().join("/");
        for name in dir.list().map_err(|error| self.failed("list", &place, &error))? {
            // No name of ours is without it.
            let Some(name) = name.to_str() else { continue };
            let (shown, leaf) = (format!("{place}/{name}"), CString::new(name).unwrap_or_default());
            if name.starts_with('%') && name.ends_with('+') {
                match dir.open_dir(&leaf) {
                    Ok(below) => self.collect_pids(&below, &[parents, &[name.to_owned()]].concat(), known, found)?,
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
            match std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok()).and_then(Pid::from_raw) {
                Some(pid) => {
                    let stray = Stray::of(pid).map_err(|error| {
                        Error::os(code_of(&error), format_args!("read the command line of process {pid}"), &error)
                    })?;
                    found.push((id, stray));
                }
                None => {
                    let got: String = String::from_utf8_lossy(&text).chars().take(20).collect();
                    let path = self.path().join(&shown);
                    logging::write(
                        Level::Error,
                        format_args!("ignored {}: expected a pid, got {got:?}", path.display()),
                    );
                }
            }
        }
        Ok(())
    }

    /// A record under another id's name would make two ids share a process.
    fn check_name(&self, record: &Record, leaf: &CStr, shown: &str) -> Result<()> {
        if FileName::of(&record.id).leaf("", ".json").as_c_str() == leaf {
            return Ok(());
        }
        let message = format!("{}: the record is of another id, {:?}", self.path().join(shown).display(), record.id);
        Err(Error::new(ErrorCode::CorruptSnapshot, message))
    }
}

/// Whether there is nothing under a name, or a link, a socket or whatever else was put there.
fn is_no_file_of_ours(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), None | Some(libc::ELOOP | libc::ENOENT | libc::ENOTDIR | libc::ENXIO))
}
