// SPDX-License-Identifier: MPL-2.0
//! The log callback, the only thing that the library pushes.

use std::ffi::c_char;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{PoisonError, RwLock};

use ::log::{Level, LevelFilter, Log, Metadata, Record};

use super::callback::{Inside, UserWord, allowed_within, within};
use super::error::proxyprocess_code;
use super::failure::{ErrorOut, Failure};
use super::handle::enter;
use super::output::c_string;
use crate::error::OneLine;
use crate::sys::fork_safe::PerProcess;

/// How much is logged: a level includes all levels above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum proxyprocess_log_level {
    /// Nothing.
    PROXYPROCESS_LOG_OFF = 0,
    /// Failures.
    PROXYPROCESS_LOG_ERROR = 1,
    /// Unexpected exits and refused adoptions.
    PROXYPROCESS_LOG_WARN = 2,
    /// Starts, adoptions, stops and waits.
    PROXYPROCESS_LOG_INFO = 3,
    /// For developers of the library.
    PROXYPROCESS_LOG_DEBUG = 4,
    /// For developers of the library, in full detail.
    PROXYPROCESS_LOG_TRACE = 5,
}

/// Receives one line of the log.
///
/// It is called on any thread, including threads of the library, and on several threads at the same time. While it
/// runs, supervision may stand still: it must return quickly, must not unwind or longjmp, and must not call functions
/// of this library that return a code.
///
/// `level`: a value of proxyprocess_log_level.
///
/// `message`: UTF-8 without a newline, ends with NUL, valid until the callback returns.
///
/// `length`: the length of the message without its NUL.
///
/// `user`: as passed to proxyprocess_log_set_callback().
///
/// `user`: as it was given to proxyprocess_log_set_callback().
pub type proxyprocess_log_fn =
    Option<unsafe extern "C" fn(level: i32, message: *const c_char, length: usize, user: UserWord)>;

/// Called exactly once, after the last call that gets `user`, when `user` is no longer needed.
pub type proxyprocess_destroy_fn = Option<unsafe extern "C" fn(user: UserWord)>;

struct Callback {
    level: LevelFilter,
    function: unsafe extern "C" fn(level: i32, message: *const c_char, length: usize, user: UserWord),
    user: UserWord,
    destroy: proxyprocess_destroy_fn,
}

impl Drop for Callback {
    fn drop(&mut self) {
        if let Some(destroy) = self.destroy {
            // SAFETY: the header demands of the function that it can be called with this word, once, on any thread.
            within(Inside::LogCallback, || unsafe { destroy(self.user) });
        }
    }
}

/// The logger of the program once a callback was set.
struct ToCallback {
    /// Null means none. Kept outside the lock, so that a forked worker has the callback even if another thread was
    /// executing it at the fork and held the lock.
    current: AtomicPtr<Callback>,
    /// Held for reading while the callback executes.
    executing: PerProcess<RwLock<()>>,
}

static LOGGER: ToCallback =
    ToCallback { current: AtomicPtr::new(ptr::null_mut()), executing: PerProcess::new(|| RwLock::new(())) };

impl ToCallback {
    /// Whether this is the logger of the program. It becomes that unless there is another one.
    fn is_set(&'static self) -> bool {
        ::log::set_logger(self).is_ok() || ptr::addr_eq(ptr::from_ref(::log::logger()), ptr::from_ref(self))
    }

    /// Replaces the callback. On return the earlier one is not executing any more.
    fn replace(&self, new: Option<Callback>) -> Option<Box<Callback>> {
        let level = new.as_ref().map_or(LevelFilter::Off, |new| new.level);
        let new = new.map_or(ptr::null_mut(), |new| Box::into_raw(Box::new(new)));
        let _none_executes = self.executing.get().write().unwrap_or_else(PoisonError::into_inner);
        // ORDER: under the lock, so that of two concurrent calls the same one sets both.
        ::log::set_max_level(level);
        let earlier = self.current.swap(new, Ordering::AcqRel);
        // SAFETY: null, or from a box that an earlier call leaked above. Code that executes it holds the lock for
        // reading.
        (!earlier.is_null()).then(|| unsafe { Box::from_raw(earlier) })
    }
}

impl Log for ToCallback {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= ::log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        // A callback that causes the library to log would wait for itself.
        if allowed_within(Inside::Logger).is_err() {
            return;
        }
        let _executing = self.executing.get().read().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: null or of a box that is freed only after it was replaced under the lock that is held here.
        let callback = unsafe { self.current.load(Ordering::Acquire).as_ref() };
        let Some(callback) = callback.filter(|callback| record.level() <= callback.level) else { return };
        let message = c_string(&OneLine(record.args()).to_string());
        let (level, length) = (level_number(record.level()), message.as_bytes().len());
        // SAFETY: the header demands of the function that it can be called with this word at any time on any thread,
        // until it is replaced, for which the lock is held; the message lives through the call.
        within(Inside::LogCallback, || unsafe { (callback.function)(level, message.as_ptr(), length, callback.user) });
    }

    fn flush(&self) {}
}

/// Sets where the log of the whole program goes; before the first call it goes nowhere. A later call replaces the
/// callback; when it returns, the earlier callback is not executing any more and its `destroy` was called.
///
/// `level`: how much is logged, a value of proxyprocess_log_level.
///
/// `callback`: NULL means none; `user` and `destroy` are then ignored.
///
/// `user`: passed to the callback unchanged.
///
/// `destroy`: called when the callback is replaced; may be NULL. It is not called after a failure.
///
/// Returns 0; PROXYPROCESS_E_LOGGER_INSTALLED: the program's Rust code has installed another logger;
/// PROXYPROCESS_E_INVALID_ARGUMENT: unknown level; PROXYPROCESS_E_IN_CALLBACK.
///
/// Since 0.1.0.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_log_set_callback(
    level: i32,
    callback: proxyprocess_log_fn,
    user: UserWord,
    destroy: proxyprocess_destroy_fn,
    err: ErrorOut<'_>,
) -> i32 {
    enter(err, || {
        let level = level_filter(level)?;
        if !LOGGER.is_set() {
            let message = "set log callback: the program has a logger already";
            return Err(Failure::new(proxyprocess_code::PROXYPROCESS_E_LOGGER_INSTALLED, message));
        }
        let new = callback.map(|function| Callback { level, function, user, destroy });
        // Outside the lock: its destructor is code of the host.
        drop(LOGGER.replace(new));
        Ok(())
    })
}

/// The levels as the log crate has them.
const LEVELS: [(proxyprocess_log_level, LevelFilter); 6] = [
    (proxyprocess_log_level::PROXYPROCESS_LOG_OFF, LevelFilter::Off),
    (proxyprocess_log_level::PROXYPROCESS_LOG_ERROR, LevelFilter::Error),
    (proxyprocess_log_level::PROXYPROCESS_LOG_WARN, LevelFilter::Warn),
    (proxyprocess_log_level::PROXYPROCESS_LOG_INFO, LevelFilter::Info),
    (proxyprocess_log_level::PROXYPROCESS_LOG_DEBUG, LevelFilter::Debug),
    (proxyprocess_log_level::PROXYPROCESS_LOG_TRACE, LevelFilter::Trace),
];

pub(super) fn level_filter(number: i32) -> Result<LevelFilter, Failure> {
    let found = LEVELS.iter().find(|(level, _)| *level as i32 == number).map(|(_, filter)| *filter);
    found.ok_or_else(|| Failure::argument(format!("level: expected a number from 0 to 5, got {number}")))
}

pub(super) fn level_number(level: Level) -> i32 {
    LEVELS.iter().find(|(_, filter)| *filter == level).map_or(0, |(level, _)| *level as i32)
}
