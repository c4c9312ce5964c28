// SPDX-License-Identifier: MPL-2.0
//! The pipe by which a process reports that it is ready: it writes a newline to a descriptor that it gets at its start.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::{check, fd};

/// The agent's end.
#[derive(Debug)]
pub(crate) struct ReportReader {
    pipe: File,
    read: usize,
}

/// What was found in the pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Report {
    /// A newline.
    Ready,
    /// No newline so far.
    Nothing,
    /// No process has the other end any more, and there was no newline.
    Closed,
    /// More bytes than a report has, and no newline: what is written is something else.
    Endless,
}

/// How many bytes may be before the newline. A program may write some, as with s6; one that writes its log there must not
/// have the agent read it.
const LONGEST: usize = 4096;

/// A new pipe: the agent's end, which does not wait, and the end of the process.
///
/// That one is opened for reading as well: an agent that is gone, or has heard enough, does not send the process a SIGPIPE
/// then.
///
/// # Errors
/// When there are no descriptors left, or `/proc` is not there.
pub(crate) fn new() -> io::Result<(ReportReader, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: `ends` is an array of two descriptors, as pipe2 fills.
    check(i64::from(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) }))?;
    let [reader, writer] = ends.map(|end| fd::own(end.into()));
    let (reader, writer) = (reader?, writer?);
    let path = format!("/proc/self/fd/{}", writer.as_raw_fd());
    let end = OpenOptions::new().read(true).write(true).open(path)?;
    Ok((ReportReader { pipe: reader.into(), read: 0 }, fd::above_standard(end.into())?))
}

impl ReportReader {
    /// Reads once what there is.
    ///
    /// # Errors
    /// Those of read(2).
    pub(crate) fn read(&mut self) -> io::Result<Report> {
        let mut buffer = [0; LONGEST];
        let length = match self.pipe.read(&mut buffer) {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return Ok(Report::Nothing);
            }
            length => length?,
        };
        self.read += length;
        Ok(match length {
            0 => Report::Closed,
            _ if buffer.get(..length).is_some_and(|found| found.contains(&b'\n')) => Report::Ready,
            _ if self.read >= LONGEST => Report::Endless,
            _ => Report::Nothing,
        })
    }
}

impl AsFd for ReportReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::until_closed::until_closed;
    use std::io::Write;

    #[test]
    fn newline_is_a_report_and_the_end_without_one_is_none() {
        let (mut reader, end) = new().unwrap();
        let mut end = File::from(end);
        assert_eq!(reader.read().unwrap(), Report::Nothing);
        end.write_all(b"so").unwrap();
        assert_eq!(reader.read().unwrap(), Report::Nothing);
        end.write_all(b"on\n").unwrap();
        assert_eq!(reader.read().unwrap(), Report::Ready);
        drop(end);
        let end = until_closed(|| Some(reader.read().unwrap()).filter(|report| *report != Report::Nothing));
        assert_eq!(end, Report::Closed);
    }

    #[test]
    fn text_without_newline_is_not_read_for_ever() {
        let (mut reader, end) = new().unwrap();
        File::from(end).write_all(&[b'x'; 2 * LONGEST]).unwrap();
        assert_eq!(reader.read().unwrap(), Report::Endless);
    }

    #[test]
    fn process_that_reports_to_no_agent_gets_no_error() {
        let (reader, end) = new().unwrap();
        drop(reader);
        File::from(end).write_all(b"\n").unwrap();
    }
}
