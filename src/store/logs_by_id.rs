// SPDX-License-Identifier: MPL-2.0
//! All logs in a log directory, by the ids of their proxies, and their removal.

use std::collections::BTreeMap;
use std::ffi::{CString, OsString};
use std::io;
use std::sync::Arc;

use super::id_file_names::FileName;
use super::log_home::LogHome;
use super::log_place::SUFFIXES;
use crate::sys::file::Dir;

/// How deep the directories of the longest id are, and more.
const DEEPEST: usize = 32;

/// The logs of one id, including files with older lines and files that were set aside.
#[derive(Debug)]
pub(crate) struct LogsOfId {
    pub(crate) id: String,
    dir: Arc<Dir>,
    files: Vec<CString>,
    /// Whether only the files can tell whether a process writes to them.
    is_alone: bool,
}

/// The logs that are there, by their names: nothing is opened but directories.
pub(crate) fn logs_by_id(home: &dyn LogHome) -> io::Result<Vec<LogsOfId>> {
    let mut all = Vec::new();
    if let Some(dir) = home.private_logs_dir()? {
        collect(&dir, &mut Vec::new(), !home.knows_processes(), &mut all)?;
    }
    Ok(all)
}

/// `parents`: the names of the directories that lead here, those of very long ids.
fn collect(dir: &Arc<Dir>, parents: &mut Vec<String>, is_alone: bool, all: &mut Vec<LogsOfId>) -> io::Result<()> {
    let mut found: BTreeMap<String, Vec<CString>> = BTreeMap::new();
    for name in dir.list()?.into_iter().filter_map(|name| OsString::into_string(name).ok()) {
        if name.starts_with('%') && name.ends_with('+') && parents.len() < DEEPEST {
            let leaf = CString::new(name.as_str())?;
            // What cannot be opened is not ours, or gone.
            let Ok(below) = dir.open_dir(&leaf).and_then(|below| below.check_private().map(|_| below)) else {
                continue;
            };
            parents.push(name);
            let collected = collect(&Arc::new(below), parents, is_alone, all);
            parents.pop();
            collected?;
        } else if let Some(id) = stem_of(&name).and_then(|stem| FileName::id_of(parents, stem)) {
            found.entry(id).or_default().push(CString::new(name)?);
        }
    }
    all.extend(found.into_iter().map(|(id, files)| LogsOfId { id, dir: dir.clone(), files, is_alone }));
    Ok(())
}

/// What the name of a log begins with, or of a file that is kept beside one, or was about to be.
fn stem_of(name: &str) -> Option<&str> {
    let name = name.strip_prefix('.').and_then(|name| name.strip_suffix(".tmp")).unwrap_or(name);
    SUFFIXES.iter().find_map(|suffix| {
        let at = name.rfind(suffix)?;
        let number = match &name[at + suffix.len()..] {
            "" => return Some(&name[..at]),
            rest => rest.strip_prefix(".foreign-").or_else(|| rest.strip_prefix('.'))?,
        };
        let is_number = matches!(number.as_bytes(), [b'1'..=b'9'] | [b'1'..=b'9', b'0'..=b'9']);
        is_number.then_some(&name[..at])
    })
}

impl LogsOfId {
    /// When the youngest of them was written to last, in seconds and nanoseconds; `None` when none is there any more.
    ///
    /// # Errors
    /// When that cannot be known.
    pub(crate) fn written(&mut self) -> io::Result<Option<(i64, i64)>> {
        let mut last = None;
        let mut failed = None;
        self.files.retain(|file| match self.dir.regular_file(file) {
            Ok(found) => {
                last = last.max(found.map(|found| found.written));
                found.is_some()
            }
            // What is no regular file is no log.
            Err(error) if error.raw_os_error().is_none() => false,
            Err(error) => {
                failed = Some(error);
                true
            }
        });
        failed.map_or(Ok(last), Err)
    }

    /// Removes them all, unless a process writes to one of them, and says whether it has.
    ///
    /// # Errors
    /// Also where it cannot be known whether a process writes to them, and only they can tell. Some may be gone then.
    pub(crate) fn remove(&self) -> io::Result<bool> {
        for file in &self.files {
            match self.dir.is_written_to(file) {
                Ok(false) => {}
                Ok(true) => return Ok(false),
                // Where there are no leases: those that may were recorded, and are gone.
                Err(error)
                    if !self.is_alone && matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP)) => {}
                Err(error) => return Err(error),
            }
        }
        for file in &self.files {
            if self.dir.regular_file(file)?.is_some() {
                self.dir.remove(file)?;
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_and_what_is_kept_beside_them_are_known_by_their_names() {
        let logs = [
            ("web-stdout.log", "web"),
            ("web-stderr.log", "web"),
            ("web-stdout.log.1", "web"),
            ("web-stderr.log.99", "web"),
            ("web-stdout.log.foreign-8", "web"),
            (".web-stdout.log.tmp", "web"),
            ("a-stdout.log-stderr.log.7", "a-stdout.log"),
            ("a-stdout.log.1-stdout.log", "a-stdout.log.1"),
            ("a-stderr.log-stdout.log", "a-stderr.log"),
        ];
        for (name, stem) in logs {
            assert_eq!(stem_of(name), Some(stem), "{name}");
        }
        let others = [
            "web-stdout.log.0",
            "web-stdout.log.01",
            "web-stdout.log.100",
            "web-stdout.log.gz",
            "web-stdout.log.1.gz",
            "web-stdout.log.",
            "web-stdout.log~",
            "web.log",
            "stdout.log",
            "",
        ];
        for name in others {
            assert_eq!(stem_of(name), None, "{name}");
        }
    }
}
