// SPDX-License-Identifier: MPL-2.0
//! The one place where a panic is caught.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A panic that was caught. Its payload, a value of the host's, is dropped already.
#[derive(Debug)]
pub(crate) struct Panicked {
    message: Option<String>,
}

impl Panicked {
    /// The text that the panic was called with, if it was one.
    pub(crate) fn message(&self) -> &str {
        self.message.as_deref().unwrap_or("no message")
    }
}

/// Runs code that must not unwind into its caller. What it may have left half changed is for the caller to know.
///
/// # Errors
/// It panicked.
pub(crate) fn caught<T>(body: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(body)).map_err(|payload| {
        let message = text_of(&*payload).map(str::to_owned);
        // The payload may be of any type: its destructor is code of the host's as well, and may panic. The payload of that
        // second panic is leaked, for a program could go on so for ever.
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(second);
        }
        Panicked { message }
    })
}

fn text_of(payload: &(dyn Any + Send)) -> Option<&str> {
    payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Panics when it is dropped, with another one.
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::panic_any(Bomb);
        }
    }

    #[test]
    fn panic_is_caught_with_its_text_whatever_its_payload_does_when_dropped() {
        assert_eq!(caught(|| 7).unwrap(), 7);
        assert_eq!(caught(|| -> () { panic!("on purpose") }).unwrap_err().message(), "on purpose");
        assert_eq!(caught(|| -> () { panic!("number {}", 7) }).unwrap_err().message(), "number 7");
        assert_eq!(caught(|| std::panic::panic_any(Bomb)).unwrap_err().message(), "no message");
    }
}
