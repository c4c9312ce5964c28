// SPDX-License-Identifier: MPL-2.0
//! What C gets at a panic: a code. No panic of the library unwinds into its caller.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::error::proxyprocess_code;
use super::failure::Failure;

/// Runs the body of a call and makes a failure with [`proxyprocess_code::PROXYPROCESS_E_PANIC`] of a panic. What the panic
/// may have left half changed is the caller's to use no more: a handle is poisoned.
pub(super) fn caught(body: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        let text = text_of(&*payload).unwrap_or("no message");
        Err(Failure::new(proxyprocess_code::PROXYPROCESS_E_PANIC, format!("fault of the library: {text}")))
    })
}

fn text_of(payload: &(dyn Any + Send)) -> Option<&str> {
    payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}
