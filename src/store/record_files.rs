// SPDX-License-Identifier: MPL-2.0
//! The files of process records, and the pid files for people and scripts.

use std::ffi::CStr;
use std::io;

use super::data_dir::DataDir;
use super::file_place::FilePlace;
use super::id_directories::{descend, descend_existing, temporary};
use super::id_file_names::FileName;
use super::pid_file;
use super::process_record::{self, Record, RecordHeader};
use super::record_recovery::{Lost, Records, Recovery};
use super::recorded_end::RecordedEnd;
use super::subdirectories::Subdirectory;
use crate::defaults::MAX_RECORD;
use crate::error::Result;
use crate::sys::fail;
use crate::sys::file::Dir;
use crate::sys::pid::Pid;
use crate::sys::pidfd;
use crate::sys::process_identity::Identity;
use crate::sys::spawn::child_record::SelfRecord;

impl DataDir {
    /// Prepares the record that the process of an id writes of itself.
    pub(crate) fn prepare_record(
        &self,
        place: FilePlace,
        header: RecordHeader<'_>,
        boot_id: &str,
    ) -> Result<SelfRecord> {
        let name = FileName::of(header.id);
        let dir = descend(self.part(Subdirectory::Records)?, &name);
        Ok(SelfRecord {
            dir: dir.map_err(|error| self.failed("open records directory", "records", &error))?,
            lock: self.lock_descriptors(),
            temporary: temporary(&name, place),
            name: name.leaf("", place.record()),
            within: self.path().join("records"),
            head: process_record::head(header, boot_id),
            with_inode: pidfd::has_inodes(),
        })
    }

    /// Writes the record of a process that did not write its own: one that was adopted from elsewhere.
    pub(crate) fn write_record(
        &self,
        file_place: FilePlace,
        header: RecordHeader<'_>,
        identity: &Identity,
    ) -> Result<()> {
        let content = process_record::whole(header, identity);
        let name = (header.id, file_place, file_place.record());
        self.put(Subdirectory::Records, "write process record", name, |place, temporary, leaf| {
            place.replace(temporary, leaf, &content)
        })
    }

    /// Writes the identity of a process into its record, and keeps the rest.
    pub(crate) fn update_identity(&self, file_place: FilePlace, id: &str, identity: &Identity) -> Result<()> {
        let record = self.read_record(file_place, id)?;
        self.write_record(file_place, record.header(), identity)
    }

    fn read_record(&self, file_place: FilePlace, id: &str) -> Result<Record> {
        let name = FileName::of(id);
        let leaf = name.leaf("", file_place.record());
        let shown = format!("{}/{}", Subdirectory::Records.as_str(), leaf.to_string_lossy());
        let place = descend(self.part(Subdirectory::Records)?, &name);
        let place = place.map_err(|error| self.failed("open records directory", "records", &error))?;
        self.recovery().read_record(&place, file_place, &leaf, &shown)
    }

    /// Writes how a process has ended into its record, and leaves what else it says.
    pub(crate) fn record_end(&self, file_place: FilePlace, id: &str, ended: RecordedEnd) -> Result<()> {
        let record = self.read_record(file_place, id)?;
        let header = RecordHeader { ended: Some(ended), ..record.header() };
        self.write_record(file_place, header, &record.identity)
    }

    /// Whether a proxy has a record, whatever is in it.
    pub(crate) fn has_record(&self, file_place: FilePlace, id: &str) -> Result<bool> {
        let name = FileName::of(id);
        self.root()?;
        let place = self.part_as_it_is(Subdirectory::Records).and_then(|part| descend_existing(part, &name));
        let found =
            place.and_then(|place| place.map_or(Ok(None), |place| place.inode(&name.leaf("", file_place.record()))));
        found.map(|found| found.is_some()).map_err(|error| self.failed("look for the record of", id, &error))
    }

    /// Writes the pid file of a process, unless it is there already: with nothing to write, what runs can be taken over
    /// on a disk that is full or read-only.
    pub(crate) fn write_pid(&self, file_place: FilePlace, id: &str, pid: Pid) -> Result<()> {
        let name = FileName::of(id);
        let place = self.part_as_it_is(Subdirectory::Pids).and_then(|part| descend_existing(part, &name));
        let read = place.ok().flatten().and_then(|place| place.read(&name.leaf("", file_place.pid()), MAX_RECORD).ok());
        if read.is_some_and(|found| found == pid_file::text(pid)) {
            return Ok(());
        }
        self.replace_pid(file_place, id, pid)
    }

    /// Writes the pid file of a process that has just been started: whatever is there is of another one.
    pub(crate) fn replace_pid(&self, file_place: FilePlace, id: &str, pid: Pid) -> Result<()> {
        let name = (id, file_place, file_place.pid());
        self.put(Subdirectory::Pids, "write pid file", name, |place, temporary, leaf| {
            place.rewrite(temporary, leaf, &pid_file::text(pid))
        })
    }

    /// Writes the file of an id in a part, by a temporary one.
    fn put(
        &self,
        part: Subdirectory,
        what: &str,
        (id, file_place, suffix): (&str, FilePlace, &str),
        write: impl FnOnce(&Dir, &CStr, &CStr) -> io::Result<()>,
    ) -> Result<()> {
        let name = FileName::of(id);
        let (temporary, leaf) = (temporary(&name, file_place), name.leaf("", suffix));
        let dir = self.part(part)?;
        let written = descend(dir, &name).and_then(|place| write(&place, &temporary, &leaf));
        written.map_err(|error| self.not_replaced(what, part.as_str(), &temporary, &leaf, &error))
    }

    /// Removes pid file and record of a proxy that has no process.
    pub(crate) fn forget(&self, file_place: FilePlace, id: &str) -> Result<()> {
        let pid = self.remove_pid(file_place, id);
        let record = self.remove(Subdirectory::Records, "remove record", id, file_place.record());
        match (pid, record) {
            (Err(pid), Err(record)) => Err(pid.followed_by(record)),
            (pid, record) => pid.and(record),
        }
    }

    /// Removes the pid file of a process that is gone.
    pub(crate) fn remove_pid(&self, file_place: FilePlace, id: &str) -> Result<()> {
        self.remove(Subdirectory::Pids, "remove pid file", id, file_place.pid())
    }

    /// Removes the file of an id from a part, if it is there.
    fn remove(&self, part: Subdirectory, what: &str, id: &str, suffix: &str) -> Result<()> {
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
    /// [`ErrorCode::Exhausted`](crate::ErrorCode::Exhausted) when one could not be opened now: its process may live.
    pub(crate) fn records(&self) -> Result<Records> {
        let mut records = self.recovery().records(&*self.part(Subdirectory::Records)?)?;
        self.resume_handovers(&mut records)?;
        fail::point("records:read");
        Ok(records)
    }

    /// The processes that have a pid file, or a record that is damaged, but no good record: the pid alone proves
    /// nothing.
    ///
    /// # Errors
    /// When such a pid file cannot be read either: its process may live, and nothing is known of it.
    pub(crate) fn lost(&self, records: &mut Records) -> Result<Vec<Lost>> {
        let lost = self.recovery().lost(Some(&*self.part(Subdirectory::Pids)?), records)?;
        self.finish_promotions(records, &lost)?;
        Ok(lost)
    }

    fn recovery(&self) -> Recovery<'_> {
        Recovery { path: self.path(), set_aside: true }
    }
}
