// SPDX-License-Identifier: MPL-2.0
//! Lines of the log, by pull: waited for, or announced by a descriptor.

use std::ffi::CString;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::failure::ErrorOut;
use super::handle::{Handle, call, enter, free, place};
use super::log::{level_filter, level_number, proxyprocess_log_level};
use super::output::{TextOut, c_string};
use super::sized::{Out, SizedStruct};
use crate::logging::{LogLine, Logs};
use crate::supervisor::unix_ns;

/// One line of the log. Set `struct_size` to the `sizeof` of the struct before a call fills it. The pointer is valid
/// until the next call with the same reader.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct proxyprocess_log_line {
    /// The size of this struct as the caller was compiled with it.
    pub struct_size: u32,
    /// The severity: a value of proxyprocess_log_level. PROXYPROCESS_LOG_OFF if there is no line.
    pub level: i32,
    /// Increases by one with each line of the reader's level.
    pub number: u64,
    /// When it was written, in nanoseconds since 1970-01-01 00:00 UTC.
    pub at_unix_ns: u64,
    /// How many lines the reader lost because it fell behind. `message` says so as well, and `number` is that of the
    /// last lost line. 0 for every other line.
    pub missed: u64,
    /// The message, UTF-8 without a newline, at most 4096 bytes: a longer one is cut and ends with "...". NULL if there
    /// is no line.
    pub message: TextOut,
    /// The length of the message without its NUL.
    pub message_length: usize,
    /// 1 if no line will come any more, because the manager has ended and all its lines were read; else 0.
    pub ended: u8,
    /// Reserved, 0.
    pub reserved: [u8; 7],
}

/// In C: `proxyprocess_log_line *`.
pub type LogLineOut = Out<proxyprocess_log_line>;

// SAFETY: it is repr(C), begins with its size, and consists of numbers and pointers, of which any bytes are valid.
unsafe impl SizedStruct for proxyprocess_log_line {
    const NAME: &'static str = "log_line";
    const FIRST_SIZE: usize = 56;

    fn defaults() -> Self {
        proxyprocess_log_line {
            struct_size: 0,
            level: proxyprocess_log_level::PROXYPROCESS_LOG_OFF as i32,
            number: 0,
            at_unix_ns: 0,
            missed: 0,
            message: TextOut::NULL,
            message_length: 0,
            ended: 0,
            reserved: [0; 7],
        }
    }
}

/// A reader of log lines that are written after its creation: those of one manager, or of the whole library. It works
/// with or without a log callback, and the library calls no function of the host, so that any language can use it. A
/// slow reader delays nothing: the last 1024 lines (PROXYPROCESS_LOG_CAPACITY) are kept for each reader, and the next
/// read reports how many older lines it lost. One thread at a time may use it.
pub struct proxyprocess_logs(Handle<Mutex<Reader>>);

struct Reader {
    logs: Logs,
    /// What the pointer of the last line points to.
    message: CString,
}

impl proxyprocess_logs {
    pub(super) fn new(logs: Logs) -> proxyprocess_logs {
        proxyprocess_logs(Handle::new(Mutex::new(Reader { logs, message: CString::default() })))
    }
}

/// Creates a reader of all lines of the library, from all managers and daemons, starting now.
///
/// `level`: how much, a value of proxyprocess_log_level; PROXYPROCESS_LOG_OFF means nothing.
///
/// `logs`: receives the handle; free it with proxyprocess_logs_free().
///
/// Returns 0; PROXYPROCESS_E_INVALID_ARGUMENT: unknown level; PROXYPROCESS_E_FORKED: this process was forked by one
/// that had such a reader (proxyprocess_manager_logs() of a new manager works there); PROXYPROCESS_E_NULL_ARGUMENT.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_logs_new(
    level: i32,
    logs: Option<&mut MaybeUninit<Option<Box<proxyprocess_logs>>>>,
    err: ErrorOut<'_>,
) -> i32 {
    enter(err, || {
        let place = place("logs", logs)?;
        place.write(Some(Box::new(proxyprocess_logs::new(Logs::of_library(level_filter(level)?)?))));
        Ok(())
    })
}

/// Waits for the next line and returns it.
///
/// `timeout_ms`: the longest wait; 0 does not wait, UINT64_MAX waits without a limit.
///
/// `line`: the struct to fill; its `struct_size` is set. `level` is PROXYPROCESS_LOG_OFF if the timeout elapsed. Once
/// no line will come any more, the call returns this at once, with `ended` 1.
///
/// Returns 0; PROXYPROCESS_E_NULL_ARGUMENT, PROXYPROCESS_E_STRUCT_SIZE: these lose no line.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_logs_next(
    logs: Option<&proxyprocess_logs>,
    timeout_ms: u64,
    mut line: LogLineOut,
    err: ErrorOut<'_>,
) -> i32 {
    call("logs", logs.map(|logs| &logs.0), err, |reader| {
        line.size("line")?;
        let lock = || reader.lock().unwrap_or_else(PoisonError::into_inner);
        // Outside the lock: it would stay locked if the wait was left by a non-local exit.
        let next = lock().logs.next_place();
        next.wait(Duration::from_millis(timeout_ms));
        let mut reader = lock();
        let found = reader.logs.try_next();
        let filled = reader.show(found);
        line.fill("line", filled)
    })
}

/// Returns a descriptor that is readable while there is a line to read, and permanently once no line will come any
/// more, for hosts with their own event loop. Wait for it with poll(2) or epoll(7) and never read from it. Then call
/// proxyprocess_logs_next() with timeout 0 until `level` is PROXYPROCESS_LOG_OFF.
///
/// `descriptor`: receives its number. It belongs to the reader, is closed with it, and must not be closed by the
/// caller.
///
/// Returns 0; PROXYPROCESS_E_EXHAUSTED: no descriptor is left; PROXYPROCESS_E_NULL_ARGUMENT.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_logs_descriptor(
    logs: Option<&proxyprocess_logs>,
    descriptor: Option<&mut MaybeUninit<i32>>,
    err: ErrorOut<'_>,
) -> i32 {
    call("logs", logs.map(|logs| &logs.0), err, |reader| {
        let descriptor = place("descriptor", descriptor)?;
        let reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
        descriptor.write(reader.logs.descriptor()?.as_raw_fd());
        Ok(())
    })
}

/// Frees a reader, before or after the manager.
///
/// `logs`: may be NULL, which does nothing.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_logs_free(logs: Option<Box<proxyprocess_logs>>) {
    free(logs, |logs| &logs.0);
}

impl Reader {
    /// A line in C's form; the message stays here.
    fn show(&mut self, line: Option<LogLine>) -> proxyprocess_log_line {
        let Some(line) = line else {
            let ended = u8::from(self.logs.is_ended());
            return proxyprocess_log_line { ended, ..proxyprocess_log_line::defaults() };
        };
        self.message = c_string(&line.message);
        proxyprocess_log_line {
            level: level_number(line.level),
            number: line.number,
            at_unix_ns: unix_ns(line.at),
            missed: line.missed,
            message: TextOut::of(&self.message),
            message_length: self.message.as_bytes().len(),
            ..proxyprocess_log_line::defaults()
        }
    }
}
