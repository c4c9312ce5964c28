// SPDX-License-Identifier: MPL-2.0
//! Reading what a data directory contains about processes that may be alive: its records, and pid files without a
//! record.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::{CStr, CString};
use std::io;
use std::path::Path;

use super::file_place::FilePlace;
use super::id_file_names::FileName;
use super::io_error_code::code_of;
use super::pid_file;
use super::process_record::{self, Record};
use super::quarantine::set_aside;
use crate::defaults::MAX_RECORD;
use crate::error::{Error, ErrorCode, Result, excerpt};
use crate::sys::file::Dir;
use crate::sys::pid::Pid;

/// What is in the folder of records.
#[derive(Debug, Default)]
pub(crate) struct Records {
    pub(crate) found: Vec<Record>,
    /// Those of the other generation of proxies that were being handed over.
    pub(crate) others: Vec<(FilePlace, Record)>,
    /// What could not be used, with the names of the files. It counts for nothing.
    pub(crate) bad: Vec<Error>,
    /// The ids of those that are of a current generation, as their names tell.
    pub(super) damaged: Vec<String>,
}

/// A process that may live, and of which there is no record.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lost {
    pub(crate) id: String,
    /// Which generation of the proxy it is of.
    pub(crate) place: FilePlace,
    /// As its pid file says, if it says anything.
    pub(crate) pid: Option<Pid>,
}

/// The reading of one data directory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recovery<'a> {
    /// Where it is, for messages.
    pub(super) path: &'a Path,
    /// Whether a record that is none, or is damaged, is set aside; else nothing is changed.
    pub(super) set_aside: bool,
}

impl Recovery<'_> {
    /// The records in the directory of them.
    ///
    /// # Errors
    /// [`ErrorCode::Exhausted`] when one could not be opened now: its process may live.
    pub(super) fn records(&self, dir: &Dir) -> Result<Records> {
        let mut records = Records::default();
        self.collect_records(dir, &[], &mut records)?;
        self.refuse_shared(&mut records);
        Ok(records)
    }

    /// Of records that name the same process all but one are wrong, and it is not known which: two ids must not share one.
    fn refuse_shared(&self, records: &mut Records) {
        let mut named: HashMap<i32, usize> = HashMap::new();
        for record in &records.found {
            *named.entry(record.identity.pid.as_raw()).or_default() += 1;
        }
        let is_shared = |record: &Record| named.get(&record.identity.pid.as_raw()).is_some_and(|times| *times > 1);
        let (shared, found) = std::mem::take(&mut records.found).into_iter().partition(is_shared);
        records.found = found;
        let shared: Vec<Record> = shared;
        let other = |record: &Record| {
            let (id, pid) = (excerpt(&record.id).to_string(), record.identity.pid);
            let message =
                format!("records of {}: that of {id} names pid {pid}, as another one does", self.path.display());
            Error::new(ErrorCode::CorruptSnapshot, message)
        };
        for record in shared {
            records.bad.push(other(&record));
            records.damaged.push(record.id);
        }
        // One that serves counts for more than the other generation of a proxy.
        let (shared, others) = std::mem::take(&mut records.others)
            .into_iter()
            .partition(|(_, record)| named.contains_key(&record.identity.pid.as_raw()));
        records.others = others;
        let shared: Vec<(FilePlace, Record)> = shared;
        records.bad.extend(shared.iter().map(|(_, record)| other(record)));
    }

    fn collect_records(&self, dir: &Dir, parents: &[String], records: &mut Records) -> Result<()> {
        let place = place("records", parents);
        let names = dir.list().map_err(|error| self.failed("list", &place, &error))?;
        for name in names {
            let shown = format!("{place}/{}", name.to_string_lossy());
            let leaf = CString::new(name.as_encoded_bytes()).unwrap_or_default();
            if let Some(stem) = shown.ends_with(".json").then(|| name.to_str()?.strip_suffix(".json")) {
                match self.read_record(dir, FilePlace::Current, &leaf, &shown) {
                    Ok(record) => {
                        records.bad.extend(self.unused_commands(&record, &shown));
                        records.found.push(record);
                    }
                    Err(error) if error.code() == ErrorCode::Exhausted => return Err(error),
                    Err(error) => {
                        records.damaged.extend(stem.and_then(|stem| FileName::id_of(parents, stem)));
                        records.bad.push(self.bad(dir, &leaf, error));
                    }
                }
            } else if let Some(place) = FilePlace::OTHERS.into_iter().find(|place| shown.ends_with(place.record())) {
                match self.read_record(dir, place, &leaf, &shown) {
                    Ok(record) => {
                        records.bad.extend(self.unused_commands(&record, &shown));
                        records.others.push((place, record));
                    }
                    Err(error) if error.code() == ErrorCode::Exhausted => return Err(error),
                    Err(error) => records.bad.push(self.bad(dir, &leaf, error)),
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

    /// A record that cannot be used is set aside. What the disk would not give now may be good.
    fn bad(&self, dir: &Dir, leaf: &CStr, error: Error) -> Error {
        let unreadable = error.errno().is_some_and(|errno| errno != libc::ELOOP);
        if unreadable || !self.set_aside { error } else { set_aside(dir, leaf, error) }
    }

    /// What is to be said of a process that is stopped without its commands, should nothing else be known of it.
    fn unused_commands(&self, record: &Record, shown: &str) -> Option<Error> {
        let error = record.unused_commands.clone()?.within(self.path.join(shown).display());
        Some(error.within(format_args!("commands of the stop of {}", excerpt(&record.id))))
    }

    pub(super) fn read_record(&self, dir: &Dir, place: FilePlace, leaf: &CStr, shown: &str) -> Result<Record> {
        let text = dir.read(leaf, MAX_RECORD).map_err(|error| self.failed("read process record", shown, &error))?;
        let record = process_record::parse(&text).map_err(|error| error.within(self.path.join(shown).display()))?;
        self.check_name(&record, place, leaf, shown).map(|()| record)
    }

    /// The processes that have a pid file in the directory of them, or a record that is damaged, but no good record: the
    /// pid alone proves nothing.
    ///
    /// # Errors
    /// When such a pid file cannot be read either: its process may live, and nothing is known of it.
    pub(super) fn lost(&self, pids: Option<&Dir>, records: &mut Records) -> Result<Vec<Lost>> {
        let current = records.found.iter().map(|record| (record.id.clone(), FilePlace::Current));
        let others = records.others.iter().map(|(place, record)| (record.id.clone(), *place));
        let known: HashSet<(String, FilePlace)> = current.chain(others).collect();
        let mut found = BTreeMap::new();
        if let Some(pids) = pids {
            self.collect_pids(pids, &[], &known, &mut found, &mut records.bad)?;
        }
        for id in std::mem::take(&mut records.damaged) {
            found.entry((id, FilePlace::Current)).or_default();
        }
        // The pid file of a process that was succeeding another one when an agent was killed may have its old name still.
        let recorded = records.found.iter().chain(records.others.iter().map(|(_, record)| record));
        let recorded: HashSet<(&str, Pid)> = recorded.map(|it| (it.id.as_str(), it.identity.pid)).collect();
        found.retain(|(id, place), pid| {
            *place == FilePlace::Current || pid.is_some_and(|pid| !recorded.contains(&(id.as_str(), pid)))
        });
        let of_current: HashSet<String> = known
            .into_iter()
            .chain(found.keys().cloned())
            .filter(|(_, place)| *place == FilePlace::Current)
            .map(|(id, _)| id)
            .collect();
        let mut lost: Vec<Lost> = found.into_iter().map(|((id, place), pid)| Lost { id, place, pid }).collect();
        // What is alone is the current one.
        let mut alone: HashSet<String> = HashSet::new();
        for lost in lost.iter_mut().filter(|lost| !of_current.contains(&lost.id)) {
            if alone.insert(lost.id.clone()) {
                lost.place = FilePlace::Current;
            }
        }
        Ok(lost)
    }

    fn collect_pids(
        &self,
        dir: &Dir,
        parents: &[String],
        known: &HashSet<(String, FilePlace)>,
        found: &mut BTreeMap<(String, FilePlace), Option<Pid>>,
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
            let of_place = |place: FilePlace| name.strip_suffix(place.pid()).map(|stem| (stem, place));
            let of_it = [&[FilePlace::Current], &FilePlace::OTHERS[..]].concat().into_iter().find_map(of_place);
            let id = of_it.and_then(|(stem, place)| Some((FileName::id_of(parents, stem)?, place)));
            let Some(id) = id.filter(|id| !known.contains(id)) else { continue };
            let text = match dir.read(&leaf, MAX_RECORD) {
                Ok(text) => text,
                Err(error) if is_no_file_of_ours(&error) => continue,
                Err(error) => return Err(self.failed("read pid file", &shown, &error)),
            };
            let pid = pid_file::parse(&text);
            if pid.is_none() {
                let path = self.path.join(&shown);
                let message = format!("{}: expected a pid and a newline", excerpt(&path.to_string_lossy()));
                bad.push(Error::new(ErrorCode::CorruptSnapshot, message));
            }
            found.insert(id, pid);
        }
        Ok(())
    }

    /// An error that names a file of the directory.
    fn failed(&self, what: &str, object: &str, error: &io::Error) -> Error {
        Error::os(code_of(error), format_args!("{what} {}", self.path.join(object).display()), error)
    }

    /// A record under another id's name would make two ids share a process.
    fn check_name(&self, record: &Record, place: FilePlace, leaf: &CStr, shown: &str) -> Result<()> {
        if FileName::of(&record.id).leaf("", place.record()).as_c_str() == leaf {
            return Ok(());
        }
        let message =
            format!("{}: the record is of another id, \"{}\"", self.path.join(shown).display(), excerpt(&record.id));
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
