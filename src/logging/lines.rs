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
    /// Counts up by one with every line of the reader's level. A line about lost ones has the number of the last of them.
    pub number: u64,
    /// When it was written.
    pub at: SystemTime,
    /// How serious it is.
    pub level: Level,
    /// The message: one line without a newline, at most 4096 bytes long; what is longer is cut, and ends with "...".
    pub message: Arc<str>,
    /// How many lines the reader has lost, for it fell behind: the message says so as well. 0 for every other line.
    pub missed: u64,
}

impl Entry for LogLine {
    fn gap(number: u64, at: SystemTime, missed: u64) -> LogLine {
        let message = format!("{missed} lines of the log are lost: the reader fell behind").into();
        LogLine { number, at, level: Level::Warn, message, missed }
    }
}

/// A reader of lines of the log, from its creation on: those of one manager ([`Manager::logs`](crate::Manager::logs)) or of
/// the whole library ([`Logs::of_library`]).
///
/// It works beside the loggers, and whether or not the program has one. Nothing is called on the library's threads, and
/// reading slowly delays nothing: the last 1024 lines ([`defaults::LOG_CAPACITY`](crate::defaults::LOG_CAPACITY)) are kept for
/// a reader, and when it reads again, one line says how many older ones it has lost.
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

    /// The next line, waiting for it at most so long. `None` when the time is over, or at once when the manager was closed or
    /// killed and all its lines were read.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<LogLine> {
        self.reader.next_timeout(timeout)
    }

    /// The next line if there is one.
    pub fn try_next(&mut self) -> Option<LogLine> {
        self.reader.try_next()
    }

    /// Whether no line will come any more, and all were read: the manager has ended.
    pub fn is_ended(&self) -> bool {
        self.reader.is_ended()
    }

    /// Where the next line will be, for a caller that holds no lock while it waits.
    #[cfg(feature = "capi")]
    pub(crate) fn next_place(&self) -> NextPlace<LogLine> {
        self.reader.next_place()
    }

    /// A descriptor that polls readable exactly while a line is there to be read, and for ever once none will come any more.
    /// It is used as that of [`Events::descriptor`](crate::Events::descriptor): polled, and nothing else.
    ///
    /// # Errors
    /// - [`ErrorCode::Exhausted`](crate::ErrorCode::Exhausted): no descriptor is left; it can be called again.
    /// - [`ErrorCode::Forked`](crate::ErrorCode::Forked): it is the descriptor of the process that forked this one.
    pub fn descriptor(&self) -> Result<BorrowedFd<'_>> {
        self.reader.descriptor()
    }
}

impl Iterator for Logs {
    type Item = LogLine;

    /// The next line, waiting for it as long as it takes; `None` when the manager was closed or killed and all its lines were
    /// read.
    fn next(&mut self) -> Option<LogLine> {
        self.next_timeout(Duration::MAX)
    }
}
