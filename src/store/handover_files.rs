// SPDX-License-Identifier: MPL-2.0
//! The files of the two generations of a proxy during a handover, and how the next agent interprets them.
//!
//! | records | what the last agent was doing | what is made of them |
//! |---|---|---|
//! | current, next | the next one is not ready yet | both are taken over |
//! | next, predecessor | between the two renames | the next one is the current one |
//! | current, predecessor | the predecessor is ending | the predecessor is stopped |
//! | next or predecessor alone | nothing is left of the other one | it is the current one |

use std::io;

use super::data_dir::DataDir;
use super::file_place::FilePlace;
use super::id_directories::descend;
use super::id_file_names::FileName;
use super::record_recovery::{Lost, Records};
use super::subdirectories::Subdirectory;
use crate::error::{Error, Result};
use crate::sys::fail;

impl DataDir {
    /// Gives the next generation of a proxy the place of the current one, and that one the place of a predecessor.
    ///
    /// ORDER: an agent that is killed between two of these finds the predecessor under its new name and the next one under
    /// the old, and goes on from there. Renames lose nothing.
    ///
    /// # Errors
    /// The first of the renames that failed. Those before it are undone: both generations live on, and write to their files.
    pub(crate) fn promote(&self, id: &str) -> Result<()> {
        self.move_files(id, &[(FilePlace::Current, FilePlace::Predecessor), (FilePlace::Next, FilePlace::Current)])
    }

    /// Makes the other generation of a proxy, which has no current one, that.
    pub(crate) fn resume(&self, id: &str, place: FilePlace) -> Result<()> {
        self.move_files(id, &[(place, FilePlace::Current)])
    }

    /// Renames record and pid file, where they are, from each place to the other.
    fn move_files(&self, id: &str, moves: &[(FilePlace, FilePlace)]) -> Result<()> {
        let of_both = |&(from, to)| [Subdirectory::Records, Subdirectory::Pids].map(|part| (part, from, to));
        let renames: Vec<(Subdirectory, FilePlace, FilePlace)> = moves.iter().flat_map(of_both).collect();
        for (at, &(part, from, to)) in renames.iter().enumerate() {
            if let Err(error) = self.move_file(id, part, from, to) {
                let done = renames.get(..at).unwrap_or_default().iter().rev();
                let undone = done.map(|&(part, from, to)| self.move_file(id, part, to, from));
                return Err(undone.filter_map(Result::err).fold(error, Error::followed_by));
            }
            fail::point("handover:renamed");
        }
        Ok(())
    }

    fn move_file(&self, id: &str, part: Subdirectory, from: FilePlace, to: FilePlace) -> Result<()> {
        let name = FileName::of(id);
        let suffix = |place: FilePlace| if part == Subdirectory::Records { place.record() } else { place.pid() };
        let (from, to) = (name.leaf("", suffix(from)), name.leaf("", suffix(to)));
        match descend(self.part(part)?, &name).and_then(|place| place.rename(&from, &to)) {
            // A pid file that could not be written, or was removed, is written when this is over.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            renamed => {
                let object = format!("{}/{}", part.as_str(), from.to_string_lossy());
                renamed.map_err(|error| self.failed("rename", &object, &error))
            }
        }
    }

    /// An agent that was killed before the last rename of a promotion has left the pid file of the current generation under its old
    /// name, which no process would ever remove.
    pub(super) fn finish_promotions(&self, records: &Records, lost: &[Lost]) -> Result<()> {
        let succeeded = records.others.iter().filter(|(place, _)| *place == FilePlace::Predecessor);
        let is_of_another = |id: &str| {
            let is_recorded = records.others.iter().any(|(place, record)| *place == FilePlace::Next && record.id == id);
            is_recorded || lost.iter().any(|lost| lost.id == id)
        };
        for (_, record) in succeeded.filter(|(_, record)| !is_of_another(&record.id)) {
            self.move_file(&record.id, Subdirectory::Pids, FilePlace::Next, FilePlace::Current)?;
        }
        Ok(())
    }

    /// Of proxies without a current generation the other one is that, also on disk.
    pub(super) fn resume_handovers(&self, records: &mut Records) -> Result<()> {
        for (place, id) in records.resume() {
            self.resume(&id, place)?;
        }
        Ok(())
    }
}

impl Records {
    /// Of proxies without a current generation the other one is that: which they are, and where their files are yet. A record of
    /// a current one that is damaged is one all the same.
    pub(super) fn resume(&mut self) -> Vec<(FilePlace, String)> {
        let mut resumed = Vec::new();
        for place in FilePlace::OTHERS {
            let (of_it, others) = std::mem::take(&mut self.others).into_iter().partition(|(its, _)| *its == place);
            self.others = others;
            let of_it: Vec<(FilePlace, _)> = of_it;
            for (place, record) in of_it {
                if self.found.iter().any(|found| found.id == record.id) || self.damaged.contains(&record.id) {
                    self.others.push((place, record));
                } else {
                    resumed.push((place, record.id.clone()));
                    self.found.push(record);
                }
            }
        }
        resumed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declaration::Fingerprint;
    use crate::lifecycle::start_numbers::StartNumbers;
    use crate::store::process_record::RecordHeader;
    use crate::store::recorded_stop::RecordedStop;
    use crate::sys::pid::Pid;
    use crate::sys::process_identity::Identity;

    fn pid(number: i32) -> Pid {
        Pid::from_raw(number).unwrap()
    }

    /// The files of a process with this pid.
    fn write(dir: &DataDir, place: FilePlace, id: &str, number: i32) {
        let stop = RecordedStop::default();
        let (fingerprint, numbers) = (Fingerprint::new(), StartNumbers::default());
        let (token, token_generated, owner_tag, notifications, sockets) = (None, false, None, None, &[][..]);
        let stop = stop.as_header();
        #[rustfmt::skip]
        let header = RecordHeader {
            id, fingerprint, token, token_generated, stop, owner_tag, numbers, notifications, sockets, ended: None,
        };
        let group = pid(number);
        let identity = Identity { pid: group, group, start_ticks: 7, boot_id: "boot".into(), inode: None };
        dir.write_record(place, header, &identity).unwrap();
        dir.replace_pid(place, id, pid(number)).unwrap();
    }

    /// What is found: the current generation, and the other one with its place.
    fn found(dir: &DataDir) -> (Vec<i32>, Vec<(FilePlace, i32)>, Vec<Lost>) {
        let mut records = dir.records().unwrap();
        let lost = dir.lost(&mut records).unwrap();
        let current = records.found.iter().map(|record| record.identity.pid.as_raw()).collect();
        let others = records.others.iter().map(|(place, record)| (*place, record.identity.pid.as_raw())).collect();
        (current, others, lost)
    }

    #[test]
    fn promotion_that_was_cut_short_anywhere_is_finished_by_the_next_agent() {
        // Which of its four renames were done.
        for done in 0..=4 {
            let place = tempfile::tempdir().unwrap();
            let dir = DataDir::open(place.path()).unwrap();
            write(&dir, FilePlace::Current, "web", 1001);
            write(&dir, FilePlace::Next, "web", 1002);
            let renames =
                [("records", "json", ""), ("pids", "pid", ""), ("records", "json", "-next"), ("pids", "pid", "-next")];
            for (part, suffix, from) in renames.into_iter().take(done) {
                let to = if from.is_empty() { "-predecessor" } else { "" };
                let path = |end: &str| place.path().join(part).join(format!("web.{suffix}{end}"));
                std::fs::rename(path(from), path(to)).unwrap();
            }
            let expected = match done {
                0 => (vec![1001], vec![(FilePlace::Next, 1002)]),
                _ => (vec![1002], vec![(FilePlace::Predecessor, 1001)]),
            };
            for again in [false, true] {
                let (current, others, lost) = found(&dir);
                assert_eq!((current, others), expected, "{done} {again}");
                assert_eq!(lost, [], "{done} {again}");
            }
            let pid_of = |end: &str| std::fs::read_to_string(place.path().join(format!("pids/web.pid{end}"))).ok();
            let pids = ["", "-next", "-predecessor"].map(|end| pid_of(end).map(|text| text.trim().to_owned()));
            let expected = match done {
                0 => [Some("1001"), Some("1002"), None],
                // It is written when the predecessor is adopted.
                1 => [Some("1002"), None, None],
                _ => [Some("1002"), None, Some("1001")],
            };
            assert_eq!(pids.each_ref().map(Option::as_deref), expected, "{done}");
        }
    }

    #[test]
    fn process_of_a_damaged_record_is_known_by_its_pid_file_wherever_that_is() {
        for (damaged, place) in [("", FilePlace::Current), ("-next", FilePlace::Next)] {
            let directory = tempfile::tempdir().unwrap();
            let dir = DataDir::open(directory.path()).unwrap();
            write(&dir, FilePlace::Current, "web", 1001);
            write(&dir, FilePlace::Next, "web", 1002);
            std::fs::write(directory.path().join(format!("records/web.json{damaged}")), "damaged").unwrap();
            let (current, others, lost) = found(&dir);
            let number = if place == FilePlace::Current { 1001 } else { 1002 };
            assert_eq!(lost, [Lost { id: "web".into(), place, pid: Some(pid(number)) }]);
            assert_eq!(current.len() + others.len(), 1, "{current:?} {others:?}");
            assert!(!current.contains(&number) && !others.iter().any(|(_, other)| *other == number));
        }
    }

    #[test]
    fn other_generation_that_is_alone_is_the_current_one_by_its_pid_file_too() {
        for place in FilePlace::OTHERS {
            let directory = tempfile::tempdir().unwrap();
            let dir = DataDir::open(directory.path()).unwrap();
            write(&dir, place, "web", 1002);
            std::fs::write(directory.path().join(format!("records/web{}", place.record())), "damaged").unwrap();
            let lost = Lost { id: "web".into(), place: FilePlace::Current, pid: Some(pid(1002)) };
            assert_eq!(found(&dir), (vec![], vec![], vec![lost]));
        }
    }

    #[test]
    fn other_generation_that_names_the_process_of_the_current_one_counts_for_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let dir = DataDir::open(directory.path()).unwrap();
        write(&dir, FilePlace::Current, "web", 1001);
        write(&dir, FilePlace::Next, "web", 1001);
        assert_eq!(found(&dir), (vec![1001], vec![], vec![]));
    }
}
