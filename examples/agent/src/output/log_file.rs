// SPDX-License-Identifier: MPL-2.0
//! Reads a log of a proxy: its last lines, and what comes then.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How much is read at once.
const PART: u64 = 64 << 10;

/// A log that is read from some place on. It may be moved, truncated or removed meanwhile.
pub(crate) struct LogFile {
    path: PathBuf,
    /// The open file, with its device and inode.
    open: Option<(File, (u64, u64))>,
    /// How much of it was read.
    read: u64,
}

impl LogFile {
    /// A log from its beginning on; it need not be there yet.
    pub(crate) fn new(path: impl Into<PathBuf>) -> LogFile {
        LogFile { path: path.into(), open: None, read: 0 }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Goes to where its last lines begin, so many of them.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn skip_to_last(&mut self, lines: usize) -> io::Result<()> {
        let Some(file) = self.current()? else { return Ok(()) };
        let length = file.metadata()?.len();
        // Each line but the last is behind the newline of the one before it; that at the end of the file is of the last one.
        let (mut begin, mut wanted) = (length, lines);
        while begin > 0 && wanted > 0 {
            let from = begin.saturating_sub(PART);
            file.seek(SeekFrom::Start(from))?;
            let mut part = Vec::new();
            file.take(begin - from).read_to_end(&mut part)?;
            let searched = if begin == length { part.len().saturating_sub(1) } else { part.len() };
            begin = from;
            for at in (0..searched).rev().filter(|at| part[*at] == b'\n') {
                wanted -= 1;
                if wanted == 0 {
                    begin = from + at as u64 + 1;
                    break;
                }
            }
        }
        self.read = begin;
        Ok(())
    }

    /// What was written since the last read, at most a part of it; empty when there is nothing now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn next_part(&mut self) -> io::Result<Vec<u8>> {
        let read = self.read;
        let Some(file) = self.current()? else { return Ok(Vec::new()) };
        // A log that was truncated begins anew.
        let read = if file.metadata()?.len() < read { 0 } else { read };
        let mut part = Vec::new();
        file.seek(SeekFrom::Start(read))?;
        file.take(PART).read_to_end(&mut part)?;
        self.read = read + part.len() as u64;
        if part.is_empty() && self.is_replaced() {
            (self.open, self.read) = (None, 0);
            return self.next_part();
        }
        Ok(part)
    }

    /// Whether another file has its path now.
    fn is_replaced(&self) -> bool {
        let Some((_, id)) = &self.open else { return false };
        std::fs::metadata(&self.path).is_ok_and(|file| (file.dev(), file.ino()) != *id)
    }

    fn current(&mut self) -> io::Result<Option<&mut File>> {
        if self.open.is_none() {
            self.open = match File::open(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                opened => {
                    let file = opened?;
                    let metadata = file.metadata()?;
                    Some((file, (metadata.dev(), metadata.ino())))
                }
            };
        }
        Ok(self.open.as_mut().map(|(file, _)| file))
    }
}
