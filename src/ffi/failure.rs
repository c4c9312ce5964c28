// SPDX-License-Identifier: MPL-2.0
//! Failures that are returned to C.

use std::borrow::Cow;
use std::fmt;
use std::mem::MaybeUninit;

use super::error::{proxyprocess_code as Code, proxyprocess_error};
use super::output::c_string;
use crate::error::{Error, OneLine};

/// A failure of a call that is to be returned to C.
#[derive(Debug)]
pub(super) struct Failure {
    code: i32,
    errno: i32,
    /// A message that is known at compile time is not copied: a call that is refused in a signal handler must not
    /// allocate, because the handler may have interrupted the allocator on its own thread.
    message: Cow<'static, str>,
}

impl Failure {
    pub(super) fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Failure {
        Failure { code: code as i32, errno: 0, message: message.into() }
    }

    pub(super) fn null(name: &str) -> Failure {
        Failure::new(Code::PROXYPROCESS_E_NULL_ARGUMENT, format!("{name}: expected a pointer, got NULL"))
    }

    pub(super) fn argument(message: impl Into<Cow<'static, str>>) -> Failure {
        Failure::new(Code::PROXYPROCESS_E_INVALID_ARGUMENT, message)
    }

    pub(super) fn config(message: impl Into<Cow<'static, str>>) -> Failure {
        Failure::new(Code::PROXYPROCESS_E_INVALID_CONFIG, message)
    }

    pub(super) fn internal(message: impl Into<Cow<'static, str>>) -> Failure {
        Failure::new(Code::PROXYPROCESS_E_INTERNAL, message)
    }

    pub(super) fn is_panic(&self) -> bool {
        self.code == Code::PROXYPROCESS_E_PANIC as i32
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure { code: error.code() as i32, errno: error.errno().unwrap_or(0), message: error.to_string().into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Where an error is stored, if the caller wants it. In C: `proxyprocess_error **`.
#[repr(transparent)]
pub struct ErrorOut<'a>(Option<&'a mut MaybeUninit<Option<Box<proxyprocess_error>>>>);

impl ErrorOut<'_> {
    /// For functions without an error parameter.
    pub(super) fn none() -> ErrorOut<'static> {
        ErrorOut(None)
    }

    /// The code for C; a failure is stored where the caller wants it.
    pub(super) fn finish(self, done: Result<(), Failure>) -> i32 {
        let Err(failure) = done else { return Code::PROXYPROCESS_OK as i32 };
        if let Some(out) = self.0 {
            let message = c_string(&OneLine(&failure.message).to_string());
            out.write(Some(Box::new(proxyprocess_error { code: failure.code, errno: failure.errno, message })));
        }
        failure.code
    }
}

#[cfg(test)]
mod tests {
    use super::super::entered::{self, Entered};
    use super::*;

    #[test]
    fn refusal_of_a_call_in_a_signal_handler_allocates_nothing() {
        let handle = entered::new_id();
        let _interrupted = Entered::of(handle);
        assert!(matches!(entered::check(handle), Err(Failure { message: Cow::Borrowed(_), .. })));
    }
}
