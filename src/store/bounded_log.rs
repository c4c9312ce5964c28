// SPDX-License-Identifier: MPL-2.0
//! A log with a size limit: its place, and the files with its older lines.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::log_home::LogHome;
use crate::command::LogLimits;
use crate::sys::file::{Dir, FoundFile};

/// Where the log of a stream of a proxy is.
#[derive(Debug, Clone)]
pub(crate) enum LogLocation {
    /// By the proxy's id, with those of others.
    In(Arc<dyn LogHome>, Arc<str>, usize),
    /// A file of the user's.
    At(PathBuf),
}

/// The same, with its limits.
#[derive(Debug, Clone)]
pub(crate) struct BoundedLog {
    pub(crate) location: LogLocation,
    pub(crate) limits: LogLimits,
}

impl LogLocation {
    /// Its path, for messages.
    pub(crate) fn path(&self) -> PathBuf {
        match self {
            LogLocation::In(home, id, stream) => home.log_paths(id)[*stream].clone(),
            LogLocation::At(path) => path.clone(),
        }
    }

    /// The file that is there, if there is one.
    ///
    /// # Errors
    /// Also for what is no regular file.
    pub(crate) fn find(&self) -> io::Result<Option<FoundFile>> {
        self.place()?.map_or(Ok(None), |(dir, leaf)| dir.regular_file(&leaf))
    }

    /// Opens it, if it is there.
    ///
    /// # Errors
    /// Also for what may not be cut: a link, what has several names, and at a path of the user's what is not the agent's.
    pub(crate) fn open(&self) -> io::Result<Option<OpenLog>> {
        let Some((dir, leaf)) = self.place()? else { return Ok(None) };
        // A directory of the library's is ours alone, and a log in it may have been given to the user of its proxy.
        let any_owner = !matches!(self, LogLocation::At(_));
        match dir.open_for_cut(&leaf, any_owner) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(|file| Some(OpenLog { file, dir, leaf })),
        }
    }

    fn place(&self) -> io::Result<Option<(Arc<Dir>, CString)>> {
        match self {
            LogLocation::In(home, id, stream) => home.log_place(id, *stream),
            LogLocation::At(path) => {
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
                let leaf = CString::new(path.file_name().unwrap_or(OsStr::new(".")).as_bytes())?;
                match Dir::open(parent) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    dir => dir.map(|dir| Some((Arc::new(dir), leaf))),
                }
            }
        }
    }
}

/// A log that is open for taking lines away.
#[derive(Debug)]
pub(crate) struct OpenLog {
    pub(crate) file: File,
    dir: Arc<Dir>,
    leaf: CString,
}

impl OpenLog {
    /// Writes a new file with older lines, and removes the oldest one.
    ///
    /// # Errors
    /// When it could not be written. The other ones are as they were then, but without the oldest one on a full disk.
    pub(super) fn keep_old(&self, keep: u32, write: impl Fn(&mut File) -> io::Result<()>) -> io::Result<()> {
        let temporary = CString::new([b".", self.leaf.to_bytes(), b".tmp"].concat())?;
        let put = || {
            self.dir.replace_by(&temporary, &self.old(1)?, |file| {
                write(file)?;
                // ORDER: after it was written. One that cannot be written again and again must not cost all that are there.
                self.move_on(keep)
            })
        };
        let is_full = |error: &io::Error| matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT));
        match put() {
            Err(error) if is_full(&error) && self.dir.inode(&self.old(keep)?)?.is_some() => {
                // It would go anyway; and only once, for the others do not move.
                self.dir.remove(&self.old(keep)?)?;
                put()
            }
            done => done,
        }
    }

    /// Removes the oldest file, and gives each of the others the number after its own.
    fn move_on(&self, keep: u32) -> io::Result<()> {
        // Also those that were kept when there were to be more of them.
        let mut number = keep;
        while self.dir.inode(&self.old(number)?)?.is_some() {
            self.dir.remove(&self.old(number)?)?;
            number += 1;
        }
        for number in (1..keep).rev() {
            match self.dir.rename(&self.old(number)?, &self.old(number + 1)?) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Appends to the youngest file with older lines.
    ///
    /// # Errors
    /// When it could not be written.
    pub(super) fn keep_more(&self, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        self.dir.append_by(&self.old(1)?, write)
    }

    fn old(&self, number: u32) -> io::Result<CString> {
        Ok(CString::new([self.leaf.to_bytes(), format!(".{number}").as_bytes()].concat())?)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn file_that_cannot_be_written_again_and_again_does_not_cost_the_older_ones() {
        let place = std::env::temp_dir().join(format!("proxyprocess-keep-{}", crate::sys::random::uuid().unwrap()));
        std::fs::create_dir(&place).unwrap();
        let path = place.join("web.log");
        std::fs::write(&path, "now\n").unwrap();
        let log = LogLocation::At(path.clone()).open().unwrap().unwrap();
        for text in ["first", "second", "third"] {
            log.keep_old(3, |file| file.write_all(text.as_bytes())).unwrap();
        }
        let kept = || [1, 2, 3].map(|it| std::fs::read_to_string(path.with_extension(format!("log.{it}"))).ok());
        let all = ["third", "second", "first"].map(|text| Some(text.to_owned()));
        for _ in 0..5 {
            assert!(log.keep_old(3, |_| Err(io::Error::from_raw_os_error(libc::EIO))).is_err());
            assert_eq!(kept(), all);
        }
        // On a full disk the oldest goes, which would go anyway, and no other.
        let [third, second, _] = all;
        for _ in 0..5 {
            assert!(log.keep_old(3, |_| Err(io::Error::from_raw_os_error(libc::ENOSPC))).is_err());
            assert_eq!(kept(), [third.clone(), second.clone(), None]);
        }
        log.keep_old(3, |file| file.write_all(b"fourth")).unwrap();
        assert_eq!(kept(), [Some("fourth".to_owned()), third, second]);
        std::fs::remove_dir_all(place).unwrap();
    }
}
