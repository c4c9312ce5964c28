// SPDX-License-Identifier: MPL-2.0
//! Errors: a code for the program, an object for the reader of the log.

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;

use super::output::TextOut;
use crate::error::ErrorCode;

/// The result of a call. Functions return it as int32_t: 0, one of these negative numbers, or a code of a later version
/// of the library. Numbers are only ever added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum proxyprocess_code {
    /// Success.
    PROXYPROCESS_OK = 0,
    /// A field of a configuration, document or argument is invalid; the message names it.
    PROXYPROCESS_E_INVALID_CONFIG = -1,
    /// The id of a proxy is empty or longer than 1024 bytes.
    PROXYPROCESS_E_INVALID_ID = -2,
    /// A system call on a file or directory failed.
    PROXYPROCESS_E_IO = -3,
    /// The data directory is in use by a manager that is alive; the message names its process.
    PROXYPROCESS_E_LOCKED = -4,
    /// A file or directory has an owner, mode or type that is not trusted.
    PROXYPROCESS_E_UNTRUSTED = -5,
    /// A snapshot cannot be read, or has an unknown version.
    PROXYPROCESS_E_CORRUPT_SNAPSHOT = -6,
    /// The proxy was stopped for good and cannot be started again.
    PROXYPROCESS_E_STOPPED = -7,
    /// The manager or daemon was closed or killed.
    PROXYPROCESS_E_CLOSED = -8,
    /// Processes survived a stop; the message names them.
    PROXYPROCESS_E_STILL_RUNNING = -9,
    /// The system has no more of a resource that the library needs (threads, descriptors, memory).
    PROXYPROCESS_E_EXHAUSTED = -10,
    /// Proxies may not run as root (allow_root is 0).
    PROXYPROCESS_E_ROOT_REFUSED = -11,
    /// The mode is not registered.
    PROXYPROCESS_E_UNKNOWN_MODE = -12,
    /// A process could not be started; the message names the step that failed.
    PROXYPROCESS_E_START_FAILED = -13,
    /// A process could not be adopted; the message says why.
    PROXYPROCESS_E_ADOPTION_REFUSED = -14,
    /// The handle was created before a fork; its threads are in the other process.
    PROXYPROCESS_E_FORKED = -15,
    /// A fault of the library or of the functions of a proxy kind.
    PROXYPROCESS_E_INTERNAL = -16,
    /// All processes that are proven to belong to the proxy are gone, but processes are alive that may belong to it;
    /// the message names them.
    PROXYPROCESS_E_UNPROVEN = -17,
    /// The manager has no proxy with this id: it is not declared, or its declaration was not applied yet.
    PROXYPROCESS_E_NOT_FOUND = -18,
    /// The proxy has no process now, or one that cannot do what was requested yet.
    PROXYPROCESS_E_NOT_RUNNING = -19,
    /// The wait reached its timeout.
    PROXYPROCESS_E_TIMEOUT = -20,
    /// A command that was run for a proxy failed; the message says how it ended.
    PROXYPROCESS_E_COMMAND_FAILED = -21,
    /// The proxy is paused, by its declaration or by a call.
    PROXYPROCESS_E_PAUSED = -22,
    /// A pointer that must not be NULL is NULL; the message names the argument.
    PROXYPROCESS_E_NULL_ARGUMENT = -101,
    /// A text is not valid UTF-8.
    PROXYPROCESS_E_INVALID_UTF8 = -102,
    /// The struct_size of a struct is impossible, or a field is set that this version of the library does not know.
    PROXYPROCESS_E_STRUCT_SIZE = -103,
    /// A number is out of range, or a reserved number is not 0; the message names the argument.
    PROXYPROCESS_E_INVALID_ARGUMENT = -104,
    /// The function cannot be called from this callback.
    PROXYPROCESS_E_IN_CALLBACK = -105,
    /// The program has already installed another logger.
    PROXYPROCESS_E_LOGGER_INSTALLED = -106,
    /// A fault of the library (a panic) was caught. The handle can only be freed from now on.
    PROXYPROCESS_E_PANIC = -107,
    /// The calling thread is already in a call with this handle: the thread left that call by a non-local exit
    /// (longjmp), or this call comes from a signal handler that interrupted it.
    PROXYPROCESS_E_ABANDONED = -108,
}

use proxyprocess_code as Code;

/// The class of an error: where its cause lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum proxyprocess_class {
    /// No error.
    PROXYPROCESS_CLASS_NONE = 0,
    /// The caller: an argument is not acceptable.
    PROXYPROCESS_CLASS_ARGUMENT = 1,
    /// The system: a system call failed, or a resource is exhausted. proxyprocess_error_os_errno() may say more.
    PROXYPROCESS_CLASS_SYSTEM = 2,
    /// The order of calls: not possible now, or not any more.
    PROXYPROCESS_CLASS_STATE = 3,
    /// Files in the data directory.
    PROXYPROCESS_CLASS_DATA = 4,
    /// A process that is or should be supervised.
    PROXYPROCESS_CLASS_PROCESS = 5,
    /// The library itself, or a code of a later version.
    PROXYPROCESS_CLASS_INTERNAL = 6,
}

use proxyprocess_class as Class;

/// Every code with its class and its text.
const CODES: [(Code, Class, &CStr); 31] = [
    (Code::PROXYPROCESS_OK, Class::PROXYPROCESS_CLASS_NONE, c"no error"),
    (Code::PROXYPROCESS_E_INVALID_CONFIG, Class::PROXYPROCESS_CLASS_ARGUMENT, c"invalid configuration"),
    (Code::PROXYPROCESS_E_INVALID_ID, Class::PROXYPROCESS_CLASS_ARGUMENT, c"invalid proxy id"),
    (Code::PROXYPROCESS_E_IO, Class::PROXYPROCESS_CLASS_SYSTEM, c"input or output failed"),
    (Code::PROXYPROCESS_E_LOCKED, Class::PROXYPROCESS_CLASS_STATE, c"data directory is locked"),
    (Code::PROXYPROCESS_E_UNTRUSTED, Class::PROXYPROCESS_CLASS_DATA, c"file or directory cannot be trusted"),
    (Code::PROXYPROCESS_E_CORRUPT_SNAPSHOT, Class::PROXYPROCESS_CLASS_DATA, c"snapshot is corrupt"),
    (Code::PROXYPROCESS_E_STOPPED, Class::PROXYPROCESS_CLASS_STATE, c"stopped for good"),
    (Code::PROXYPROCESS_E_CLOSED, Class::PROXYPROCESS_CLASS_STATE, c"closed"),
    (Code::PROXYPROCESS_E_STILL_RUNNING, Class::PROXYPROCESS_CLASS_PROCESS, c"processes outlived a stop"),
    (Code::PROXYPROCESS_E_EXHAUSTED, Class::PROXYPROCESS_CLASS_SYSTEM, c"a resource is exhausted"),
    (Code::PROXYPROCESS_E_ROOT_REFUSED, Class::PROXYPROCESS_CLASS_PROCESS, c"proxies may not run as root"),
    (Code::PROXYPROCESS_E_UNKNOWN_MODE, Class::PROXYPROCESS_CLASS_ARGUMENT, c"execution mode is not registered"),
    (Code::PROXYPROCESS_E_START_FAILED, Class::PROXYPROCESS_CLASS_PROCESS, c"process could not be started"),
    (Code::PROXYPROCESS_E_ADOPTION_REFUSED, Class::PROXYPROCESS_CLASS_PROCESS, c"process could not be adopted"),
    (Code::PROXYPROCESS_E_FORKED, Class::PROXYPROCESS_CLASS_STATE, c"handle of the process before the fork"),
    (Code::PROXYPROCESS_E_INTERNAL, Class::PROXYPROCESS_CLASS_INTERNAL, c"internal fault"),
    (Code::PROXYPROCESS_E_UNPROVEN, Class::PROXYPROCESS_CLASS_PROCESS, c"processes may have outlived a stop"),
    (Code::PROXYPROCESS_E_NOT_FOUND, Class::PROXYPROCESS_CLASS_STATE, c"no such proxy is managed"),
    (Code::PROXYPROCESS_E_NOT_RUNNING, Class::PROXYPROCESS_CLASS_STATE, c"the proxy has no process now"),
    (Code::PROXYPROCESS_E_TIMEOUT, Class::PROXYPROCESS_CLASS_STATE, c"not in time"),
    (Code::PROXYPROCESS_E_COMMAND_FAILED, Class::PROXYPROCESS_CLASS_PROCESS, c"a command for the proxy has failed"),
    (Code::PROXYPROCESS_E_PAUSED, Class::PROXYPROCESS_CLASS_STATE, c"proxy is paused"),
    (Code::PROXYPROCESS_E_NULL_ARGUMENT, Class::PROXYPROCESS_CLASS_ARGUMENT, c"argument is NULL"),
    (Code::PROXYPROCESS_E_INVALID_UTF8, Class::PROXYPROCESS_CLASS_ARGUMENT, c"text is not UTF-8"),
    (Code::PROXYPROCESS_E_STRUCT_SIZE, Class::PROXYPROCESS_CLASS_ARGUMENT, c"struct size is not possible"),
    (Code::PROXYPROCESS_E_INVALID_ARGUMENT, Class::PROXYPROCESS_CLASS_ARGUMENT, c"argument is out of range"),
    (Code::PROXYPROCESS_E_IN_CALLBACK, Class::PROXYPROCESS_CLASS_STATE, c"not to be called from a callback"),
    (Code::PROXYPROCESS_E_LOGGER_INSTALLED, Class::PROXYPROCESS_CLASS_STATE, c"another logger is installed"),
    (Code::PROXYPROCESS_E_PANIC, Class::PROXYPROCESS_CLASS_INTERNAL, c"a fault of the library was caught"),
    (Code::PROXYPROCESS_E_ABANDONED, Class::PROXYPROCESS_CLASS_STATE, c"a call was left by a non-local exit"),
];

fn known(code: i32) -> Option<&'static (Code, Class, &'static CStr)> {
    CODES.iter().find(|(known, ..)| *known as i32 == code)
}

/// The codes that the functions of a proxy kind may return.
const FROM_KIND: [ErrorCode; 23] = [
    ErrorCode::InvalidConfig,
    ErrorCode::InvalidId,
    ErrorCode::Io,
    ErrorCode::Locked,
    ErrorCode::Untrusted,
    ErrorCode::CorruptSnapshot,
    ErrorCode::Stopped,
    ErrorCode::Closed,
    ErrorCode::StillRunning,
    ErrorCode::Exhausted,
    ErrorCode::RootRefused,
    ErrorCode::UnknownMode,
    ErrorCode::StartFailed,
    ErrorCode::AdoptionRefused,
    ErrorCode::Forked,
    ErrorCode::Internal,
    ErrorCode::Unproven,
    ErrorCode::NotFound,
    ErrorCode::NotRunning,
    ErrorCode::Timeout,
    ErrorCode::CommandFailed,
    ErrorCode::Paused,
    ErrorCode::InCallback,
];

/// The library's code for a number that C returned.
pub(super) fn code_from_kind(number: i32) -> ErrorCode {
    FROM_KIND.into_iter().find(|code| *code as i32 == number).unwrap_or(ErrorCode::Internal)
}

/// What went wrong in a call. The call creates it; the caller frees it with proxyprocess_error_free(). It never
/// changes, and any thread can read it.
pub struct proxyprocess_error {
    pub(super) code: i32,
    pub(super) errno: i32,
    pub(super) message: CString,
}

/// Returns the code, as the call returned it; PROXYPROCESS_OK for NULL.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_error_code(error: Option<&proxyprocess_error>) -> i32 {
    error.map_or(0, |error| error.code)
}

/// Returns the class of the code: a value of proxyprocess_class; PROXYPROCESS_CLASS_NONE for NULL.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_error_class(error: Option<&proxyprocess_error>) -> i32 {
    proxyprocess_code_class(proxyprocess_error_code(error))
}

/// Returns the errno of the system call that failed; 0 if none failed, and for NULL.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_error_os_errno(error: Option<&proxyprocess_error>) -> i32 {
    error.map_or(0, |error| error.errno)
}

/// Returns the message: one line of UTF-8 like "chdir /x: No such file or directory (os error 2)"; valid until the
/// error is freed. "" for NULL.
///
/// `length`: receives its length without the NUL; may be NULL.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_error_message(
    error: Option<&proxyprocess_error>,
    length: Option<&mut MaybeUninit<usize>>,
) -> TextOut {
    let message = error.map_or(c"", |error| &error.message);
    if let Some(length) = length {
        length.write(message.to_bytes().len());
    }
    TextOut::of(message)
}

/// Frees an error.
///
/// `error`: may be NULL, which does nothing.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_error_free(error: Option<Box<proxyprocess_error>>) {
    drop(error);
}

/// Returns a short text for a code, like "data directory is locked"; static. "unknown code" for a code of a later
/// version.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_code_str(code: i32) -> TextOut {
    TextOut::of(known(code).map_or(c"unknown code", |(_, _, text)| text))
}

/// Returns the class of a code: a value of proxyprocess_class; PROXYPROCESS_CLASS_INTERNAL for a code of a later
/// version.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_code_class(code: i32) -> i32 {
    known(code).map_or(Class::PROXYPROCESS_CLASS_INTERNAL, |(_, class, _)| *class) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_library_has_the_same_number_here() {
        for code in FROM_KIND {
            let (known, ..) = known(code as i32).unwrap();
            let name = format!("{known:?}").replace("PROXYPROCESS_E_", "").replace('_', "").to_lowercase();
            assert_eq!(name, format!("{code:?}").to_lowercase());
            assert_eq!(code_from_kind(code as i32), code);
        }
        assert_eq!(code_from_kind(-77), ErrorCode::Internal);
    }
}
