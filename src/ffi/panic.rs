// SPDX-License-Identifier: MPL-2.0
//! C gets a code for a panic. No panic of the library unwinds into its caller.

use super::error::proxyprocess_code;
use super::failure::Failure;
use crate::host_code;

/// Runs the body of a call and turns a panic into a failure with [`proxyprocess_code::PROXYPROCESS_E_PANIC`]. The
/// caller must not use what the panic may have left half changed again: a handle is poisoned.
pub(super) fn caught(body: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    host_code::caught(body).unwrap_or_else(|panic| {
        let message = format!("fault of the library: {}", panic.message());
        Err(Failure::new(proxyprocess_code::PROXYPROCESS_E_PANIC, message))
    })
}
