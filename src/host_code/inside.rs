// SPDX-License-Identifier: MPL-2.0
//! Which code of the host a thread is in, so that a call back that would wait for itself is refused.

use std::cell::Cell;

use crate::error::{Error, ErrorCode, Result};

/// Which code of the host this thread is in, from harmless to delicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Inside {
    /// None that the library called.
    Nothing,
    /// A function of a proxy kind, of C: a manager may be locked, or wait for it.
    #[cfg(feature = "capi")]
    Kind,
    /// A logger: any thread of the library may stand still meanwhile, and locks may be held.
    Logger,
    /// The log callback of C, which may be behind the logger of the program.
    #[cfg(feature = "capi")]
    LogCallback,
}

impl Inside {
    #[cold]
    fn refusal(self) -> Error {
        let place = match self {
            Inside::Nothing => "the host",
            #[cfg(feature = "capi")]
            Inside::Kind => "a function of a proxy kind",
            Inside::Logger => "a logger",
            #[cfg(feature = "capi")]
            Inside::LogCallback => "the log callback",
        };
        Error::new(ErrorCode::InCallback, format!("expected no call of this function from {place}"))
    }
}

thread_local! {
    // Without a destructor, which would keep the library from being unloaded while the thread lives.
    static INSIDE: Cell<Inside> = const { Cell::new(Inside::Nothing) };
}

/// Calls code of the host.
pub(crate) fn within<T>(inside: Inside, call: impl FnOnce() -> T) -> T {
    /// Also when the code panics.
    struct Restore(Inside);
    impl Drop for Restore {
        fn drop(&mut self) {
            INSIDE.set(self.0);
        }
    }
    let _restore = Restore(INSIDE.replace(inside.max(INSIDE.get())));
    call()
}

/// # Errors
/// [`ErrorCode::InCallback`] on a thread that is in code of the host beyond `innermost`.
#[cfg(feature = "capi")]
pub(crate) fn allowed_within(innermost: Inside) -> Result<()> {
    let inside = INSIDE.get();
    if inside <= innermost { Ok(()) } else { Err(inside.refusal()) }
}

/// For calls that wait for threads of the library, which may wait for a logger to return.
///
/// # Errors
/// [`ErrorCode::InCallback`] on a thread that is in a logger.
pub(crate) fn outside_loggers() -> Result<()> {
    let inside = INSIDE.get();
    if inside < Inside::Logger { Ok(()) } else { Err(inside.refusal()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_is_refused_inside_a_logger_until_it_returns_or_panics() {
        let refused = within(Inside::Logger, outside_loggers).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::InCallback);
        assert_eq!(refused.to_string(), "expected no call of this function from a logger");
        let panics = || within(Inside::Logger, || panic!("on purpose"));
        assert!(super::super::caught(panics).is_err());
        assert!(outside_loggers().is_ok());
        let inner = within(Inside::Logger, || within(Inside::Nothing, outside_loggers));
        assert!(inner.is_err(), "what is called within stays within");
    }
}
