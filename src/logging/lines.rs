// SPDX-License-Identifier: MPL-2.0
//! Lines of the log by pull, as the user reads them.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use log::Level;

use crate::error::Result;
#[cfg(feature = "capi")]
use crate::feed::NextPlace;
use crate::feed::{Entry, Reader};

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogLine {
    /// Increases by one with each line of the reader's level. A line about lost lines has the number of the last of
    /// them.
    pub number: u64,
    /// When it was written.
    pub at: SystemTime,
    /// The severity.
    pub level: Level,
    /// The message: one line without a newline, at most 4096 bytes long; a longer one is cut and ends with "...".
    pub message: Arc<str>,
    /// How many lines the reader lost because it fell behind; the message says so as well. 0 for every other line.
    pub missed: u64,
}

impl Entry for LogLine {
    fn gap(number: u64, at: SystemTime, missed: u64) -> LogLine {
        let message = format!("{missed} lines of the log are lost: the reader fell behind").into();
        LogLine { number, at, level: Level::Warn, message, missed }
    }
}

/// A reader of the log lines that are written after its creation: those of one manager
/// ([`Manager::logs`](crate::Manager::logs)), or of the whole library ([`Logs::of_library`]).
///
/// It works with or without loggers. It calls nothing on the threads of the library, and a slow reader delays nothing:
/// the last 1024 lines ([`defaults::LOG_CAPACITY`](crate::defaults::LOG_CAPACITY)) are kept for each reader, and its
/// next read reports how many older lines it lost.
///
/// ```no_run
/// # fn example(manager: &proxyprocess::Manager) {
/// for line in manager.logs(log::LevelFilter::Info) {
///     println!("{}: {}", line.level, line.message); // until the manager was closed or killed
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Logs {
    reader: Reader<LogLine>,
}

impl Logs {
    pub(super) fn new(reader: Reader<LogLine>) -> Logs {
        Logs { reader }
    }

    /// Waits for the next line for at most `timeout`. `None` when the time is over, or at once when the manager was
    /// closed or killed and all its lines were read.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<LogLine> {
        self.reader.next_timeout(timeout)
    }

    /// The next line if there is one; does not wait.
    pub fn try_next(&mut self) -> Option<LogLine> {
        self.reader.try_next()
    }

    /// Whether the manager has ended and all its lines were read: no line will come any more.
    pub fn is_ended(&self) -> bool {
        self.reader.is_ended()
    }

    /// The position of the next line, for a caller that must not hold a lock while it waits.
    #[cfg(feature = "capi")]
    pub(crate) fn next_place(&self) -> NextPlace<LogLine> {
        self.reader.next_place()
    }

    /// A descriptor that is readable exactly while there is a line to read, and permanently once none will come any
    /// more. Use it like that of [`Events::descriptor`](crate::Events::descriptor): only poll it.
    ///
    /// # Errors
    /// - [`ErrorCode::Exhausted`](crate::ErrorCode::Exhausted): no descriptor is left; the call can be repeated.
    /// - [`ErrorCode::Forked`](crate::ErrorCode::Forked): the descriptor belongs to the process that forked this one.
    pub fn descriptor(&self) -> Result<BorrowedFd<'_>> {
        self.reader.descriptor()
    }
}

impl Iterator for Logs {
    type Item = LogLine;

    /// Waits for the next line without a limit; `None` when the manager was closed or killed and all its lines were
    /// read.
    fn next(&mut self) -> Option<LogLine> {
        self.next_timeout(Duration::MAX)
    }
}
