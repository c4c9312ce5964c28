// SPDX-License-Identifier: MPL-2.0
//! The descriptors that a process gets besides its standard streams: its sockets from 3 on (sd_listen_fds(3)), and that of its
//! report.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::program::Program;
use crate::sys::closed_on_fork::ClosedOnFork;
use crate::sys::fd::duplicate;

/// Where the child finds them, and the numbers that it gives them. None of the descriptors has the number of a socket, so
/// that none is closed before it has its own; what else the child needs may have one.
#[derive(Debug)]
pub(super) struct PassedDescriptors {
    sockets: Vec<[c_int; 2]>,
    report: Option<[c_int; 2]>,
    /// Those that had to be duplicated for that.
    _moved: Vec<ClosedOnFork>,
}

impl PassedDescriptors {
    /// # Errors
    /// EMFILE when there is no descriptor left.
    pub(super) fn of(program: &Program<'_>) -> io::Result<PassedDescriptors> {
        let above = FIRST + program.sockets.len() as c_int;
        let mut moved = Vec::new();
        let mut end = |fd: BorrowedFd<'_>| {
            if fd.as_raw_fd() >= above {
                return Ok(fd.as_raw_fd());
            }
            let duplicate = duplicate(fd, above)?;
            let number = duplicate.as_raw_fd();
            moved.push(ClosedOnFork::new(duplicate));
            io::Result::Ok(number)
        };
        let sockets = (FIRST..).zip(&program.sockets).map(|(number, socket)| Ok([end(*socket)?, number]));
        let sockets = sockets.collect::<io::Result<Vec<_>>>()?;
        let report = program.report.map(|report| io::Result::Ok([end(report.end)?, report.number])).transpose()?;
        Ok(PassedDescriptors { sockets, report, _moved: moved })
    }

    /// Pairs of a descriptor above 2 and the number above 2 that it gets.
    pub(super) fn sockets(&self) -> &[[c_int; 2]] {
        &self.sockets
    }

    /// The same of the report.
    pub(super) fn report(&self) -> Option<[c_int; 2]> {
        self.report
    }

    /// The descriptors.
    pub(super) fn ends(&self) -> impl Iterator<Item = c_int> {
        self.sockets.iter().chain(&self.report).map(|[end, _]| *end)
    }

    /// Whether one of them gets this number.
    pub(super) fn takes(&self, number: c_int) -> bool {
        self.sockets.iter().chain(&self.report).any(|[_, taken]| *taken == number)
    }
}

/// The number of the first socket.
const FIRST: c_int = 3;
