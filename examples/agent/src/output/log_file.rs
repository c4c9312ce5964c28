// SPDX-License-Identifier: MPL-2.0
//! Reads a log of a proxy: its last lines, and what comes then.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How much is read at once.
const PART: u64 = 64 << 10;

/// Of what size the least blocks are that are removed from the front of a log.
const BLOCK: u64 = 4096;

/// How much of what was read is remembered, by which the place is found again in a log whose front was removed.
const REMEMBERED: usize = 1024;

/// A log that is read from some place on. It may be moved, truncated, cut or removed meanwhile.
pub(crate) struct LogFile {
    path: PathBuf,
    /// The open file, with its device and inode.
    open: Option<(File, (u64, u64))>,
    /// How much of it was read.
    read: u64,
    /// What was read last.
    last: Vec<u8>,
}

impl LogFile {
    /// A log from its beginning on; it need not be there yet.
    pub(crate) fn new(path: impl Into<PathBuf>) -> LogFile {
        LogFile { path: path.into(), open: None, read: 0, last: Vec::new() }
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
        let mut last = Vec::new();
        let remembered = begin.min(REMEMBERED as u64);
        file.seek(SeekFrom::Start(begin - remembered))?;
        file.take(remembered).read_to_end(&mut last)?;
        (self.read, self.last) = (begin, last);
        Ok(())
    }

    /// What was written since the last read, at most a part of it; empty when there is nothing now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn next_part(&mut self) -> io::Result<Vec<u8>> {
        loop {
            let mut part = self.read_part()?;
            let is_end = part.is_empty();
            // A file system may have freed the space of the oldest lines, which reads as zeros.
            part.drain(..part.iter().take_while(|byte| **byte == 0).count());
            if is_end || !part.is_empty() {
                let kept = self.last.len().min(REMEMBERED.saturating_sub(part.len()));
                self.last.drain(..self.last.len() - kept);
                self.last.extend_from_slice(&part[part.len().saturating_sub(REMEMBERED)..]);
                return Ok(part);
            }
        }
    }

    fn read_part(&mut self) -> io::Result<Vec<u8>> {
        let (mut read, mut last) = (self.read, std::mem::take(&mut self.last));
        let Some(file) = self.current()? else { return Ok(Vec::new()) };
        if !follows(file, read, &last)? {
            read = continuation(file, read, &last)?;
            if read == 0 {
                last.clear();
            }
        }
        let mut part = Vec::new();
        file.seek(SeekFrom::Start(read))?;
        file.take(PART).read_to_end(&mut part)?;
        (self.read, self.last) = (read + part.len() as u64, last);
        if part.is_empty() && self.is_replaced() {
            (self.open, self.read, self.last) = (None, 0, Vec::new());
            return self.read_part();
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

/// Whether this place in a log is behind `last`, as it was.
fn follows(file: &mut File, read: u64, last: &[u8]) -> io::Result<bool> {
    if file.metadata()?.len() < read {
        return Ok(false);
    }
    let mut found = Vec::new();
    file.seek(SeekFrom::Start(read - last.len() as u64))?;
    file.take(last.len() as u64).read_to_end(&mut found)?;
    Ok(found == last)
}

/// Where what comes after `last`, which ended at `read`, begins in a log that has become shorter: behind that, if the oldest
/// lines were removed, whole blocks of them, and at its beginning, if it was truncated and begins anew.
fn continuation(file: &mut File, read: u64, last: &[u8]) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let mut at = read - read.saturating_sub(length).next_multiple_of(BLOCK).min(read);
    // Nothing that was read is its beginning.
    while !last.is_empty() && at >= last.len() as u64 {
        if at < read && follows(file, at, last)? {
            return Ok(at);
        }
        at = at.saturating_sub(BLOCK);
    }
    Ok(0)
}
